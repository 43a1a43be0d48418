"""Meta-path products, membership, and sampling of pairs and neighbours. Arrays only, no torch."""

from dglmeta.paths.blocks import Block, NeighborBlocks, sample_blocks
from dglmeta.paths.connected import Density, estimate_density, metapath_connected
from dglmeta.paths.hubs import add_hubs, find_hubs
from dglmeta.paths.loader import NeighborLoader
from dglmeta.paths.neighbors import NeighborSample, sample_neighbors
from dglmeta.paths.pairs import sample_metapath_pairs, sample_unconnected_pairs
from dglmeta.paths.plan import ProductEstimate, estimate_product
from dglmeta.paths.product import metapath_product

__all__ = [
    "Block",
    "Density",
    "NeighborBlocks",
    "NeighborLoader",
    "NeighborSample",
    "ProductEstimate",
    "add_hubs",
    "estimate_density",
    "estimate_product",
    "find_hubs",
    "metapath_connected",
    "metapath_product",
    "sample_blocks",
    "sample_metapath_pairs",
    "sample_neighbors",
    "sample_unconnected_pairs",
]
