"""Attention between nodes that share blocks against attention over the list of their pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.func import hessian, jacfwd, jacrev, vmap

from dglmeta import ops
from dglmeta.errors import DataError, DeviceError
from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops.composed_blocks import composed_block_attention

# nodes and blocks of either side, and the numbers of nodes and blocks: (rows, columns, shape)
OVERLAPPING = (
    ([0, 0, 1, 3, 3, 3], [1, 0, 1, 0, 1, 2]),
    ([0, 1, 1, 2, 4], [1, 0, 1, 0, 0]),
    (5, 6, 4),
)
STRUCTURES = {
    "overlapping, isolated": OVERLAPPING,
    "disjoint": (([0, 1, 2, 3], [0, 1, 1, 0]), ([4, 2, 1, 0], [0, 1, 1, 0]), (5, 5, 2)),
    "a membership twice": (([1, 0, 0], [0, 0, 0]), ([0, 1], [0, 0]), (2, 3, 2)),
    "one node a block": (([0, 1], [1, 0]), ([0, 1], [0, 1]), (2, 2, 2)),
    "no block in common": (([0, 1], [0, 0]), ([1], [1]), (2, 2, 3)),
    "no members": (([], []), ([], []), (2, 3, 2)),
    "no rows": (([], []), ([0, 1], [0, 0]), (0, 2, 1)),
    "nothing": (([], []), ([], []), (0, 0, 0)),
}


def memberships(structure) -> tuple[Adjacency, Adjacency]:
    rows, columns, (n_src, n_dst, n_blocks) = structure
    return (
        Adjacency.from_coo(*rows, (n_src, n_blocks)),
        Adjacency.from_coo(*columns, (n_dst, n_blocks)),
    )


@pytest.fixture(params=STRUCTURES.values(), ids=STRUCTURES.keys())
def members(request) -> tuple[Adjacency, Adjacency]:
    return memberships(request.param)


@st.composite
def any_members(draw, *, disjoint: bool = False):
    """Two memberships in the same blocks; with ``disjoint`` each node in one block at most."""
    n_blocks = draw(st.integers(1, 4))
    sides = []
    for _ in range(2):
        n = draw(st.integers(0, 7))
        most = 1 if disjoint else 3
        blocks = [draw(st.lists(st.integers(0, n_blocks - 1), max_size=most)) for _ in range(n)]
        pairs = [(i, b) for i, mine in enumerate(blocks) for b in mine]
        sides.append(
            Adjacency.from_coo([i for i, _ in pairs], [b for _, b in pairs], (n, n_blocks))
        )
    return tuple(sides)


def instances(rows: Adjacency, columns: Adjacency) -> Adjacency:
    """Every pair that shares a block, once for each block: the adjacency that is not made."""
    counts = (rows.to_scipy() @ columns.to_scipy().T).tocoo()
    src, dst = (np.repeat(end, counts.data) for end in (counts.row, counts.col))
    return Adjacency.from_coo(src, dst, counts.shape)


def over_pairs(rows, columns, *tensors, slope=0.2):
    return ops.attention(instances(rows, columns), *tensors, negative_slope=slope)


def dense(rows, columns, score_src, score_dst, x, slope=0.2):
    """With a matrix of multiplicities, written out."""
    counts = torch.from_numpy((rows.to_scipy() @ columns.to_scipy().T).toarray()).to(x)
    u = score_src.unsqueeze(1) + score_dst.unsqueeze(0)  # (n_src, n_dst, *heads)
    u = torch.where(u > 0, u, slope * u)
    counts = counts.reshape(*counts.shape, *[1] * (u.ndim - 2))
    top = u.detach().masked_fill(counts == 0, -torch.inf)
    top = top.amax(1, keepdim=True).clamp(min=-1e300) if u.shape[1] else u.new_zeros(())
    weight = counts * torch.exp((u - top).clamp(max=0))
    total = weight.sum(1, keepdim=True)
    return torch.einsum("ij...,j...d->i...d", weight / torch.where(total > 0, total, 1), x)


def inputs(rows, columns, *heads, d=3, seed=0, spread=1.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shapes = (rows.n_src, *heads), (columns.n_src, *heads), (columns.n_src, *heads, d)
    drawn = [torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes]
    scaled = (spread * drawn[0], spread * drawn[1], drawn[2])
    return [t.to(dtype).requires_grad_() for t in scaled]


def gradients(y, tensors, seed=1):
    generator = torch.Generator().manual_seed(seed)
    grad = torch.randn(y.shape, dtype=torch.float64, generator=generator).to(y.dtype)
    return torch.autograd.grad(y, tensors, grad)


def assert_same(ours, theirs, tolerance=1e-10):
    """Equal relative to the largest number of each tensor."""
    assert ours.dtype == theirs.dtype
    scale = max(1.0, float(theirs.detach().abs().max())) if theirs.numel() else 1.0
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * scale)


def assert_same_with_gradients(op, oracle, tensors, tolerance=1e-10):
    ours, theirs = op(*tensors), oracle(*tensors)
    assert_same(ours, theirs, tolerance)
    for one, other in zip(gradients(ours, tensors), gradients(theirs, tensors), strict=True):
        assert_same(one, other, tolerance)


def bound(op, rows, columns, **options):
    return lambda *tensors: op(rows, columns, *tensors, **options)


@given(
    sides=any_members(disjoint=True),
    heads=st.sampled_from([(), (1,), (3,)]),
    d=st.sampled_from([0, 1, 16, 19]),
    slope=st.sampled_from([0.2, 0.0, 1.0, -0.5]),
    spread=st.sampled_from([1.0, 30.0]),
)
def test_in_disjoint_blocks_it_is_attention_over_the_pairs(sides, heads, d, slope, spread):
    assert ops.pairs_meet_once(*sides)
    tensors = inputs(*sides, *heads, d=d, spread=spread, seed=sides[0].n_edges)
    ours = bound(ops.block_attention, *sides, negative_slope=slope)
    assert_same_with_gradients(ours, bound(over_pairs, *sides, slope=slope), tensors)


@given(sides=any_members(), heads=st.sampled_from([(), (2,)]), slope=st.sampled_from([0.2, -0.5]))
def test_pairs_of_several_blocks_count_several_times(sides, heads, slope):
    tensors = inputs(*sides, *heads, seed=sides[0].n_edges, spread=3)
    ours = bound(ops.block_attention, *sides, negative_slope=slope)
    assert_same_with_gradients(ours, bound(dense, *sides, slope=slope), tensors)
    assert_same_with_gradients(ours, bound(over_pairs, *sides, slope=slope), tensors)


def test_every_shape_of_memberships_equals_the_dense_oracle(members):
    for op in (ops.block_attention, lambda *a: composed_block_attention(*a, 0.2)):
        tensors = inputs(*members, 2)
        assert_same_with_gradients(bound(op, *members), bound(dense, *members), tensors)


def large(n_src=300, n_dst=400, n_blocks=12, each=3):
    rng = np.random.default_rng(0)
    sides = []
    for n in (n_src, n_dst):
        block = np.minimum(rng.geometric(0.3, each * n) - 1, n_blocks - 1)
        sides.append(Adjacency.from_coo(rng.integers(n, size=each * n), block, (n, n_blocks)))
    return tuple(sides)


@pytest.mark.parametrize("spread", [1, 100, 500])
def test_float32_agrees_with_attention_over_the_pairs_in_float64(spread):
    sides = large()
    tensors = inputs(*sides, 2, d=20, spread=spread, dtype=torch.float32)
    exact = [t.detach().double().requires_grad_() for t in tensors]
    ours, theirs = ops.block_attention(*sides, *tensors), over_pairs(*sides, *exact)
    assert_same(ours.double(), theirs, 1e-5)
    for one, other in zip(gradients(ours, tensors), gradients(theirs, exact), strict=True):
        assert_same(one.double(), other, 1e-5)
    if spread == 1:
        assert_same_with_gradients(
            bound(ops.block_attention, *sides), bound(over_pairs, *sides), tensors, 1e-5
        )


@pytest.mark.parametrize("height", [500.0, -500.0, 1000.0])
@pytest.mark.parametrize("slope", [0.2, 0.0, 1.0, -0.5])
def test_scores_far_apart_lose_nothing(height, slope):
    sides = large(40, 50)
    score_src, score_dst, x = inputs(*sides, 2, spread=2)
    with torch.no_grad():
        score_src[::2] += height
        score_dst[::3] -= height
        score_dst[1::3] += height / 2
    for op in (ops.block_attention, composed):
        assert_same_with_gradients(
            bound(op, *sides, negative_slope=slope),
            bound(over_pairs, *sides, slope=slope),
            [score_src, score_dst, x],
        )


def composed(rows, columns, *tensors, negative_slope=0.2):
    return composed_block_attention(rows, columns, *tensors, negative_slope)


@pytest.mark.parametrize("op", [ops.block_attention, composed])
def test_equal_scores_and_sums_of_zero_are_those_of_the_pairs(op):
    sides = large(40, 50)
    score_src, score_dst, x = inputs(*sides, 2)
    with torch.no_grad():
        score_src.round_()  # many alike, and many a pair whose sum is exactly 0
        score_dst.round_()
    assert_same_with_gradients(
        bound(op, *sides), bound(over_pairs, *sides), [score_src, score_dst, x]
    )
    with torch.no_grad():
        score_src.zero_()
        score_dst.zero_()
    assert_same_with_gradients(
        bound(op, *sides), bound(over_pairs, *sides), [score_src, score_dst, x]
    )


def test_the_weights_of_a_node_sum_to_one_and_of_one_without_pairs_to_zero(members):
    score_src, score_dst, x = inputs(*members, 2)
    y = ops.block_attention(*members, score_src, score_dst, torch.ones_like(x))
    met = torch.from_numpy(instances(*members).out_degrees > 0).double()
    torch.testing.assert_close(y, met[:, None, None].expand_as(y))


def test_gradcheck_in_every_mode():
    sides = memberships(OVERLAPPING)
    tensors = inputs(*sides, 2, d=2)
    op = bound(ops.block_attention, *sides)
    gap = (tensors[0][:, None] + tensors[1][None]).abs().min()
    assert gap > 1e-4  # central differences stay on one side of 0
    assert gradcheck(op, tensors, check_forward_ad=True)
    assert gradgradcheck(op, tensors, check_fwd_over_rev=True)


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_second_derivatives_exist_for_each_input_alone(wanted, members):
    tensors = [t.detach() for t in inputs(*members, 2)]
    tensors[wanted].requires_grad_()

    def curvature(op):
        y = op(*members, *tensors)
        (first,) = torch.autograd.grad(y.exp().sum(), tensors[wanted], create_graph=True)
        return torch.autograd.grad(first.pow(2).sum(), tensors[wanted])[0]

    assert_same(curvature(ops.block_attention), curvature(dense))


@pytest.mark.parametrize("heads", [(), (2,)])
def test_gradients_to_be_differentiated_are_right_where_scores_come_from_the_features(heads):
    rows, _ = memberships(OVERLAPPING)
    *_, h = inputs(rows, rows, *heads)
    a, b = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    firsts = []
    for op in (ops.block_attention, dense):
        y = op(rows, rows, (h * a).sum(-1), (h * b).sum(-1), h)
        firsts.append(torch.autograd.grad(y.square().sum(), h, create_graph=True)[0])
    assert_same(*firsts)
    assert_same(*(torch.autograd.grad(g.square().sum(), h)[0] for g in firsts))


def test_transforms_equal_the_dense_oracle():
    sides = memberships(OVERLAPPING)
    tensors = [t.detach() for t in inputs(*sides, 2)]
    ours, theirs = (bound(op, *sides) for op in (ops.block_attention, dense))

    def curved(f):
        return lambda *t: (f(*t).sin() * f(*t).exp()).sum()

    for outer, inner in itertools.product([jacrev, jacfwd], repeat=2):
        one, other = (
            outer(inner(curved(f), (0, 1, 2)), (0, 1, 2))(*tensors) for f in (ours, theirs)
        )
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(*(hessian(curved(f), (0, 1, 2))(*tensors) for f in (ours, theirs)))


def test_vmap_equals_a_loop():
    sides = memberships(OVERLAPPING)
    drawn = [[t.detach() for t in inputs(*sides, 2, seed=seed)] for seed in range(3)]
    batched = [torch.stack(t) for t in zip(*drawn, strict=True)]
    looped = torch.stack([ops.block_attention(*sides, *t) for t in drawn])
    torch.testing.assert_close(vmap(bound(ops.block_attention, *sides))(*batched), looped)
    shared = vmap(bound(ops.block_attention, *sides), (0, None, None))
    one, *others = batched[0], drawn[0][1], drawn[0][2]
    looped = torch.stack([ops.block_attention(*sides, t, *others) for t in one])
    torch.testing.assert_close(shared(one, *others), looped)


def test_inputs_in_any_memory_layout_give_the_same():
    sides = memberships(OVERLAPPING)
    tensors = [t.detach() for t in inputs(*sides, 2)]
    turned = [t.movedim(0, -1).contiguous().movedim(-1, 0).requires_grad_() for t in tensors]
    assert_same_with_gradients(bound(ops.block_attention, *sides), bound(dense, *sides), turned)
    expanded = torch.ones(5, 1).double().expand(5, 2)
    assert_same(
        ops.block_attention(*sides, expanded, *turned[1:]), dense(*sides, expanded, *turned[1:])
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_on_a_gpu_the_kernels_give_the_same(on_cuda, dtype):
    sides = memberships(OVERLAPPING)
    tensors = [t.detach().to(dtype) for t in inputs(*sides, 2)]
    here, there = ([t.clone().to(d).requires_grad_() for t in tensors] for d in ("cpu", on_cuda))
    y = ops.block_attention(*(m.to("cuda") for m in sides), *there)
    assert y.device.type == on_cuda
    expected = ops.block_attention(*sides, *here)
    torch.testing.assert_close(y.cpu(), expected)
    weight = torch.linspace(-1, 1, y.numel(), dtype=dtype).reshape(y.shape)
    (y * weight.to(on_cuda)).sum().backward()
    (expected * weight).sum().backward()
    for a, b in zip(there, here, strict=True):
        torch.testing.assert_close(a.grad.cpu(), b.grad)


def test_on_a_gpu_gradients_have_gradients(on_cuda):
    sides = memberships(OVERLAPPING)
    tensors = [t.detach().to(on_cuda).requires_grad_() for t in inputs(*sides, 2)]
    there = [m.to("cuda") for m in sides]
    assert gradgradcheck(bound(ops.block_attention, *there), tensors)


def test_nothing_of_the_size_of_the_pairs_is_made():
    n = 60_000  # 3.6e9 pairs: a byte for each would not fit
    one = Adjacency.from_coo(np.arange(n), np.zeros(n, int), (n, 1))
    tensors = inputs(one, one, d=2, dtype=torch.float32)
    y = ops.block_attention(one, one, *tensors)
    y.sum().backward()
    assert y.shape == (n, 2)
    torch.testing.assert_close(tensors[2].grad.sum(), torch.tensor(2.0 * n), rtol=1e-4, atol=0)


def test_without_gradients_nothing_is_kept():
    sides = memberships(OVERLAPPING)
    with torch.no_grad():
        assert ops.block_attention(*sides, *inputs(*sides, 2)).grad_fn is None


def test_an_output_changed_in_place_is_refused_in_backward():
    sides = memberships(OVERLAPPING)
    y = ops.block_attention(*sides, *inputs(*sides, 2))
    with torch.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@given(sides=any_members())
def test_pairs_meet_once_where_no_instance_repeats_a_pair(sides):
    counts = (sides[0].to_scipy() @ sides[1].to_scipy().T).data
    assert ops.pairs_meet_once(*sides) == bool((counts <= 1).all())


def test_nodes_of_several_blocks_may_still_meet_once():
    rows = Adjacency.from_coo([0, 0], [0, 1], (1, 3))
    columns = Adjacency.from_coo([0, 1, 2, 2], [0, 1, 1, 2], (3, 3))
    assert ops.pairs_meet_once(rows, columns)
    assert not ops.pairs_meet_once(columns, columns)  # its last node meets itself twice


REFUSED = {
    "another number of blocks": (dict(columns=Adjacency.from_coo([0], [0], (6, 5))), "same blocks"),
    "no adjacency": (dict(rows=torch.eye(5)), "expected an Adjacency first, got Tensor"),
    "rows": (dict(score_src=torch.zeros(6, 2)), "expected score_src with 5 rows, one for each row"),
    "columns": (dict(x=torch.zeros(5, 2, 3)), "expected x with 6 rows, one for each column"),
    "integers": (dict(score_dst=torch.zeros(6, 2, dtype=torch.long)), "got torch.int64"),
    "dtypes": (dict(x=torch.zeros(6, 2, 3).double()), "of one dtype and device"),
    "heads": (dict(score_dst=torch.zeros(6, 3)), "Give all three the same heads"),
    "no features": (
        dict(score_src=torch.zeros(5), score_dst=torch.zeros(6), x=torch.zeros(6)),
        "Give all three the same heads",
    ),
    "slope": (dict(negative_slope=1.5), "expected negative_slope at most 1, got 1.5"),
    "not a number": (
        dict(negative_slope=float("nan")),
        "expected negative_slope at most 1, got nan",
    ),
}


@pytest.mark.parametrize(("changed", "complaint"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_refused(changed, complaint):
    rows, columns = memberships(OVERLAPPING)
    given = dict(
        rows=rows, columns=columns, score_src=torch.zeros(5, 2), score_dst=torch.zeros(6, 2),
        x=torch.zeros(6, 2, 3), negative_slope=0.2,
    )  # fmt: skip
    with pytest.raises(DataError, match=f"^ops.block_attention: .*{complaint}"):
        ops.block_attention(**{**given, **changed})


def test_tensors_of_a_device_without_kernels_are_refused():
    rows, columns = memberships(OVERLAPPING)
    with pytest.raises(DeviceError, match="no kernels"):
        ops.block_attention(
            rows, columns, *(torch.zeros(s, device="meta") for s in ((5, 2), (6, 2), (6, 2, 3)))
        )
