"""Some graphs of a table one after another, as layers read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.graph import Adjacency
from dglmeta.nn.multi_task import TaskGraphs
from dglmeta.tasks.graphs.few_shot import degree_profile
from dglmeta.tasks.graphs.rows import GraphRows, both_ways
from dglmeta.tasks.graphs.spans import pointers, spans

__all__ = ["hear", "layout_edges", "layout_rows", "task_graphs"]

Ids = npt.NDArray[np.int64]


def layout_rows(rows: GraphRows, numbers: Ids) -> tuple[Ids, Ids]:
    """Where graphs that stand one after another begin, and which node each of their rows is.

    Parameters
    ----------
    rows : GraphRows
    numbers : (k,) int64
        Graphs in any order; one may come again.

    Returns
    -------
    node_ptr : (k + 1,) int64
        Rows of the graph at position i: ``node_ptr[i]`` up to ``node_ptr[i + 1]``.
    node : (N',) int64
        Node of each row, as ``rows`` numbers it.
    """
    n_each = rows.n_nodes[numbers]
    return pointers(n_each), spans(rows.node_ptr[numbers], n_each)


def layout_edges(rows: GraphRows, numbers: Ids) -> tuple[Ids, Ids]:
    """The undirected edges of graphs that stand one after another.

    Parameters
    ----------
    rows : GraphRows
    numbers : (k,) int64
        As in :func:`layout_rows`.

    Returns
    -------
    edges : (m', 2) int64
        u < v in the numbering of :func:`layout_rows`, ascending.
    position : (m',) int64
        Position in ``numbers`` of the graph of each edge.
    """
    n_each = rows.n_edges[numbers]
    position = np.repeat(np.arange(len(numbers)), n_each)
    shift = pointers(rows.n_nodes[numbers])[:-1] - rows.node_ptr[numbers]
    edges = rows.edges[spans(rows.edge_ptr[numbers], n_each)]
    return edges + shift[position, None], position


def task_graphs(
    rows: GraphRows,
    numbers: Ids,
    edges: Ids,
    task_ptr: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float32,
) -> TaskGraphs:
    """Graphs one after another, with messages over some edges, as an encoder reads them.

    Parameters
    ----------
    rows : GraphRows
    numbers : (k,) int64
        As in :func:`layout_rows`.
    edges : (n, 2) int64
        Undirected edges u != v in the numbering of :func:`layout_rows`, each once. Messages pass
        both ways, and from each node to itself.
    task_ptr : sequence of int, optional
        Rows at which tasks begin, and the number of rows; by default there is one task.
    dtype : torch.dtype
        float32 or float64.
    """
    _, node = layout_rows(rows, numbers)
    heard, messages, weight = hear(rows, node, edges, dtype)
    return TaskGraphs(heard, messages, weight, tuple(task_ptr or (0, len(node))))


def hear(
    rows: GraphRows, node: Ids, edges: Ids, dtype: torch.dtype
) -> tuple[Tensor, Adjacency, Tensor]:
    """Â X, the pattern of Â = D^-1/2 (A + I) D^-1/2, and its values by position.

    ``node`` are the nodes that the rows of a layout are; ``edges`` (n, 2) are undirected, u != v,
    each once, by row; ``dtype`` is that of what is returned.
    """
    real = torch.empty(0, dtype=dtype).numpy().dtype
    x = rows.x[node]
    if rows.degrees is not None:
        columns, centre, unit = rows.degrees
        profile = degree_profile(both_ways(edges, len(node), loops=False))
        x[:, columns] = (profile - centre) / unit
    adj = both_ways(edges, len(node), loops=True)
    n_heard = adj.out_degrees
    root = 1 / np.sqrt(n_heard)
    weight = (np.repeat(root, n_heard) * root[adj.indices]).astype(real)
    heard = adj.to_scipy(weight) @ x.astype(real, copy=False)
    return torch.from_numpy(heard), adj, torch.from_numpy(weight)
