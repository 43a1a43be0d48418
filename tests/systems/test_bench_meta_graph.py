"""The loop that Meta-Graph's step is timed against computes the same step."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import dglmeta as dm
from dglmeta.bench.systems.bench_meta_graph_step import Loop, on_all_nodes
from dglmeta.systems.meta_graph import MetaGraph
from dglmeta.systems.parts.meta_graph.setup import State

GRAPHS = np.arange(3)


def begin(dtype: torch.dtype, **settings: Any) -> tuple[MetaGraph, State]:
    """A system and a state whose signature modulates; always the same one."""
    system = MetaGraph(MetaGraph.Config(**{"train_fraction": 0.3, "inner_lr": 0.1, **settings}))
    state = system.init(dm.load_dataset("toy-graphs"), seed=0, split_seed=0)
    generator = torch.Generator().manual_seed(1)
    for p in state.learned:
        p.data = p.data.to(dtype)
        p.data += 0.1 * torch.randn(p.shape, generator=generator, dtype=torch.float64).to(dtype)
    return system, state


def gradients(state: State) -> torch.Tensor:
    """Of theta and psi, one vector."""
    return torch.cat([p.grad.flatten() for p in state.learned if p.grad is not None])


def ours_and_loop(
    dtype: torch.dtype, *, all_nodes: bool, **settings: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Outer gradients of one step, ours and the loop's."""
    system, state = begin(dtype, **settings)
    system.step(state, state.batch(GRAPHS), np.random.default_rng(3))
    _, other = begin(dtype, **settings)
    if all_nodes:
        other = dataclasses.replace(other, graphs=[on_all_nodes(g) for g in other.graphs])
    loop = Loop(system, other, other.batch(GRAPHS))
    assert loop.step(np.random.default_rng(3)) > 0
    return gradients(state), gradients(other)


@pytest.mark.parametrize("all_nodes", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_loop_has_the_outer_gradient_of_a_step(
    dtype: torch.dtype, tolerance: float, all_nodes: bool
) -> None:
    ours, loop = ours_and_loop(dtype, all_nodes=all_nodes)
    assert len(ours) == len(loop)
    assert float((ours - loop).abs().max()) < tolerance * float(loop.abs().max())


def test_loop_agrees_where_no_gradient_is_clipped() -> None:
    ours, loop = ours_and_loop(torch.float64, all_nodes=True, clip=1e6)
    torch.testing.assert_close(ours, loop, rtol=1e-9, atol=1e-10)


def test_loop_agrees_with_more_steps_than_folds() -> None:
    ours, loop = ours_and_loop(torch.float64, all_nodes=True, folds=2, inner_steps=5)
    torch.testing.assert_close(ours, loop, rtol=1e-9, atol=1e-10)


def test_loop_agrees_without_signature() -> None:
    ours, loop = ours_and_loop(torch.float64, all_nodes=True, method="maml")
    torch.testing.assert_close(ours, loop, rtol=1e-9, atol=1e-10)


def test_second_order_shows_in_the_comparison() -> None:
    second, loop = ours_and_loop(torch.float64, all_nodes=True)
    first, _ = ours_and_loop(torch.float64, all_nodes=True, order=1)
    assert float((first - loop).abs().max()) > 1e3 * float((second - loop).abs().max()) + 1e-3


def test_ours_on_all_nodes_is_ours() -> None:
    system, state = begin(torch.float64)
    _, other = begin(torch.float64)
    other = dataclasses.replace(other, graphs=[on_all_nodes(g) for g in other.graphs])
    for each in (state, other):
        system.step(each, each.batch(GRAPHS), np.random.default_rng(3))
    assert all(len(g.states.n_nodes) == g.n_nodes for g in other.graphs)
    torch.testing.assert_close(gradients(state), gradients(other), rtol=1e-9, atol=1e-10)
