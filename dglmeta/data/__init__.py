"""Data sets: readers, synthetic graphs, splits, and the registry that finds or fetches them."""

from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.folder import read_folder
from dglmeta.data.pairs import draw_negatives
from dglmeta.data.readers import read_kgat, read_lastfm, read_ripple
from dglmeta.data.registry import DATASETS, load_dataset
from dglmeta.data.splits import LinkSplit, Rows, k_folds, split_links
from dglmeta.data.synthetic import planted, toy

__all__ = [
    "DATASETS",
    "Card",
    "Dataset",
    "LinkSplit",
    "Rows",
    "draw_negatives",
    "k_folds",
    "load_dataset",
    "planted",
    "read_folder",
    "read_kgat",
    "read_lastfm",
    "read_ripple",
    "split_links",
    "toy",
]
