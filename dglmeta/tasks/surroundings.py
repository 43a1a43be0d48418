"""What messages run on in a batch: the whole training graph, or sampled parts of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.graph import HeteroCSR, Homogeneous
from dglmeta.paths import NeighborSample, add_hubs, sample_neighbors
from dglmeta.paths.frontier import EDGE, NODE, as_heterograph

__all__ = ["Surroundings", "View"]

Ids = npt.NDArray[np.int64]


class View(NamedTuple):
    """The graph of a batch."""

    graph: Homogeneous
    """The nodes and edges that messages run on."""
    edge_weight: Tensor
    """(n_edges,) float32 by edge id: 0 on the edges the batch asks about, else 1."""
    nodes: Tensor | None = None
    """(n,) int64: which of all nodes the graph's are; None where it has all."""
    wanted: Tensor | None = None
    """(n,) int64: nodes of the graph to be embedded; None for the samples' own."""
    hint_graph: Homogeneous | None = None
    """Over the wanted nodes: their sampled neighbourhood, with hubs."""
    hint_weight: Tensor | None = None
    """(n_edges,) of the hint graph, as ``edge_weight``."""


class Surroundings:
    """Makes the view of a batch.

    Parameters
    ----------
    everything : Homogeneous
        All nodes and training edges, both ways.
    fanouts : tuple of int
        Neighbours sampled a node, one a hop; empty to run on the whole graph.
    hint_fanouts : tuple of int
        The same for the graph of the hint networks; empty where there are none. Where the batch's
        graph is sampled, the hint graph is that graph with hubs in it.
    hubs : (n_hubs,) int64
        Nodes over all types that are tied into the hint graph.
    hubs_hear_only : bool
        As published: edges run only towards hubs, and only from the last hop's nodes.
    """

    def __init__(
        self,
        everything: Homogeneous,
        *,
        fanouts: tuple[int, ...] = (),
        hint_fanouts: tuple[int, ...] = (),
        hubs: Ids | None = None,
        hubs_hear_only: bool = False,
    ) -> None:
        self.everything = everything
        self.fanouts, self.hint_fanouts = fanouts, hint_fanouts
        self.hubs = np.zeros(0, np.int64) if hubs is None else hubs
        self.hubs_hear_only = hubs_hear_only
        self._begins = np.array([*everything.edge_offsets.values()])
        self._graph = as_heterograph(everything.adjacency) if fanouts or hint_fanouts else None
        self._ones: Tensor | None = None

    def around(self, ends: Ids, removed: Ids, seed: int) -> View:
        """The view of a batch.

        Parameters
        ----------
        ends : (n,) int64
            Distinct nodes of its samples, ascending.
        removed : (m,) int64
            Edges that messages must not run along.
        seed : int
            Of what is sampled.
        """
        if self.fanouts:
            return self._sampled(ends, removed, seed)
        weight = self.all_edges.clone()
        weight[torch.from_numpy(removed).to(weight.device)] = 0
        view = View(self.everything, weight)
        if not self.hint_fanouts:
            return view
        _, hubbed = self._sample(ends, self.hint_fanouts, seed)
        wanted = torch.from_numpy(hubbed.node_ids[NODE])
        hint_graph, hint_weight = self._local(hubbed, removed)
        return view._replace(wanted=wanted, hint_graph=hint_graph, hint_weight=hint_weight)

    @property
    def all_edges(self) -> Tensor:
        """(n_edges,) ones."""
        if self._ones is None:
            adj = self.everything.adjacency
            self._ones = torch.ones(adj.n_edges, device=adj.device)
        return self._ones

    def _sampled(self, ends: Ids, removed: Ids, seed: int) -> View:
        block, hubbed = self._sample(ends, self.fanouts, seed)
        nodes = torch.from_numpy(hubbed.node_ids[NODE])
        if not self.hint_fanouts:
            return View(*self._local(block, removed), nodes)
        # Hubs that were not sampled belong to the batch's graph too, without edges.
        lonely = block._replace(graph=_over(block, len(nodes)))
        view = View(*self._local(lonely, removed), nodes, torch.arange(len(nodes)))
        hint_graph, hint_weight = self._local(hubbed, removed)
        return view._replace(hint_graph=hint_graph, hint_weight=hint_weight)

    def _sample(
        self, ends: Ids, fanouts: tuple[int, ...], seed: int
    ) -> tuple[NeighborSample, NeighborSample]:
        """The sampled neighbourhood of the samples' nodes, and the same with hubs."""
        block = sample_neighbors(self._graph, ends, fanouts, seed)
        if not len(self.hubs) or not self.hint_fanouts:
            return block, block
        hubbed = add_hubs(block, self._graph, hubs={NODE: self.hubs})
        if self.hubs_hear_only:
            first = sample_neighbors(self._graph, ends, fanouts[:-1], seed)
            hubbed = _heard_by_hubs(block, hubbed, first, self.hubs)
        return block, hubbed

    def _local(self, sample: NeighborSample, removed: Ids) -> tuple[Homogeneous, Tensor]:
        """The sample's graph with its edge types, and the weights of its edges."""
        ids = sample.edge_ids[EDGE]  # rising, so that edges of a type stay together
        begins = np.searchsorted(ids, self._begins).tolist()
        offsets = dict(zip(self.everything.edge_offsets, begins, strict=True))
        weight = torch.ones(len(ids))
        place = np.searchsorted(ids, removed)
        inside = place < len(ids)
        inside[inside] = ids[place[inside]] == removed[inside]
        weight[torch.from_numpy(place[inside])] = 0
        return Homogeneous(sample.graph.adjacency(EDGE), {NODE: 0}, offsets), weight


def _over(block: NeighborSample, n_nodes: int) -> HeteroCSR:
    """The block's graph with further nodes, which have no edges."""
    src, dst = block.graph.adjacency(EDGE).coo()
    return HeteroCSR.from_edges({EDGE: (src, dst)}, {NODE: n_nodes})


def _heard_by_hubs(
    block: NeighborSample, hubbed: NeighborSample, first: NeighborSample, hubs: Ids
) -> NeighborSample:
    """Of the edges that hubs brought, those towards hubs from the last hop's nodes.

    The last hop's nodes are those that send to the hop before, ``first`` less the last hop.
    """
    nodes, ids = hubbed.node_ids[NODE], hubbed.edge_ids[EDGE]
    src, dst = hubbed.graph.adjacency(EDGE).coo()
    sampled = np.isin(ids, block.edge_ids[EDGE], assume_unique=True)
    late = ~np.isin(block.edge_ids[EDGE], first.edge_ids[EDGE], assume_unique=True)
    last = np.unique(block.graph.adjacency(EDGE).coo()[0][late])  # local ids are the same
    kept = sampled | (np.isin(nodes[dst], hubs) & np.isin(src, last))
    graph = HeteroCSR.from_edges({EDGE: (src[kept], dst[kept])}, {NODE: len(nodes)})
    return NeighborSample(hubbed.node_ids, graph, {EDGE: ids[kept]})
