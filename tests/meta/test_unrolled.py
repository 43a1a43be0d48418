"""The gradient through descent, against autograd through the whole loop and central differences."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

import dglmeta as dm
from dglmeta.data import few_shot_split
from dglmeta.errors import ConfigError
from dglmeta.meta import (
    clip_gradients,
    descend_tasks,
    one_per_task,
    parameters_of,
    unrolled_gradient,
)
from dglmeta.nn import VGAE, GraphSignature, encode
from dglmeta.nn.signature import VARIANTS
from dglmeta.tasks import FewShotBatch, FewShotGraph, Pairs, evidence_loss

N_TASKS, LR = 3, 0.4


class Problem(NamedTuple):
    inner: Callable[..., Tensor]
    outer: Callable[..., Tensor]
    start: dict[str, Tensor]
    conditions: dict[str, Tensor]


def normal(g: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def problem(n_tasks: int = N_TASKS, *, shared: bool = False) -> Problem:
    """Regression by a small network a task; each inner step has examples of its own."""
    g = torch.Generator().manual_seed(0)
    x, y = normal(g, 6, n_tasks, 8, 4), normal(g, 6, n_tasks, 8)
    start = {"first": normal(g, n_tasks, 4, 5), "second": normal(g, n_tasks, 5)}
    if shared:
        start = {name: p[:1].expand_as(p) for name, p in start.items()}
    conditions = {"scale": normal(g, n_tasks, 5), "shift": normal(g, n_tasks, 5)}

    def loss(phi: dict[str, Tensor], s: dict[str, Tensor], k: int) -> Tensor:
        h = torch.tanh(x[k] @ phi["first"]) * s["scale"][:, None] + s["shift"][:, None]
        out = (torch.sin(h) @ phi["second"][:, :, None])[:, :, 0]
        return (out - y[k]).square().mean(dim=1).sum()

    return Problem(loss, lambda phi, s: loss(phi, s, 5), start, conditions)


def unrolled(
    p: Problem,
    *,
    steps: int,
    clip: float | None = None,
    mask: list[str] | None = None,
    order: int = 2,
    constant_conditions: bool = False,
    constant_clip: bool = False,
    lr: float = LR,
) -> Any:
    """Outer loss, its gradients, and phi_K: the loop written down, and backward through all."""
    start = {n: v.detach().clone().requires_grad_() for n, v in p.start.items()}
    s = {n: v.detach().clone().requires_grad_() for n, v in p.conditions.items()}
    phi = start
    for k in range(steps):
        seen = {n: v.detach().requires_grad_() for n, v in s.items()} if constant_conditions else s
        moved = [n for n in phi if mask is None or n in mask]
        loss = p.inner(phi, seen, k)
        slopes = torch.autograd.grad(loss, [phi[n] for n in moved], create_graph=True)
        g = dict(zip(moved, slopes, strict=True))
        if order == 1:
            g = {n: v.detach() for n, v in g.items()}
        if clip is not None:
            n_tasks = len(next(iter(g.values())))
            rows = [torch.cat([v[b].flatten() for v in g.values()]) for b in range(n_tasks)]
            factor = torch.stack(
                [clip / r.norm() if r.norm() > clip else r.new_ones(()) for r in rows]
            )
            factor = factor.detach() if constant_clip else factor
            g = {n: v * factor.view(-1, *[1] * (v.ndim - 1)) for n, v in g.items()}
        phi = {n: v - lr * g[n] if n in g else v for n, v in phi.items()}
    loss = p.outer(phi, s)
    found = torch.autograd.grad(
        loss, [*start.values(), *s.values()], materialize_grads=True, allow_unused=True
    )
    return loss, dict(zip([*start, *s], found, strict=True)), phi


def assert_same(got: dict, expected: dict, tolerance: float = 1e-10) -> None:
    assert got
    for name, value in got.items():
        torch.testing.assert_close(value, expected[name], rtol=tolerance, atol=tolerance)


CUT, SOME, LOOSE = 0.05, 5.0, 1e6

KINDS: dict[str, dict[str, Any]] = {
    "no clip": {},
    "clip that cuts": {"clip": CUT},
    "clip that does not": {"clip": LOOSE},
    "clip that cuts some": {"clip": SOME},
    "constant clip": {"clip": CUT, "constant_clip": True},
    "constant clip that cuts some": {"clip": SOME, "constant_clip": True},
    "mask": {"mask": ["second"]},
    "mask and clip": {"mask": ["first"], "clip": CUT},
    "constant conditions": {"constant_conditions": True},
    "constant conditions and clip": {
        "constant_conditions": True,
        "clip": CUT,
        "constant_clip": True,
    },
    "order 1": {"order": 1},
    "order 1, clip and mask": {"order": 1, "clip": SOME, "mask": ["second"]},
}


def norms(p: Problem, k: int = 0) -> Tensor:
    at = {n: v.clone().requires_grad_() for n, v in p.start.items()}
    g = torch.autograd.grad(p.inner(at, p.conditions, k), list(at.values()))
    return torch.cat([v.flatten(1) for v in g], 1).norm(dim=1)


def test_the_clips_below_cut_what_they_are_said_to():
    found = norms(problem())
    assert (found > CUT).all()
    assert (found < LOOSE).all()
    assert 0 < (found > SOME).sum() < N_TASKS


@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_it_is_the_gradient_of_autograd_through_the_loop(options, steps):
    p = problem()
    got = unrolled_gradient(*p, steps=steps, lr=LR, **options)
    loss, expected, phi = unrolled(p, steps=steps, **options)
    torch.testing.assert_close(got.loss, loss.detach(), rtol=1e-12, atol=0)
    assert_same(got.adapted, {n: v.detach() for n, v in phi.items()}, 1e-12)
    assert_same(got.start, expected)
    assert_same(got.conditions, expected)


EXACT = ("no clip", "clip that cuts", "clip that does not", "clip that cuts some", "mask")


@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("kind", EXACT)
def test_it_is_the_slope_by_central_differences(kind, steps):
    p, options = problem(), KINDS[kind]
    got = unrolled_gradient(*p, steps=steps, lr=LR, **options)
    g, eps = torch.Generator().manual_seed(1), 1e-5
    for group, found in (("start", got.start), ("conditions", got.conditions)):
        for name, value in getattr(p, group).items():
            for _ in range(4):
                way = normal(g, *value.shape)
                up, down = (
                    unrolled_gradient(
                        *p._replace(**{group: {**getattr(p, group), name: value + sign * way}}),
                        steps=steps,
                        lr=LR,
                        **options,
                    ).loss
                    for sign in (eps, -eps)
                )
                slope = ((up - down) / (2 * eps)).item()
                assert (found[name] * way).sum().item() == pytest.approx(slope, rel=1e-6, abs=1e-7)


def test_what_is_taken_for_constant_makes_a_difference():
    p = problem()
    exact = unrolled_gradient(*p, steps=4, lr=LR, clip=CUT)
    for name, options in (
        ("start", {"order": 1}),
        ("start", {"constant_clip": True}),
        ("conditions", {"order": 1}),
        ("conditions", {"constant_conditions": True}),
    ):
        other = unrolled_gradient(*p, steps=4, lr=LR, clip=CUT, **options)
        for n, value in getattr(exact, name).items():
            assert (value - getattr(other, name)[n]).abs().max() > 1e-5


def test_a_mask_leaves_the_others_where_they_were():
    p = problem()
    got = unrolled_gradient(*p, steps=3, lr=LR, mask=["second"])
    assert torch.equal(got.adapted["first"], p.start["first"])
    assert not torch.equal(got.adapted["second"], p.start["second"])
    assert got.start["first"].abs().max() > 1e-3


def test_tasks_do_not_mix():
    p = problem()
    got = unrolled_gradient(*p, steps=3, lr=LR, clip=SOME)
    far = {n: v.clone() for n, v in p.start.items()}
    near = {n: v.clone() for n, v in p.conditions.items()}
    for tensors in (far, near):
        for v in tensors.values():
            v[0] += 1
    other = unrolled_gradient(*p._replace(start=far, conditions=near), steps=3, lr=LR, clip=SOME)
    for field in ("start", "conditions", "adapted"):
        for name, value in getattr(got, field).items():
            torch.testing.assert_close(
                value[1:], getattr(other, field)[name][1:], rtol=0, atol=1e-14
            )
            assert not torch.equal(value[0], getattr(other, field)[name][0])


def test_from_one_start_the_sum_over_tasks_is_the_gradient_of_theta():
    p = problem(shared=True)
    theta = {n: v[0].clone().requires_grad_() for n, v in p.start.items()}
    got = unrolled_gradient(
        p.inner, p.outer, one_per_task(theta, N_TASKS), p.conditions, steps=2, lr=LR
    )
    phi = {n: v.expand(N_TASKS, *v.shape) for n, v in theta.items()}
    for k in range(2):
        g = torch.autograd.grad(
            p.inner(phi, p.conditions, k), list(phi.values()), create_graph=True
        )
        phi = {n: v - LR * d for (n, v), d in zip(phi.items(), g, strict=True)}
    expected = torch.autograd.grad(p.outer(phi, p.conditions), list(theta.values()))
    assert_same(
        {n: v.sum(0) for n, v in got.start.items()}, dict(zip(theta, expected, strict=True))
    )


def peak_saved(run: Callable[[], Any]) -> int:
    """Most tensors that autograd keeps for backward passes at one time."""
    alive = peak = 0

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            self.tensor = tensor

    def drop() -> None:
        nonlocal alive
        alive -= 1

    def keep(tensor: Tensor) -> Kept:
        nonlocal alive, peak
        kept = Kept(tensor)
        weakref.finalize(kept, drop)
        alive += 1
        peak = max(peak, alive)
        return kept

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept.tensor):
        run()
    return peak


@pytest.mark.parametrize("options", [{}, {"clip": CUT}, {"order": 1}], ids=str)
def test_what_is_kept_for_backward_passes_does_not_grow_with_the_steps(options):
    p = problem()
    p = p._replace(inner=lambda phi, s, k: problem().inner(phi, s, k % 5))
    few, many = (
        peak_saved(lambda k=k: unrolled_gradient(*p, steps=k, lr=LR, **options)) for k in (2, 12)
    )
    assert 0 < many <= few
    if options.get("order") != 1:
        few, many = (peak_saved(lambda k=k: unrolled(p, steps=k, **options)) for k in (2, 12))
        assert many > 3 * few  # so the count can tell


def test_nothing_given_is_written():
    p = problem()
    before = {n: v.clone() for n, v in {**p.start, **p.conditions}.items()}
    unrolled_gradient(*p, steps=2, lr=LR, clip=CUT)
    for name, value in {**p.start, **p.conditions}.items():
        assert torch.equal(value, before[name])
        assert not value.requires_grad


def test_a_loss_of_constant_slope_pulls_nothing_back():
    double = lambda p, s, k=0: (p["w"] * 2).sum()  # noqa: E731
    square = lambda p, s, k=0: (p["w"] ** 2).sum()  # noqa: E731
    got = unrolled_gradient(double, square, {"w": torch.ones(2, 1)}, {}, steps=2, lr=0.1)
    torch.testing.assert_close(got.adapted["w"], torch.full((2, 1), 0.6))
    torch.testing.assert_close(got.start["w"], torch.full((2, 1), 1.2))


def test_a_gradient_of_zero_is_clipped_to_zero():
    flat = lambda p, s, k=0: (p["w"] ** 2).sum()  # noqa: E731
    got = unrolled_gradient(flat, flat, {"w": torch.zeros(2, 1)}, {}, steps=2, lr=0.1, clip=1.0)
    assert not got.adapted["w"].any()
    assert torch.isfinite(got.start["w"]).all()


def test_clipping_bounds_each_tasks_norm_over_all_parameters():
    g = {"a": torch.tensor([[3.0], [0.3]]), "b": torch.tensor([[4.0, 0.0], [0.4, 0.0]])}
    got = clip_gradients(g, 1.0)
    torch.testing.assert_close(got["a"], torch.tensor([[0.6], [0.3]]))
    torch.testing.assert_close(got["b"], torch.tensor([[0.8, 0.0], [0.4, 0.0]]))
    assert_same(clip_gradients(g, None), g, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 3, "steps": 1}, "expected order 1 or 2, got 3"),
        ({"steps": -1}, "expected steps >= 0, got -1"),
    ],
)
def test_other_orders_and_numbers_of_steps_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        unrolled_gradient(*problem(), lr=LR, **options)


# --- on Meta-Graph's own losses


@pytest.fixture(scope="module")
def batch() -> FewShotBatch:
    """Three toy graphs in float64, their known edges in three folds."""
    ds = dm.load_dataset("toy-graphs")
    graphs = [
        FewShotGraph(
            few_shot_split(graph, 0.3, seed=k),
            graph.node_data["node"]["feat"],
            ("given", "degrees", "neighbours"),
            n_folds=3,
        )
        for k, graph in enumerate(ds.graphs[:3])
    ]
    return FewShotBatch(graphs, dtype=torch.float64, noise=3)


def on_graphs(batch: FewShotBatch, variant: str) -> tuple[Problem, list[Pairs], Pairs]:
    """Meta-Graph's losses on a batch, with a signature as in the middle of training."""
    d_in = batch.graphs[0].states.received.shape[1] - 1
    torch.manual_seed(0)
    model = VGAE(d_in, 5, 3, two_weights=variant == "two-weights").double()
    psi = GraphSignature(d_in, (5, 6), variant=variant, d_hidden=5).double()
    for p in psi.parameters():
        p.data.normal_(0, 0.5)
    with torch.no_grad():
        film = psi(batch.whole)
    rng = np.random.default_rng(0)
    known, held_out = [batch.draw_training(k, rng) for k in range(4)], batch.draw_validation(rng)
    start = one_per_task(parameters_of(model), len(batch))
    return with_pairs(batch, start, film, known, held_out), known, held_out


def with_pairs(
    batch: FewShotBatch, start: dict, film: dict, known: list[Pairs], held_out: Pairs
) -> Problem:
    def inner(phi: dict, s: dict, k: int) -> Tensor:
        graphs = batch.fold(k)
        return evidence_loss(encode(phi, graphs, s), graphs, known[k])

    def outer(phi: dict, s: dict) -> Tensor:
        return evidence_loss(encode(phi, batch.whole, s), batch.whole, held_out)

    return Problem(inner, outer, start, film)


@pytest.mark.parametrize("clip", [None, 0.02])
@pytest.mark.parametrize("variant", VARIANTS)
def test_meta_graphs_outer_gradient_is_that_of_autograd_through_the_loop(batch, variant, clip):
    p, _, _ = on_graphs(batch, variant)
    got = unrolled_gradient(*p, steps=4, lr=0.3, clip=clip)
    loss, expected, _ = unrolled(p, steps=4, lr=0.3, clip=clip)
    torch.testing.assert_close(got.loss, loss.detach(), rtol=1e-12, atol=0)
    assert_same(got.start, expected)
    assert_same(got.conditions, expected)
    for found in got.conditions.values():
        assert found.abs().max() > 1e-6


def of_graph(batch: FewShotBatch, pairs: Pairs, b: int) -> Pairs:
    """The pairs within one graph, as a batch of that graph alone has them."""
    begin, end = batch.node_ptr[b : b + 2]
    here = ((pairs.ends >= begin) & (pairs.ends < end)).all(0)
    return Pairs(
        pairs.ends[:, here] - int(begin),
        pairs.sign[here],
        pairs.share[here],
        pairs.noise[begin:end],
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batched_outer_step_is_the_loop_over_graphs(batch, variant):
    p, known, held_out = on_graphs(batch, variant)
    got = unrolled_gradient(*p, steps=4, lr=0.3, clip=0.5)
    total = 0.0
    for b, graph in enumerate(batch.graphs):
        alone = FewShotBatch([graph], dtype=torch.float64, noise=3)
        one = with_pairs(
            alone,
            {n: v[b : b + 1] for n, v in p.start.items()},
            {n: v[b : b + 1] for n, v in p.conditions.items()},
            [of_graph(batch, pairs, b) for pairs in known],
            of_graph(batch, held_out, b),
        )
        expected = unrolled_gradient(*one, steps=4, lr=0.3, clip=0.5)
        for field in ("start", "conditions", "adapted"):
            rows = {n: v[b : b + 1] for n, v in getattr(got, field).items()}
            assert_same(rows, getattr(expected, field), 1e-11)
        total += expected.loss
    torch.testing.assert_close(got.loss, total, rtol=1e-12, atol=0)


def test_on_graphs_too_no_more_is_kept_for_more_steps(batch):
    p, _, _ = on_graphs(batch, "modulation")
    few = Problem(lambda phi, s, k: p.inner(phi, s, k % 3), *p[1:])
    two, twelve = (
        peak_saved(lambda k=k: unrolled_gradient(*few, steps=k, lr=0.1, clip=0.5)) for k in (2, 12)
    )
    assert 0 < twelve <= two


def test_descending_is_what_the_outer_gradient_goes_through(batch):
    p, _, _ = on_graphs(batch, "gating")
    phi = p.start
    for k in range(3):
        phi = descend_tasks(p.inner, phi, p.conditions, k, lr=0.3, clip=0.5, mask=["weight_out"])
    got = unrolled_gradient(*p, steps=3, lr=0.3, clip=0.5, mask=["weight_out"]).adapted
    assert_same(phi, got, 0)


@pytest.mark.parametrize("mask", [(), ("no such",)])
def test_a_mask_that_names_no_parameter_is_refused(mask):
    def square(phi, _conditions, _k=0):
        return (phi["w"] ** 2).sum()

    with pytest.raises(ConfigError, match="names among"):
        unrolled_gradient(square, square, {"w": torch.ones(1)}, {}, steps=1, lr=0.1, mask=mask)
