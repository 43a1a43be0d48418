"""Tasks: what is drawn, what is predicted, and how well."""

from dglmeta.tasks.base import PairBatch, PairTask, binary_losses
from dglmeta.tasks.joint import JointBatch, JointPairs
from dglmeta.tasks.link import LinkTask
from dglmeta.tasks.metapath import MetaPathTask
from dglmeta.tasks.metrics import link_metrics

__all__ = [
    "JointBatch",
    "JointPairs",
    "LinkTask",
    "MetaPathTask",
    "PairBatch",
    "PairTask",
    "binary_losses",
    "link_metrics",
]
