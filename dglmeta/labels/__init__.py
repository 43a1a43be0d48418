"""Auxiliary labels from meta-paths: which pairs are joined, and which are not. No torch."""

from dglmeta.labels.block import Labels
from dglmeta.labels.estimate import LabelPlan
from dglmeta.labels.memory import PairLabels, label_pairs
from dglmeta.labels.run import generate
from dglmeta.labels.store import LabelStore

__all__ = ["LabelPlan", "LabelStore", "Labels", "PairLabels", "generate", "label_pairs"]
