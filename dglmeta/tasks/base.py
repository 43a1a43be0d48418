"""What a task is: it draws labelled pairs, and turns logits into one loss a sample."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = [
    "ALL_TYPES",
    "ClassBatch",
    "ClassTask",
    "PairBatch",
    "PairTask",
    "binary_losses",
    "class_losses",
]


class PairBatch(NamedTuple):
    """Labelled node pairs; ids count within the task's source and target node types."""

    src: npt.NDArray[np.int64]
    """(n,) source ids."""
    dst: npt.NDArray[np.int64]
    """(n,) target ids."""
    label: npt.NDArray[np.float32]
    """(n,) 1 for a positive pair, 0 for a negative one."""


class PairTask(Protocol):
    """A task about pairs of nodes, usable alone or beside others."""

    @property
    def name(self) -> str:
        """A short name for tables and plots."""

    @property
    def source_type(self) -> str:
        """Node type of the pairs' first node."""

    @property
    def target_type(self) -> str:
        """Node type of the pairs' second node."""

    def draw(self, n: int, rng: np.random.Generator) -> PairBatch:
        """``n`` labelled pairs."""


ALL_TYPES = ""
"""In the place of a node type: ids count over all types, in the order of the schema."""


class ClassBatch(NamedTuple):
    """Nodes, or pairs of nodes, each of one class."""

    src: npt.NDArray[np.int64]
    """(n,) ids within the task's source type."""
    dst: npt.NDArray[np.int64] | None
    """(n,) ids within its target type; None where samples are single nodes."""
    label: npt.NDArray[np.int64]
    """(n,) classes, from 0."""


class ClassTask(Protocol):
    """A task that sorts nodes or pairs of nodes into classes, usable alone or beside others."""

    @property
    def name(self) -> str:
        """A short name for tables and plots."""

    @property
    def n_classes(self) -> int:
        """Number of classes, at least 2."""

    @property
    def source_type(self) -> str:
        """Node type of the samples, or of the pairs' first node; ``ALL_TYPES`` for any."""

    @property
    def target_type(self) -> str | None:
        """Node type of the pairs' second node, or ``ALL_TYPES``; None for single nodes."""

    def draw(self, n: int, rng: np.random.Generator) -> ClassBatch:
        """``n`` samples."""


def class_losses(logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy of every sample in nats, (n,), from logits (n, classes); no reduction."""
    return torch.nn.functional.cross_entropy(logits, label, reduction="none")


def binary_losses(logits: Tensor, label: Tensor) -> Tensor:
    """Binary cross-entropy of every sample in nats, from logits; same shape, no reduction."""
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, label, reduction="none")
