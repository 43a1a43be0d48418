"""Encoders and heads."""

from dglmeta.nn.encoder import Encoder, Messages, message_adjacency, with_loops
from dglmeta.nn.gat import GAT
from dglmeta.nn.gnn import GCN, GIN, SAGE, SGC, StackedSGC
from dglmeta.nn.gtn import GTN
from dglmeta.nn.han import HAN
from dglmeta.nn.heads import ClassHead, PairHeads
from dglmeta.nn.hint import HintMixer, HintNets, HintPlan, mix
from dglmeta.nn.model import ClassKind, FeatureMatrix, JointModel, Located, Samples
from dglmeta.nn.multi_task import (
    EncoderForm,
    MultiTaskModel,
    Question,
    TaskGraphs,
    answer,
    encode_tasks,
)
from dglmeta.nn.signature import GraphSignature
from dglmeta.nn.stacked import StackedGraphs, stack_graphs, tile_product
from dglmeta.nn.vgae import VGAE, encode, kl_divergence
from dglmeta.nn.weighting import SampleWeighter

__all__ = [
    "ClassHead",
    "ClassKind",
    "Encoder",
    "EncoderForm",
    "FeatureMatrix",
    "GAT",
    "GCN",
    "GIN",
    "GTN",
    "GraphSignature",
    "HAN",
    "HintMixer",
    "HintNets",
    "HintPlan",
    "JointModel",
    "Located",
    "Messages",
    "MultiTaskModel",
    "PairHeads",
    "Question",
    "SAGE",
    "SGC",
    "SampleWeighter",
    "Samples",
    "StackedGraphs",
    "StackedSGC",
    "TaskGraphs",
    "VGAE",
    "answer",
    "encode",
    "encode_tasks",
    "kl_divergence",
    "message_adjacency",
    "mix",
    "stack_graphs",
    "tile_product",
    "with_loops",
]
