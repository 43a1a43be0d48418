from __future__ import annotations

import numpy as np
import pytest
import torch

from dglmeta import ops
from dglmeta._dgl import load_dgl
from dglmeta.errors import DataError, DeviceError
from dglmeta.graph.adjacency import Adjacency
from dglmeta.graph.csr import HeteroCSR

ADJ = Adjacency.from_coo([0, 1, 1], [0, 0, 1], (3, 2))
EDGES, SOURCES, DESTINATIONS = torch.randn(3, 4), torch.randn(3, 4), torch.randn(2, 4)
ARGUMENTS = {
    ops.spmm: (DESTINATIONS,),
    ops.sddmm: (SOURCES, DESTINATIONS),
    ops.edge_softmax: (EDGES,),
    ops.attention: (SOURCES, DESTINATIONS, DESTINATIONS[:, :, None]),
    ops.segment_sum: (EDGES,),
    ops.segment_mean: (EDGES,),
    ops.segment_max: (EDGES,),
    ops.gather_src: (SOURCES,),
    ops.gather_dst: (DESTINATIONS,),
}
every_op = pytest.mark.parametrize(
    ("op", "tensors"), ARGUMENTS.items(), ids=lambda a: getattr(a, "__name__", "")
)


@every_op
def test_integers_are_refused_with_what_to_do(op, tensors):
    with pytest.raises(DataError, match=rf"^ops.{op.__name__}: expected .* got torch.int64.*float"):
        op(ADJ, *(t.long() for t in tensors))


@every_op
def test_half_precision_is_refused(op, tensors):
    with pytest.raises(DataError, match="got torch.float16"):
        op(ADJ, *(t.half() for t in tensors))


@every_op
def test_arrays_are_refused(op, tensors):
    with pytest.raises(DataError, match="expected .* as a dense torch.Tensor, got ndarray"):
        op(ADJ, *(t.numpy() for t in tensors))


@every_op
def test_sparse_tensors_are_refused(op, tensors):
    with pytest.raises(DataError, match="dense torch.Tensor, got torch.sparse_coo"):
        op(ADJ, *(t.to_sparse() for t in tensors))


@every_op
def test_a_wrong_number_of_rows_is_refused_naming_both(op, tensors):
    wrong = torch.randn(7, 4)
    with pytest.raises(DataError, match=r"with [23] rows, one for each \w+, got shape \(7, 4\)"):
        op(ADJ, *(wrong for _ in tensors))


@every_op
def test_a_number_without_rows_is_refused(op, tensors):
    with pytest.raises(DataError, match=r"got shape \(\)"):
        op(ADJ, *(torch.tensor(1.0) for _ in tensors))


@every_op
def test_a_device_without_kernels_is_refused_before_computing(op, tensors):
    with pytest.raises(DeviceError, match="got device 'meta'"):
        op(ADJ, *(t.to("meta") for t in tensors))


@every_op
@pytest.mark.parametrize(
    "graph",
    [
        HeteroCSR.from_edges({("a", "to", "b"): ([0], [0])}, {"a": 1, "b": 1}),
        np.zeros((3, 2)),
    ],
    ids=["HeteroCSR", "ndarray"],
)
def test_what_is_not_an_adjacency_is_refused_with_how_to_get_one(op, tensors, graph):
    with pytest.raises(DataError, match=rf"got {type(graph).__name__}. Give hg.adjacency"):
        op(graph, *tensors)


def test_a_dgl_graph_is_refused_with_how_to_convert_it():
    g = load_dgl().graph(([0, 1], [1, 2]))
    with pytest.raises(DataError, match=r"got DGLGraph.*HeteroCSR\.from_dgl"):
        ops.spmm(g, torch.randn(3, 2))


def test_two_dtypes_are_refused():
    with pytest.raises(DataError, match="got torch.float32 on cpu and torch.float64"):
        ops.spmm(ADJ, DESTINATIONS, torch.randn(3, dtype=torch.float64))
    with pytest.raises(DataError, match="got torch.float64 on cpu and torch.float32"):
        ops.sddmm(ADJ, SOURCES.double(), DESTINATIONS)


@pytest.mark.parametrize("shape", [(3, 2), (3, 1), (3, 4, 4)])
def test_heads_of_weights_that_are_not_those_of_the_features_are_refused(shape):
    with pytest.raises(DataError, match="got weight"):
        ops.spmm(ADJ, torch.randn(2, 5, 4), torch.randn(shape))


def test_ends_of_different_widths_are_refused():
    with pytest.raises(DataError, match=r"got \(3, 4\) and \(2, 3\)"):
        ops.sddmm(ADJ, SOURCES, torch.randn(2, 3))
    with pytest.raises(DataError, match=r"got \(3,\) and \(2,\)"):
        ops.sddmm(ADJ, torch.randn(3), torch.randn(2))


@pytest.mark.parametrize("name", ["scale_src", "scale_dst"])
def test_scales_that_are_not_one_number_a_node_are_refused(name):
    with pytest.raises(DataError, match=f"expected {name} with [23] rows"):
        ops.spmm(ADJ, DESTINATIONS, **{name: torch.ones(7)})
    n = 3 if name == "scale_src" else 2
    with pytest.raises(DataError, match=rf"expected {name} of shape \({n},\), got \({n}, 1\)"):
        ops.spmm(ADJ, DESTINATIONS, **{name: torch.ones(n, 1)})
    with pytest.raises(DataError, match="of one dtype and device"):
        ops.spmm(ADJ, DESTINATIONS, **{name: torch.ones(n, dtype=torch.float64)})


@pytest.mark.parametrize("shape", [(2,), (2, 4), (2, 3, 4), (2, 5, 4, 2)])
def test_attention_refuses_heads_that_are_not_those_of_the_features(shape):
    with pytest.raises(DataError, match="Give all three the same heads"):
        ops.attention(ADJ, torch.ones(3, 5), torch.ones(2, 5), torch.ones(shape))
