"""Tasks: what is drawn, what is predicted, and how well."""

from dglmeta.tasks.base import (
    ALL_TYPES,
    ClassBatch,
    ClassTask,
    PairBatch,
    PairTask,
    binary_losses,
    class_losses,
)
from dglmeta.tasks.clustering import cluster_scores, tsne
from dglmeta.tasks.contrast import info_nce, progressive_negatives
from dglmeta.tasks.distance import DistanceTask
from dglmeta.tasks.episodes import (
    Episode,
    Episodes,
    LinkHoldout,
    Part,
    hold_out_links,
    merge_episodes,
)
from dglmeta.tasks.few_labels import classification_scores, probe_few_labels
from dglmeta.tasks.graphs import (
    FEATURES,
    FewShotBatch,
    FewShotGraph,
    GraphRows,
    LocatedPairs,
    Pairs,
    degree_profile,
    evidence_loss,
    graph_rows,
    pair_logits,
    task_graphs,
)
from dglmeta.tasks.heuristics import adamic_adar, cosine_scores, deepwalk
from dglmeta.tasks.joint import JointBatch, JointTasks
from dglmeta.tasks.link import LinkTask, PairedLinkTask, TargetEdges
from dglmeta.tasks.metapath import MetaPathTask
from dglmeta.tasks.metrics import area_under_curve, class_metrics, link_metrics, ranking_metrics
from dglmeta.tasks.node import NodeTask
from dglmeta.tasks.path_neighbours import top_path_neighbours
from dglmeta.tasks.primary import (
    LinkPrediction,
    NodeClassification,
    Primary,
    Recommendation,
    primary_task,
    split_of,
)
from dglmeta.tasks.reconstruction import (
    enhanced_scaled_cosine,
    enhanced_scaled_cosine_error,
    gaussian_kl,
    scaled_cosine,
    scaled_cosine_error,
)
from dglmeta.tasks.structure import (
    AUXILIARY,
    ClusteringTask,
    DegreeTask,
    PageRankTask,
    PartitionTask,
)
from dglmeta.tasks.surroundings import Surroundings, View

__all__ = [
    "ALL_TYPES",
    "AUXILIARY",
    "ClassBatch",
    "ClassTask",
    "ClusteringTask",
    "DegreeTask",
    "DistanceTask",
    "Episode",
    "Episodes",
    "FEATURES",
    "FewShotBatch",
    "FewShotGraph",
    "GraphRows",
    "JointBatch",
    "JointTasks",
    "LinkHoldout",
    "LinkPrediction",
    "LinkTask",
    "LocatedPairs",
    "MetaPathTask",
    "NodeClassification",
    "NodeTask",
    "PageRankTask",
    "PairBatch",
    "PairTask",
    "PairedLinkTask",
    "Pairs",
    "Part",
    "PartitionTask",
    "Primary",
    "Recommendation",
    "Surroundings",
    "TargetEdges",
    "View",
    "adamic_adar",
    "area_under_curve",
    "binary_losses",
    "class_losses",
    "class_metrics",
    "classification_scores",
    "cluster_scores",
    "cosine_scores",
    "deepwalk",
    "degree_profile",
    "enhanced_scaled_cosine",
    "enhanced_scaled_cosine_error",
    "evidence_loss",
    "gaussian_kl",
    "graph_rows",
    "hold_out_links",
    "info_nce",
    "link_metrics",
    "merge_episodes",
    "pair_logits",
    "primary_task",
    "probe_few_labels",
    "progressive_negatives",
    "ranking_metrics",
    "scaled_cosine",
    "scaled_cosine_error",
    "split_of",
    "task_graphs",
    "top_path_neighbours",
    "tsne",
]
