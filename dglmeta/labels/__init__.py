"""Auxiliary labels from meta-paths: which pairs are joined, and which are not. No torch."""

from dglmeta.labels.memory import PairLabels, label_pairs

__all__ = ["PairLabels", "label_pairs"]
