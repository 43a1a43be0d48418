"""Bilevel updates over parameter dicts and closures; nothing here knows what a graph is."""

from dglmeta.meta.evolution import Evolution
from dglmeta.meta.functional import (
    Linearization,
    Params,
    adam_step_sizes,
    as_function,
    descend,
    detach,
    gradient,
    leaves,
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
from dglmeta.meta.search import Leaders, RandomSearch, Searcher, Space
from dglmeta.meta.tree_search import TreeSearch
from dglmeta.meta.unrolled import (
    UnrolledGradient,
    clip_gradients,
    descend_tasks,
    one_per_task,
    unrolled_gradient,
)

__all__ = [
    "Evolution",
    "Fold",
    "Hypergradient",
    "Leaders",
    "Linearization",
    "OuterGradient",
    "Params",
    "RandomSearch",
    "Searcher",
    "Space",
    "TreeSearch",
    "UnrolledGradient",
    "WeightHypergradient",
    "adam_step_sizes",
    "adapt",
    "as_function",
    "clip_gradients",
    "descend",
    "descend_tasks",
    "detach",
    "gradient",
    "hypergradient",
    "leaves",
    "one_per_task",
    "outer_gradient",
    "parameters_of",
    "sgd_step",
    "unrolled_gradient",
    "weight_hypergradient",
]
