"""Encoders and heads."""

from dglmeta.nn.gnn import GCN, Messages, message_adjacency
from dglmeta.nn.heads import PairHeads
from dglmeta.nn.weighting import SampleWeighter

__all__ = ["GCN", "Messages", "PairHeads", "SampleWeighter", "message_adjacency"]
