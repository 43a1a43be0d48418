"""Auxiliary and meta learning on large heterogeneous graphs.

Everything named here loads when it is first used, so ``import dglmeta`` itself is quick and brings
in neither torch nor DGL.

Examples
--------
>>> import dglmeta as dm
>>> schema = dm.Schema(("user", "item"), (("user", "rated", "item"),))
>>> str(dm.MetaPath.parse("user-item-user", schema))
'user-[rated]-item-[~rated]-user'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dglmeta import data, errors, graph, labels, meta, nn, ops, paths, systems
    from dglmeta._dgl import load_dgl
    from dglmeta.data import load_dataset
    from dglmeta.graph import Adjacency, GraphBatch, HeteroCSR, MetaPath, Schema
    from dglmeta.paths import (
        NeighborLoader,
        add_hubs,
        estimate_product,
        metapath_connected,
        metapath_product,
        sample_blocks,
        sample_metapath_pairs,
        sample_neighbors,
    )

__all__ = [
    "Adjacency",
    "GraphBatch",
    "HeteroCSR",
    "MetaPath",
    "NeighborLoader",
    "Schema",
    "__version__",
    "add_hubs",
    "data",
    "errors",
    "estimate_product",
    "graph",
    "labels",
    "load_dataset",
    "load_dgl",
    "meta",
    "metapath_connected",
    "metapath_product",
    "nn",
    "ops",
    "paths",
    "sample_blocks",
    "sample_metapath_pairs",
    "sample_neighbors",
    "systems",
]

__version__ = "0.1.0"

_ROOM_OF = {
    "Adjacency": "graph",
    "GraphBatch": "graph",
    "HeteroCSR": "graph",
    "MetaPath": "graph",
    "NeighborLoader": "paths",
    "Schema": "graph",
    "add_hubs": "paths",
    "estimate_product": "paths",
    "load_dataset": "data",
    "load_dgl": "_dgl",
    "metapath_connected": "paths",
    "metapath_product": "paths",
    "sample_blocks": "paths",
    "sample_metapath_pairs": "paths",
    "sample_neighbors": "paths",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'dglmeta' has no attribute {name!r}")
    if name not in _ROOM_OF:
        return import_module(f"dglmeta.{name}")
    value = getattr(import_module(f"dglmeta.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *__all__})
