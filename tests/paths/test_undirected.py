"""One simple undirected graph over the nodes of all types."""

import networkx as nx
import numpy as np
from hypothesis import given

from dglmeta.graph import HeteroCSR
from dglmeta.paths.undirected import as_undirected


def test_it_is_the_simple_graph_of_all_edges(heterographs):
    @given(heterographs())
    def check(hg):
        offsets = hg.homogeneous().offsets
        expected = nx.empty_graph(sum(hg.n_nodes.values()))
        for source, relation, target in hg.schema.edge_types:
            src, dst = hg.adjacency((source, relation, target)).coo()
            ends = src + offsets[source], dst + offsets[target]
            expected.add_edges_from((u, v) for u, v in zip(*ends, strict=True) if u != v)
        graph = as_undirected(hg)
        dense = nx.to_numpy_array(expected) if len(expected) else np.zeros((0, 0))
        assert np.array_equal(graph.to_scipy().toarray(), dense)
        assert graph.n_edges == 2 * expected.number_of_edges()

    check()


def test_storing_reverse_edges_as_a_type_of_their_own_changes_nothing():
    src, dst = np.array([0, 0, 1]), np.array([0, 1, 1])
    n_nodes = {"user": 3, "item": 2}
    once = HeteroCSR.from_edges({("user", "rated", "item"): (src, dst)}, n_nodes)
    twice = HeteroCSR.from_edges(
        {("user", "rated", "item"): (src, dst), ("item", "rated_by", "user"): (dst, src)}, n_nodes
    )
    a, b = as_undirected(once), as_undirected(twice)
    assert np.array_equal(a.indptr, b.indptr)
    assert np.array_equal(a.indices, b.indices)
