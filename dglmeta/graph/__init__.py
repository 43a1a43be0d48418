"""The heterogeneous graph, its schema and meta-paths, and the ways in and out of it."""

from dglmeta.graph.adjacency import Adjacency
from dglmeta.graph.batch import GraphBatch
from dglmeta.graph.convert import as_csr
from dglmeta.graph.csr import HeteroCSR, Homogeneous
from dglmeta.graph.schema import EdgeType, MetaPath, Schema, Step

__all__ = [
    "Adjacency",
    "EdgeType",
    "GraphBatch",
    "HeteroCSR",
    "Homogeneous",
    "MetaPath",
    "Schema",
    "Step",
    "as_csr",
]
