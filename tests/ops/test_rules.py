"""Every op against dense oracles, through every kind of derivative and batching."""

from __future__ import annotations

import gc
import itertools
import weakref

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from dglmeta import ops
from dglmeta.graph.adjacency import Adjacency
from dglmeta.ops import backend, rules

# torch scripts its own forward-mode formulas when the first of them is used
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


def dense_spmm(s, d, x, weight=None):
    at_edges = torch.einsum("je,j...->e...", d, x)
    if weight is not None:
        at_edges = at_edges * weight.reshape(*weight.shape, *[1] * (x.ndim - weight.ndim))
    return torch.einsum("ie,e...->i...", s, at_edges)


def dense_sddmm(s, d, x, z):
    ends = torch.einsum("ie,i...->e...", s, x), torch.einsum("je,j...->e...", d, z)
    return (ends[0] * ends[1]).sum(-1)


def dense_softmax(s, d, scores):
    e = torch.exp(scores)
    return e / torch.einsum("ie,if,f...->e...", s, s, e)


def dense_sum(s, d, values):
    return torch.einsum("ie,e...->i...", s, values)


def dense_mean(s, d, values):
    return torch.einsum("ie,e...->i...", s / s.sum(1, keepdim=True).clamp(min=1), values)


def dense_max(s, d, values):
    rows = [values[row.bool()] for row in s]
    zero = values.new_zeros(values.shape[1:])
    return torch.stack([row.amax(0) if len(row) else zero for row in rows])


def dense_gather_src(s, d, x):
    return torch.einsum("ie,i...->e...", s, x)


def dense_gather_dst(s, d, x):
    return torch.einsum("je,j...->e...", d, x)


def dense_attention(s, d, score_src, score_dst, x):
    u = torch.einsum("ie,i...->e...", s, score_src) + torch.einsum("je,j...->e...", d, score_dst)
    return dense_spmm(s, d, x, dense_softmax(s, d, torch.where(u > 0, u, 0.2 * u)))


def scaled_spmm(adj, x, weight, r, c):
    return ops.spmm(adj, x, weight, scale_src=r, scale_dst=c)


def dense_scaled_spmm(s, d, x, weight, r, c):
    return torch.diag(r) @ s @ torch.diag(weight) @ d.T @ torch.diag(c) @ x


def constant_scales(n_src, n_dst):
    return tuple(torch.linspace(-1, 2, n, dtype=torch.float64) for n in (n_src, n_dst))


def spmm_of_constant_scales(adj, x, weight):
    r, c = (t.to(x) for t in constant_scales(*adj.shape))
    return scaled_spmm(adj, x, weight, r, c)


def dense_spmm_of_constant_scales(s, d, x, weight):
    return dense_scaled_spmm(s, d, x, weight, *constant_scales(len(s), len(d)))


# op, oracle, and the shapes of its tensors; "s", "d" and "e" stand for n_src, n_dst and n_edges
CASES = {
    "spmm 1d": (ops.spmm, dense_spmm, ["d"]),
    "spmm": (ops.spmm, dense_spmm, ["d3"]),
    "spmm weighted 1d": (ops.spmm, dense_spmm, ["d", "e"]),
    "spmm weighted": (ops.spmm, dense_spmm, ["d3", "e"]),
    "spmm heads": (ops.spmm, dense_spmm, ["d23", "e2"]),
    "spmm heads sharing weights": (ops.spmm, dense_spmm, ["d23", "e"]),
    "spmm scaled": (scaled_spmm, dense_scaled_spmm, ["d3", "e", "s", "d"]),
    "spmm of constant scales": (
        spmm_of_constant_scales,
        dense_spmm_of_constant_scales,
        ["d3", "e"],
    ),
    "attention": (ops.attention, dense_attention, ["s", "d", "d3"]),
    "attention heads": (ops.attention, dense_attention, ["s2", "d2", "d23"]),
    "sddmm": (ops.sddmm, dense_sddmm, ["s3", "d3"]),
    "sddmm heads": (ops.sddmm, dense_sddmm, ["s23", "d23"]),
    "edge_softmax": (ops.edge_softmax, dense_softmax, ["e"]),
    "edge_softmax heads": (ops.edge_softmax, dense_softmax, ["e2"]),
    "segment_sum": (ops.segment_sum, dense_sum, ["e"]),
    "segment_sum 3d": (ops.segment_sum, dense_sum, ["e23"]),
    "segment_mean": (ops.segment_mean, dense_mean, ["e2"]),
    "segment_max": (ops.segment_max, dense_max, ["e"]),
    "segment_max 2d": (ops.segment_max, dense_max, ["e2"]),
    "gather_src": (ops.gather_src, dense_gather_src, ["s2"]),
    "gather_dst": (ops.gather_dst, dense_gather_dst, ["d"]),
}
FUSED = ("attention", "attention heads", "spmm of constant scales")  # taken apart in transforms


class Case:
    """An op and its oracle bound to one adjacency, with random inputs."""

    def __init__(self, name: str, adj: Adjacency, matrices, device="cpu") -> None:
        self.name, self.device = name, device
        op, oracle, self._codes = CASES[name]
        self._sizes = {"s": adj.n_src, "d": adj.n_dst, "e": adj.n_edges}
        self.op = lambda *tensors: op(adj, *tensors)
        self.oracle = lambda *tensors: oracle(*(m.to(device) for m in matrices), *tensors)

    def inputs(self, seed: int = 0, batch: int | None = None) -> tuple[torch.Tensor, ...]:
        """Random float64 tensors, with a leading axis of ``batch`` where one is asked for."""
        generator = torch.Generator().manual_seed(seed)
        lead = () if batch is None else (batch,)
        shapes = [(*lead, self._sizes[code[0]], *map(int, code[1:])) for code in self._codes]
        drawn = (torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes)
        return tuple(t.to(self.device) for t in drawn)

    def leaves(self, seed: int = 0) -> tuple[torch.Tensor, ...]:
        """The same inputs, asking for gradients."""
        return tuple(t.requires_grad_() for t in self.inputs(seed))


@pytest.fixture(params=CASES)
def case(request, adj, incidence) -> Case:
    """Every op on every adjacency."""
    return Case(request.param, adj, incidence(adj))


@pytest.fixture(params=CASES)
def tidy_case(request, incidence) -> Case:
    """Every op on one adjacency, for what does not depend on the graph."""
    adj = Adjacency.from_coo([2, 0, 0, 2, 4, 2], [1, 3, 3, 0, 1, 1], (5, 4))
    return Case(request.param, adj, incidence(adj))


@pytest.fixture(params=CASES)
def cuda_case(request, on_cuda, incidence) -> Case:
    """Every op on one adjacency, computed by the kernels of a GPU."""
    adj = Adjacency.from_coo([2, 0, 0, 2, 4, 2], [1, 3, 3, 0, 1, 1], (5, 4))
    return Case(request.param, adj.to("cuda"), incidence(adj), on_cuda)


def assert_same(ours, theirs, tolerance=1e-10):
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def curved(f):
    """A number from f's output whose every derivative is something."""
    return lambda *tensors: (f(*tensors).sin() * f(*tensors).exp()).sum()


def along(f, direction):
    """The slope of f in a direction, by forward mode."""
    return lambda *tensors: jvp(f, tensors, direction)[1]


def against(f, direction):
    """The same slope by reverse mode."""

    def slope(*tensors):
        gradients = grad(f, tuple(range(len(tensors))))(*tensors)
        return sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))

    return slope


def test_value_equals_the_dense_oracle(case):
    assert_same(case.op(*case.inputs()), case.oracle(*case.inputs()))


def test_value_on_a_gpu_equals_the_dense_oracle(cuda_case):
    inputs = cuda_case.inputs()
    ours = cuda_case.op(*inputs)
    assert ours.device.type == cuda_case.device
    assert_same(ours, cuda_case.oracle(*inputs))
    single = cuda_case.op(*(t.float() for t in inputs))
    torch.testing.assert_close(single.double(), ours, rtol=1e-5, atol=1e-5)


def test_gradients_on_a_gpu_in_both_modes_and_twice(cuda_case):
    fast = {"fast_mode": True}
    assert gradcheck(cuda_case.op, cuda_case.leaves(), check_forward_ad=True, **fast)
    assert gradgradcheck(cuda_case.op, cuda_case.leaves(), check_fwd_over_rev=True, **fast)


def test_nested_and_batched_derivatives_on_a_gpu_equal_the_oracle(cuda_case):
    inputs, batched = cuda_case.inputs(), cuda_case.inputs(seed=1, batch=3)
    every = tuple(range(len(inputs)))
    ours, theirs = (hessian(curved(f), every)(*inputs) for f in (cuda_case.op, cuda_case.oracle))
    assert_same(ours, theirs)
    looped = torch.stack([cuda_case.oracle(*(t[i] for t in batched)) for i in range(3)])
    assert_same(vmap(cuda_case.op)(*batched), looped)


def test_float32_is_computed_in_float32_and_close_to_float64(case):
    inputs = case.inputs()
    single = case.op(*(t.float() for t in inputs))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), case.oracle(*inputs), rtol=1e-5, atol=1e-5)


def test_inputs_in_any_memory_layout_give_the_same(case):
    strided = [t.repeat_interleave(2, 0)[::2] for t in case.inputs()]
    flipped = [t.movedim(0, -1).contiguous().movedim(-1, 0) for t in case.inputs()]
    assert_same(case.op(*strided), case.oracle(*case.inputs()))
    assert_same(case.op(*flipped), case.oracle(*case.inputs()))


def test_gradcheck_in_reverse_and_forward_mode(case):
    assert gradcheck(case.op, case.leaves(), check_forward_ad=True)


def test_gradgradcheck_reverse_over_reverse_and_forward_over_reverse(case):
    assert gradgradcheck(case.op, case.leaves(), check_fwd_over_rev=True)


@pytest.mark.parametrize("outer", [jacrev, jacfwd])
@pytest.mark.parametrize("inner", [jacrev, jacfwd])
def test_second_derivatives_in_any_nesting_equal_the_oracle(tidy_case, outer, inner):
    inputs = tidy_case.inputs()
    every = tuple(range(len(inputs)))
    ours, theirs = (
        outer(inner(curved(f), every), every)(*inputs) for f in (tidy_case.op, tidy_case.oracle)
    )
    assert_same(ours, theirs)


@pytest.mark.parametrize("levels", list(itertools.product([along, against], repeat=3)))
def test_third_derivatives_in_any_nesting_equal_the_oracle(tidy_case, levels):
    def third(f):
        f = curved(f)
        for seed, level in enumerate(levels):
            f = level(f, tidy_case.inputs(seed + 1))
        return f(*tidy_case.inputs())

    assert_same(third(tidy_case.op), third(tidy_case.oracle))


def test_hessian_on_an_untidy_graph_equals_the_oracle(case):
    inputs = case.inputs()
    every = tuple(range(len(inputs)))
    ours, theirs = (hessian(curved(f), every)(*inputs) for f in (case.op, case.oracle))
    assert_same(ours, theirs)


def test_vmap_equals_a_loop_for_every_choice_of_batched_inputs(case):
    plain, batched = case.inputs(), case.inputs(seed=1, batch=3)
    for dims in itertools.product([None, 0, -1], repeat=len(plain)):
        triples = list(zip(plain, batched, dims, strict=True))
        if all(dim is None for dim in dims):
            continue
        given = [p if dim is None else b.movedim(0, dim) for p, b, dim in triples]
        looped = [case.op(*(p if d is None else b[i] for p, b, d in triples)) for i in range(3)]
        assert_same(vmap(case.op, in_dims=dims)(*given), torch.stack(looped))


def test_vmap_in_vmap_equals_two_loops(case):
    batched = tuple(t.unflatten(0, (2, 3)) for t in case.inputs(batch=6))
    looped = [[case.op(*(t[i, j] for t in batched)) for j in range(3)] for i in range(2)]
    assert_same(vmap(vmap(case.op))(*batched), torch.stack([torch.stack(row) for row in looped]))


def test_vmap_of_grad_equals_a_loop(tidy_case):
    batched = tidy_case.inputs(batch=3)
    slope = grad(lambda *tensors: tidy_case.op(*tensors).pow(3).sum())
    looped = torch.stack([slope(*(t[i] for t in batched)) for i in range(3)])
    assert_same(vmap(slope)(*batched), looped)


def test_a_vjp_may_be_called_after_its_transform_has_ended(tidy_case):
    inputs = tidy_case.inputs()
    values, pull = vjp(tidy_case.op, *inputs)
    weights = torch.randn(values.shape, dtype=torch.float64, requires_grad=True)
    ours = pull(weights)
    theirs = vjp(tidy_case.oracle, *inputs)[1](weights)
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", ["spmm", "sddmm", "edge_softmax", "segment_sum", "expand"])
def test_a_batched_call_is_one_kernel_call(name):
    adj = Adjacency.from_coo([2, 0, 0], [1, 1, 0], (3, 2))
    kernels = backend.kernels_for(torch.empty(0))
    calls = []

    def counting(*args):
        calls.append(name)
        return getattr(kernels, name)(*args)

    op = {"expand": ops.gather_src}.get(name) or getattr(ops, name)
    rows = {"spmm": [2], "sddmm": [3, 2], "expand": [3]}.get(name, [3])
    batch = [torch.randn(7, n, 4) for n in rows]
    with backend.override(kernels._replace(**{name: counting})):
        vmap(lambda *tensors: op(adj, *tensors))(*batch)
    assert calls == [name]


def test_a_batch_of_features_shares_the_weights_without_copying_them():
    adj = Adjacency.from_coo([2, 0, 0], [1, 1, 0], (3, 2))
    kernels = backend.kernels_for(torch.empty(0))
    weight, seen = torch.randn(3, 2), []

    def watching(indptr, indices, edge_ids, w, x):
        seen.append((w.ctypes.data, w.shape, x.shape))
        return kernels.spmm(indptr, indices, edge_ids, w, x)

    with backend.override(kernels._replace(spmm=watching)):
        vmap(lambda x: ops.spmm(adj, x, weight))(torch.randn(5, 2, 2, 4))
    assert seen == [(weight.data_ptr(), (3, 2), (2, 2, 20))]


def test_gradients_nobody_asked_for_are_not_computed():
    adj = Adjacency.from_coo([2, 0, 0], [1, 1, 0], (3, 2))
    kernels = backend.kernels_for(torch.empty(0))
    x, weight = torch.randn(2, 4, requires_grad=True), torch.randn(3)

    def refused(*args):
        raise AssertionError("nobody asked for the weight's gradient")

    with backend.override(kernels._replace(sddmm=refused)):
        ops.spmm(adj, x, weight).sum().backward()
    assert x.grad.shape == x.shape


def test_features_are_not_kept_for_a_backward_that_does_not_need_them():
    adj = Adjacency.from_coo([2, 0, 0], [1, 1, 0], (3, 2))
    leaf = torch.randn(2, 4, requires_grad=True)
    hidden = leaf * 2
    y = ops.spmm(adj, hidden, torch.randn(3))
    gone = weakref.ref(hidden)
    del hidden
    gc.collect()
    assert gone() is None
    y.sum().backward()


def test_the_derivative_of_a_maximum_goes_to_the_first_of_equal_edges_of_the_row():
    adj = Adjacency.from_coo([0, 0, 0], [2, 0, 1], (2, 3))
    values = torch.tensor([1.0, 1.0, 1.0], requires_grad=True)
    ops.segment_max(adj, values).sum().backward()
    assert values.grad.tolist() == [0.0, 1.0, 0.0]


def test_without_the_shortcut_to_torch_the_derivatives_are_the_same(tidy_case, monkeypatch):
    def slope():
        leaves = tidy_case.leaves()
        return torch.autograd.grad(tidy_case.op(*leaves).pow(3).sum(), leaves)

    short = slope()
    monkeypatch.setattr(rules, "_transforming", lambda: True)
    assert_same(slope(), short, tolerance=1e-14 if tidy_case.name in FUSED else 0)
