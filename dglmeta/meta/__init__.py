"""Bilevel updates over parameter dicts and closures; nothing here knows what a graph is."""

from dglmeta.meta.functional import (
    Linearization,
    Params,
    adam_step_sizes,
    as_function,
    descend,
    detach,
    parameters_of,
    sgd_step,
)
from dglmeta.meta.hypergradient import (
    Fold,
    Hypergradient,
    WeightHypergradient,
    hypergradient,
    weight_hypergradient,
)
from dglmeta.meta.maml import OuterGradient, adapt, outer_gradient

__all__ = [
    "Fold",
    "Hypergradient",
    "Linearization",
    "OuterGradient",
    "Params",
    "WeightHypergradient",
    "adam_step_sizes",
    "adapt",
    "as_function",
    "descend",
    "detach",
    "hypergradient",
    "outer_gradient",
    "parameters_of",
    "sgd_step",
    "weight_hypergradient",
]
