from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dglmeta import ops
from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops import backend


def step_by_step(adj, score_src, score_dst, x, slope):
    scores = ops.gather_src(adj, score_src) + ops.gather_dst(adj, score_dst)
    weight = ops.edge_softmax(adj, torch.nn.functional.leaky_relu(scores, slope))
    return ops.spmm(adj, x, weight)


def inputs(adj, *heads, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = (adj.n_src, *heads), (adj.n_dst, *heads), (adj.n_dst, *heads, 3)
    return [
        torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
        for shape in shapes
    ]


@given(data=st.data(), heads=st.sampled_from([(), (1,), (4,)]), slope=st.floats(-1, 1))
def test_equals_its_steps_and_so_do_the_gradients(adjacencies, data, heads, slope):
    adj = data.draw(adjacencies)
    tensors = inputs(adj, *heads, seed=adj.n_edges)
    fused = ops.attention(adj, *tensors, negative_slope=slope)
    steps = step_by_step(adj, *tensors, slope)
    torch.testing.assert_close(fused, steps)
    grad = torch.randn_like(steps)
    ours, theirs = (torch.autograd.grad(y, tensors, grad) for y in (fused, steps))
    torch.testing.assert_close(ours, theirs)


def test_the_weights_of_a_node_sum_to_one(adj):
    score_src, score_dst, _ = inputs(adj, 2)
    y = ops.attention(adj, score_src, score_dst, torch.ones(adj.n_dst, 2, 3).double())
    expected = torch.from_numpy(adj.out_degrees > 0).double()[:, None, None].expand_as(y)
    torch.testing.assert_close(y, expected)


def test_neither_direction_makes_arrays_of_the_size_of_the_edges():
    adj = Adjacency.from_coo([0, 1, 1], [0, 0, 1], (3, 2))
    kernels = backend.kernels_for(torch.empty(0))

    def refused(*args):
        raise AssertionError("an edge-sized op was called")

    steps = dict.fromkeys(("spmm", "sddmm", "expand", "edge_softmax", "segment_sum"), refused)
    with backend.override(kernels._replace(**steps)):
        ops.attention(adj, *inputs(adj, 2)).sum().backward()


@pytest.mark.parametrize("heads", [(), (1,), (2,)])
def test_gradients_to_be_differentiated_are_right_where_scores_come_from_the_features(adj, heads):
    *_, h = inputs(adj, *heads)
    a, b = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    square = Adjacency.from_coo(*adj.coo(), (max(adj.shape),) * 2)
    h = torch.cat([h, h.new_ones(square.n_dst - len(h), *h.shape[1:])]).requires_grad_()
    fused, steps = (
        f(square, (h * a).sum(-1), (h * b).sum(-1), h, slope)
        for f, slope in ((lambda *t: ops.attention(*t[:4], negative_slope=t[4]), 0.2),
                         (step_by_step, 0.2))
    )  # fmt: skip
    ours, theirs = (
        torch.autograd.grad(y.square().sum(), h, create_graph=True)[0] for y in (fused, steps)
    )
    torch.testing.assert_close(ours, theirs)
    second, expected = (torch.autograd.grad(g.square().sum(), h)[0] for g in (ours, theirs))
    torch.testing.assert_close(second, expected)


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_second_derivatives_exist_for_each_input_alone(wanted):
    adj = Adjacency.from_coo([2, 0, 0, 2, 4, 2], [1, 3, 3, 0, 1, 1], (5, 4))
    tensors = [t.detach() for t in inputs(adj, 2)]
    tensors[wanted].requires_grad_()

    def curvature(op):
        (first,) = torch.autograd.grad(op().exp().sum(), tensors[wanted], create_graph=True)
        return torch.autograd.grad(first.pow(2).sum(), tensors[wanted])[0]

    ours = curvature(lambda: ops.attention(adj, *tensors))
    torch.testing.assert_close(ours, curvature(lambda: step_by_step(adj, *tensors, 0.2)))


def test_without_gradients_nothing_is_kept():
    adj = Adjacency.from_coo([0, 1, 1], [0, 0, 1], (3, 2))
    with torch.no_grad():
        assert ops.attention(adj, *inputs(adj, 2)).grad_fn is None


def test_an_output_changed_in_place_is_refused_in_backward():
    adj = Adjacency.from_coo([0, 0, 1], [0, 1, 1], (2, 2))
    s, t, x = (torch.ones(*shape, requires_grad=True) for shape in ((2, 1), (2, 1), (2, 1, 3)))
    y = ops.attention(adj, s, t, x)
    with torch.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
