"""Encoders and heads."""

from dglmeta.nn.encoder import Encoder, Messages, message_adjacency, with_loops
from dglmeta.nn.gat import GAT
from dglmeta.nn.gnn import GCN, GIN, SAGE, SGC, StackedSGC
from dglmeta.nn.gtn import GTN
from dglmeta.nn.han import HAN
from dglmeta.nn.heads import ClassHead, PairHeads
from dglmeta.nn.hint import HintMixer, HintNets, HintPlan, mix
from dglmeta.nn.model import ClassKind, FeatureMatrix, JointModel, Located, Samples
from dglmeta.nn.signature import GraphSignature
from dglmeta.nn.stacked import StackedGraphs, stack_graphs, tile_product
from dglmeta.nn.vgae import VGAE, encode, kl_divergence
from dglmeta.nn.weighting import SampleWeighter

__all__ = [
    "ClassHead",
    "ClassKind",
    "Encoder",
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
    "PairHeads",
    "SAGE",
    "SGC",
    "SampleWeighter",
    "Samples",
    "StackedGraphs",
    "StackedSGC",
    "VGAE",
    "encode",
    "kl_divergence",
    "message_adjacency",
    "mix",
    "stack_graphs",
    "tile_product",
    "with_loops",
]
