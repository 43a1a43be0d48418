"""DGL graphs and SciPy matrices, there and back; as_csr."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse

from dglmeta._dgl import load_dgl
from dglmeta.errors import DataError
from dglmeta.graph import HeteroCSR, as_csr

dgl = load_dgl()
RATED, KNOWS = ("user", "rated", "item"), ("user", "knows", "user")


def a_dgl_graph(**options):
    edges = {RATED: ([1, 0, 1], [1, 0, 1]), KNOWS: ([0], [1])}
    return dgl.heterograph(edges, {"user": 3, "item": 2}, **options)


@settings(max_examples=60)
@given(st.data(), st.sampled_from((np.int32, np.int64)))
def test_to_dgl_and_back_changes_nothing(heterographs, assert_same, data, index_dtype):
    hg = data.draw(heterographs(text=False, min_edge_types=1))
    graph = hg.to_dgl(index_dtype=index_dtype)
    assert graph.idtype == torch.from_numpy(np.zeros(0, index_dtype)).dtype
    assert_same(HeteroCSR.from_dgl(graph), hg)


@pytest.mark.parametrize("formats", ["coo", "csr", "csc", ["coo", "csr"]])
def test_edges_keep_their_dgl_ids_whatever_format_dgl_holds(formats):
    graph = a_dgl_graph().formats(formats)
    src, dst = HeteroCSR.from_dgl(graph).adjacency("rated").coo()
    assert_array_equal(src, [1, 0, 1])
    assert_array_equal(dst, [1, 0, 1])
    assert graph.formats()["created"] == ([formats] if isinstance(formats, str) else ["coo"])


def test_a_homogeneous_dgl_graph_has_the_type_names_dgl_gives_it():
    graph = dgl.graph(([0, 1], [1, 1]), num_nodes=4, idtype=torch.int32)
    graph.ndata["x"] = torch.arange(4.0)
    hg = HeteroCSR.from_dgl(graph)
    assert (hg.n_nodes, hg.schema.edge_types) == ({"_N": 4}, (("_N", "_E", "_N"),))
    back = hg.to_dgl()
    assert back.is_homogeneous
    assert torch.equal(back.ndata["x"], graph.ndata["x"])


def test_features_share_memory_with_dgl_both_ways():
    graph = a_dgl_graph()
    graph.nodes["user"].data["x"] = torch.ones(3, 2, requires_grad=True)
    hg = HeteroCSR.from_dgl(graph)
    hg.node_data["user"]["x"][0, 0] = 7
    assert graph.nodes["user"].data["x"][0, 0] == 7
    assert hg.to_dgl().nodes["user"].data["x"][0, 0] == 7
    assert np.shares_memory(hg.node_data["user"]["x"], hg.to_dgl().nodes["user"].data["x"].numpy())


def test_features_that_torch_cannot_share_are_copied():
    x = np.arange(3.0)[::-1]
    frozen = np.arange(3.0)
    frozen.flags.writeable = False
    hg = HeteroCSR.from_edges({KNOWS: ([], [])}, {"user": 3}, {"user": {"x": x, "frozen": frozen}})
    data = hg.to_dgl().nodes["user"].data
    assert data["x"].tolist() == [2, 1, 0]
    data["frozen"][0] = 5
    assert frozen[0] == 0


def test_text_features_stay_behind_on_the_way_to_dgl():
    names = np.array(["ann", "bob"])
    hg = HeteroCSR.from_edges({KNOWS: ([0], [1])}, {"user": 2}, {"user": {"id": names}})
    assert dict(hg.to_dgl().nodes["user"].data) == {}


def test_what_is_no_whole_dgl_graph_is_refused():
    block = dgl.to_block(a_dgl_graph())
    for convert in (HeteroCSR.from_dgl, as_csr):
        with pytest.raises(DataError, match="got a block .* dgl.block_to_graph"):
            convert(block)
        with pytest.raises(DataError, match="expected a DGLGraph, got list. HeteroCSR.from_pandas"):
            convert([1])
    with pytest.raises(DataError, match="to_dgl: expected at least one edge type"):
        HeteroCSR.from_edges({}, {"user": 2}).to_dgl()


def test_a_feature_numpy_has_no_type_for_is_refused_by_name():
    graph = a_dgl_graph()
    graph.nodes["user"].data["x"] = torch.zeros(3, dtype=torch.bfloat16)
    with pytest.raises(
        DataError, match="expected 'x' to have a dtype of NumPy, got torch.bfloat16"
    ):
        HeteroCSR.from_dgl(graph)


def test_as_csr_takes_both_kinds_of_graph(toy, assert_same):
    assert as_csr(toy) is toy
    graph = a_dgl_graph()
    graph.nodes["user"].data["x"] = torch.zeros(3)
    plain = as_csr(graph)
    assert (plain.node_data, plain.edge_data) == ({}, {})
    assert plain.content_hash == HeteroCSR.from_dgl(graph).content_hash


def test_as_csr_converts_an_unchanged_graph_once():
    graph = a_dgl_graph()
    first = as_csr(graph)
    graph.edges["rated"].data["w"] = torch.zeros(3)
    graph.create_formats_()
    assert as_csr(graph) is first
    with graph.local_scope():
        assert as_csr(graph) is first


@pytest.mark.parametrize(
    "change",
    [
        lambda g: g.add_edges([2], [0], etype="rated"),
        lambda g: g.remove_edges([0], etype="rated"),
        lambda g: g.add_nodes(1, ntype="item"),
        lambda g: g.remove_nodes([0], ntype="user"),
    ],
)
def test_as_csr_notices_that_a_graph_was_changed(change):
    graph = a_dgl_graph()
    before = as_csr(graph)
    change(graph)
    after = as_csr(graph)
    assert after.content_hash != before.content_hash
    assert after.content_hash == HeteroCSR.from_dgl(graph).content_hash


def test_as_csr_keeps_nothing_of_a_graph_that_is_gone():
    graph = a_dgl_graph()
    kept = weakref.ref(as_csr(graph))
    assert kept() is not None
    del graph
    gc.collect()
    assert kept() is None


@given(st.data())
def test_to_scipy_counts_edges_and_from_scipy_reads_the_same_matrix(heterographs, data):
    hg = data.draw(heterographs())
    matrices = hg.to_scipy(weight=None)
    again = HeteroCSR.from_scipy(matrices, hg.n_nodes)
    assert again.schema == hg.schema
    for triple, matrix in matrices.items():
        dense = np.zeros(hg.adjacency(triple).shape, np.int64)
        np.add.at(dense, hg.adjacency(triple).coo(), 1)
        assert_array_equal(matrix.toarray(), dense)
        assert_array_equal(again.to_scipy()[triple].toarray(), dense)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil"])
def test_a_matrix_keeps_its_values_as_weights(form):
    dense = np.array([[0, 3, 1], [2, 0, 0]], np.int16)
    hg = HeteroCSR.from_scipy({RATED: sparse.coo_array(dense).asformat(form)})
    assert hg.n_nodes == {"user": 2, "item": 3}
    assert hg.n_edges == {RATED: 3}
    weight = hg.edge_data[RATED]["weight"]
    assert weight.dtype == np.int16
    assert_array_equal(dense[hg.adjacency(RATED).coo()], weight)
    assert_array_equal(hg.to_scipy()[RATED].toarray(), dense)


def test_ones_are_no_weights_and_stored_zeros_no_edges():
    ones = sparse.coo_array(([1.0, 0.0, 1.0], ([0, 0, 1], [0, 1, 1])), (2, 2))
    hg = HeteroCSR.from_scipy({KNOWS: ones})
    assert hg.edge_data == {}
    assert_array_equal(np.stack(hg.adjacency(KNOWS).coo()), [[0, 1], [0, 1]])


def test_repeated_entries_of_a_coo_matrix_are_parallel_edges():
    twice = sparse.coo_array(([2, 5], ([0, 0], [1, 1])), (1, 2))
    hg = HeteroCSR.from_scipy({RATED: twice})
    assert_array_equal(hg.edge_data[RATED]["weight"], [2, 5])
    assert hg.to_scipy()[RATED].toarray().tolist() == [[0, 7]]


def test_node_counts_may_name_types_without_edges():
    hg = HeteroCSR.from_scipy({RATED: sparse.csr_array((2, 3))}, {"shop": 4, "user": 2, "item": 3})
    assert hg.n_nodes == {"shop": 4, "user": 2, "item": 3}


@pytest.mark.parametrize(
    ("matrices", "n_nodes", "message"),
    [
        ({RATED: np.eye(2)}, None, "expected a sparse matrix for .* got ndarray"),
        ({RATED: sparse.csr_array((2, 3))}, {"user": 5}, "expected 5 nodes of type 'user'"),
        ({KNOWS: sparse.csr_array((2, 3))}, None, r"expected 2 nodes of type 'user' .* \(2, 3\)"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(matrices, n_nodes, message):
    with pytest.raises(DataError, match=message):
        HeteroCSR.from_scipy(matrices, n_nodes)


@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.hessian, torch.func.jacfwd])
def test_a_graph_may_be_met_first_inside_a_transform(transform):
    graph = dgl.heterograph({RATED: ([1, 0], [1, 0]), KNOWS: ([], [])}, {"user": 3, "item": 2})
    met = []

    def loss(x):
        met.append(as_csr(graph))
        return x.square().sum()

    transform(loss)(torch.ones(2))
    assert_array_equal(met[0].adjacency("rated").coo(), [[1, 0], [1, 0]])
    assert met[0].n_edges[KNOWS] == 0
