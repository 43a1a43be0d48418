"""Encoders and heads."""

from dglmeta.nn.encoder import Encoder, Messages, message_adjacency
from dglmeta.nn.gnn import GCN
from dglmeta.nn.heads import PairHeads
from dglmeta.nn.weighting import SampleWeighter

__all__ = ["GCN", "Encoder", "Messages", "PairHeads", "SampleWeighter", "message_adjacency"]
