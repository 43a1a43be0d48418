"""Hub nodes tied into a sampled neighbourhood, so that distant parts of it hear of each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.errors import ConfigError, DeviceError, SchemaError
from dglmeta.graph import EdgeType, HeteroCSR, Step
from dglmeta.kernels.cpu.relabel import Numbering
from dglmeta.kernels.twins import namespace, repeat_each, twin
from dglmeta.paths.chain import Array, check_ids
from dglmeta.paths.frontier import array_of, as_heterograph, beside
from dglmeta.paths.neighbors import EdgeList, NeighborSample, local_graph

__all__ = ["add_hubs", "find_hubs"]


def add_hubs(
    block: NeighborSample,
    hg: Any,
    n_hubs: int = 5,
    *,
    edge_type: str | EdgeType | None = None,
    hubs: Mapping[str, npt.ArrayLike] | None = None,
) -> NeighborSample:
    """The sample with the graph's hubs in it, and with all edges between hubs and its nodes.

    An edge of any type is added when it joins a hub and a node of the sample, or two hubs,
    whichever way it runs. So hubs hear from, and speak to, all of the sample.

    Parameters
    ----------
    block : NeighborSample
        From :func:`dglmeta.sample_neighbors` on the same graph, on the same device.
    hg : HeteroCSR, DGLGraph or Adjacency
        The whole graph: for training, the training graph.
    n_hubs : int
        How many of the nodes with most edges are hubs.
    edge_type : triple or relation, optional
        Take as hubs the destinations of most edges of this type: for recommendations, the items
        most users rated. When absent, the nodes of any type with most edges of all types.
    hubs : dict of str to (n,) integers, optional
        The hubs themselves, by node type, in the place of ``n_hubs`` and ``edge_type``: those of
        :func:`find_hubs`, found once for all batches.

    Returns
    -------
    sample : NeighborSample
        Local nodes of ``block`` keep their ids; hubs it lacked come after them. Edges are
        renumbered, by rising id in the whole graph.

    Raises
    ------
    ConfigError
        If ``n_hubs`` is negative.
    SchemaError
        If there is no such edge type, or a hub's node type is not in the graph.
    DataError
        If a hub is out of range.
    DeviceError
        If the sample and the graph lie on different devices.

    Notes
    -----
    Cost O(size of the block + edges of a hub or, if less, nodes of the block times log edges of a
    hub); without ``hubs`` also O(nodes of the graph). Where relations are stored in one direction
    only, let the encoder pass messages both ways, as for any other edge.

    References
    ----------
    HintNet in SELAR, arXiv 2007.08294. Its authors' program adds only edges towards hubs, and only
    from the last hop.

    Examples
    --------
    >>> from dglmeta import Adjacency, sample_neighbors
    >>> star = Adjacency.from_coo([1, 2, 3, 3], [0, 0, 0, 2], (4, 4))
    >>> block = sample_neighbors(star, [2], fanouts=[-1])
    >>> hubbed = add_hubs(block, star, n_hubs=1)
    >>> hubbed.node_ids["_N"], hubbed.edge_ids["_N", "_E", "_N"]
    (array([2, 3, 0]), array([1, 2, 3]))
    """
    hg = as_heterograph(hg)
    if block.graph.device != hg.device:
        raise DeviceError(
            f"add_hubs: expected the sample on {hg.device!r}, where the graph is, got one on "
            f"{block.graph.device!r}. Bring the graph there with hg.to({block.graph.device!r})."
        )
    kernels = twin("relabel", array_of(hg))
    found = find_hubs(hg, n_hubs, edge_type=edge_type) if hubs is None else _checked(hg, hubs)
    numbers = {t: kernels.number(block.node_ids[t], [found[t]], n) for t, n in hg.n_nodes.items()}
    edges = {}
    for triple in hg.schema.edge_types:
        sampled = EdgeList(*block.graph.adjacency(triple).coo(), block.edge_ids[triple])
        steps = [Step(triple, leaving) for leaving in (True, False)]
        tied = [_edges_of(hg, s, found[s.source], numbers) for s in steps if len(found[s.source])]
        edges[triple] = [sampled, *tied]
    return local_graph(hg, {t: numbered.nodes for t, numbered in numbers.items()}, edges)


def find_hubs(
    hg: HeteroCSR, n_hubs: int, *, edge_type: str | EdgeType | None = None
) -> dict[str, Array]:
    """Ids of the hubs by node type, as :func:`add_hubs` chooses them; ties go to the lower id.

    Raises
    ------
    ConfigError
        If ``n_hubs`` is negative.
    SchemaError
        If there is no such edge type.
    """
    if n_hubs < 0:
        raise ConfigError(f"add_hubs: expected n_hubs >= 0, got {n_hubs}. Give 0 for none.")
    xp = namespace(array_of(hg))
    degrees = {t: xp.zeros(n, np.int64) for t, n in hg.n_nodes.items()}
    chosen = hg.schema.edge_types if edge_type is None else (hg.schema.edge_type(edge_type),)
    for triple in chosen:
        adj = hg.adjacency(triple)
        degrees[triple[2]] += adj.T.out_degrees
        if edge_type is None:
            degrees[triple[0]] += adj.out_degrees
    eligible = list(degrees) if edge_type is None else [chosen[0][2]]
    offsets = np.cumsum([0, *(len(degrees[t]) for t in eligible)]).tolist()
    every = xp.concatenate([degrees[t] for t in eligible])
    ranked = twin("hub", every).top_hubs(every, n_hubs)
    hubs = {t: xp.zeros(0, np.int64) for t in degrees}
    for t, begin, end in zip(eligible, offsets[:-1], offsets[1:], strict=True):
        hubs[t] = ranked[(ranked >= begin) & (ranked < end)] - begin
    return hubs


def _checked(hg: HeteroCSR, hubs: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
    """The hubs of every node type, each once."""
    unknown = [t for t in hubs if t not in hg.n_nodes]
    if unknown:
        raise SchemaError(
            f"add_hubs: unknown node type {unknown[0]!r} among the hubs. "
            f"There are: {', '.join(hg.n_nodes)}."
        )
    ids = {t: check_ids("add_hubs", hubs.get(t, ()), n, t) for t, n in hg.n_nodes.items()}
    return {t: beside(hg, twin("relabel", some).distinct(some)) for t, some in ids.items()}


def _edges_of(hg: HeteroCSR, step: Step, hubs: Array, numbers: Mapping[str, Numbering]) -> EdgeList:
    """Edges between hubs, where the step begins, and nodes where it arrives; ends in local ids."""
    adj, there = hg.step_adjacency(*step), numbers[step.target]
    kernels = twin("relabel", hubs)
    indptr, others, edge_ids = twin("hub", hubs).hub_edges(
        adj.indptr, adj.indices, adj.edge_ids, hubs, np.sort(there.nodes), adj.n_dst
    )
    near = repeat_each(kernels.look_up(numbers[step.source], hubs), np.diff(indptr))
    far = kernels.look_up(there, others)
    return EdgeList(*((near, far) if step.forward else (far, near)), edge_ids)
