"""Encoders and heads."""

from dglmeta.nn.gnn import GCN, message_adjacency
from dglmeta.nn.heads import PairHeads
from dglmeta.nn.weighting import SampleWeighter

__all__ = ["GCN", "PairHeads", "SampleWeighter", "message_adjacency"]
