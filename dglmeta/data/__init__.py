"""Data sets: readers, synthetic graphs, splits, and the registry that finds or fetches them."""

from dglmeta.data.catalogue import DATASETS
from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.egos import ego_networks, read_amazon_computers_egos
from dglmeta.data.few_shot import FewShotSplit, few_shot_split
from dglmeta.data.folder import read_folder
from dglmeta.data.formats import (
    GtnLayout,
    HecoLayout,
    read_amazon_computers,
    read_amazon_photo,
    read_gtn,
    read_gtn_acm,
    read_gtn_imdb,
    read_heco,
    read_kgat,
    read_lastfm,
    read_npz_graph,
    read_ohmnet,
    read_planetoid,
    read_ppi,
    read_ripple,
    read_tu,
)
from dglmeta.data.graph_dataset import (
    LINK,
    NODE,
    GraphDataset,
    GraphSplit,
    one_graph,
    undirected,
)
from dglmeta.data.imbalance import step_imbalance
from dglmeta.data.node_splits import LabelledNodes, NodeSplit
from dglmeta.data.pairs import draw_negatives
from dglmeta.data.registry import load_dataset
from dglmeta.data.splits import LinkSplit, Rows, k_folds, split_links
from dglmeta.data.synthetic import planted, toy, toy_citations, toy_graphs, toy_papers

__all__ = [
    "DATASETS",
    "LINK",
    "NODE",
    "Card",
    "Dataset",
    "FewShotSplit",
    "GraphDataset",
    "GraphSplit",
    "GtnLayout",
    "HecoLayout",
    "LabelledNodes",
    "LinkSplit",
    "NodeSplit",
    "Rows",
    "draw_negatives",
    "ego_networks",
    "few_shot_split",
    "k_folds",
    "load_dataset",
    "one_graph",
    "planted",
    "read_amazon_computers",
    "read_amazon_computers_egos",
    "read_amazon_photo",
    "read_folder",
    "read_gtn",
    "read_gtn_acm",
    "read_gtn_imdb",
    "read_heco",
    "read_kgat",
    "read_lastfm",
    "read_npz_graph",
    "read_ohmnet",
    "read_planetoid",
    "read_ppi",
    "read_ripple",
    "read_tu",
    "split_links",
    "step_imbalance",
    "toy",
    "toy_citations",
    "toy_graphs",
    "toy_papers",
    "undirected",
]
