"""Data sets: readers, synthetic graphs, splits, and the registry that finds or fetches them."""

from dglmeta.data.catalogue import DATASETS
from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.folder import read_folder
from dglmeta.data.gtn import GtnLayout, read_gtn, read_gtn_acm, read_gtn_imdb
from dglmeta.data.node_splits import LabelledNodes, NodeSplit
from dglmeta.data.pairs import draw_negatives
from dglmeta.data.readers import read_kgat, read_lastfm, read_ripple
from dglmeta.data.registry import load_dataset
from dglmeta.data.splits import LinkSplit, Rows, k_folds, split_links
from dglmeta.data.synthetic import planted, toy

__all__ = [
    "DATASETS",
    "Card",
    "Dataset",
    "GtnLayout",
    "LabelledNodes",
    "LinkSplit",
    "NodeSplit",
    "Rows",
    "draw_negatives",
    "k_folds",
    "load_dataset",
    "planted",
    "read_folder",
    "read_gtn",
    "read_gtn_acm",
    "read_gtn_imdb",
    "read_kgat",
    "read_lastfm",
    "read_ripple",
    "split_links",
    "toy",
]
