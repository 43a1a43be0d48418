"""Encoders and heads."""

from dglmeta.nn.encoder import Encoder, Messages, message_adjacency, with_loops
from dglmeta.nn.gat import GAT
from dglmeta.nn.gnn import GCN, GIN, SAGE, SGC, StackedSGC
from dglmeta.nn.gtn import GTN
from dglmeta.nn.han import HAN
from dglmeta.nn.heads import ClassHead, PairHeads
from dglmeta.nn.hint import HintMixer, HintNets, HintPlan, mix
from dglmeta.nn.model import ClassKind, FeatureMatrix, JointModel, Located, Samples
from dglmeta.nn.weighting import SampleWeighter

__all__ = [
    "GAT",
    "GCN",
    "GIN",
    "GTN",
    "HAN",
    "SAGE",
    "SGC",
    "ClassHead",
    "ClassKind",
    "Encoder",
    "FeatureMatrix",
    "HintMixer",
    "HintNets",
    "HintPlan",
    "JointModel",
    "Located",
    "Messages",
    "PairHeads",
    "SampleWeighter",
    "Samples",
    "StackedSGC",
    "message_adjacency",
    "mix",
    "with_loops",
]
