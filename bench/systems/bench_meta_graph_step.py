"""One outer step of Meta-Graph on FIRSTMM: all graphs at once, and as a loop over graphs.

Run ``python -m dglmeta.bench.systems.bench_meta_graph_step`` with the data folder in DGLMETA_DATA.
The loop is Algorithm 1 as it is usually written: one graph after another, its inner steps recorded
with ``create_graph=True``, and a backward pass through all of a graph's (one through all graphs is
no faster, nor is Â as COO). It is given every hoist: the normalised adjacency, its transpose, ÂX
and Â1 of every fold are kept, a signature is computed once a graph, and pairs are drawn for all
graphs at once by the sampler of :class:`MetaGraph` and cut apart while no clock runs. Ours puts its
graphs side by side anew at every step, on the clock. Each side is measured on all nodes and on
nodes merged where two layers cannot tell them apart: four forms, in turn in one process; ratios are
medians of those of single rounds. Memory is how far a process of its own grows over three steps,
after one, freed memory being given back at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import softplus

import dglmeta as dm
from dglmeta.bench.measure import peak_growth
from dglmeta.graph import Adjacency
from dglmeta.graph.states import NodeStates
from dglmeta.meta import Params, parameters_of
from dglmeta.nn import GraphSignature
from dglmeta.nn.stacked import layer_inputs
from dglmeta.systems.meta_graph import MetaGraph
from dglmeta.systems.parts.meta_graph.setup import State
from dglmeta.tasks import FewShotBatch, FewShotGraph, Pairs
from dglmeta.tasks.graphs.few_shot import normalised

FORMS = ("ours", "ours, all nodes", "loop, merged", "loop")
FEATURES = {"given": ("given",), "all": ("given", "degrees", "neighbours")}
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "16384", "MALLOC_TRIM_THRESHOLD_": "0"}
"""Tells glibc to return what is freed at once: slower, but nothing idle."""


class AllNodes(FewShotGraph):
    """A graph whose every node is a state of its own."""

    def read(self, heard: Adjacency) -> NodeStates:
        """Node states that are not merged."""
        adj, weight = normalised(heard, structure=self.structure)
        x = np.column_stack([self.describe(heard), np.ones(self.n_nodes)])
        ones = np.ones(self.n_nodes, np.int64)
        received = adj.to_scipy(weight) @ x
        received = np.hstack([received, x]) if self.skip else received
        by_position = weight if adj.edge_ids is None else weight[adj.edge_ids]
        messages = Adjacency(adj.indptr, adj.indices, None, self.n_nodes)
        nodes = np.arange(self.n_nodes)
        own = nodes if self.skip else None
        return NodeStates(received, ones, messages, by_position, ones, nodes, own)


def on_all_nodes(graph: FewShotGraph) -> AllNodes:
    """The graph without merging."""
    return AllNodes(**{f.name: getattr(graph, f.name) for f in dataclasses.fields(graph)})


class Product(torch.autograd.Function):
    """A sparse matrix times a dense one; the matrix is a constant, and its transpose is given."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transpose: Tensor, x: Tensor) -> Tensor:
        """(n, d)."""
        ctx.matrices = transpose, matrix
        return torch.sparse.mm(matrix, x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor]:
        """In x alone."""
        return None, None, Product.apply(*ctx.matrices, grad)


class Reading(NamedTuple):
    """One graph as two layers of messages read it."""

    received: Tensor
    """(m, d_in + 2): [ÂX, Â1, 1], or with a node's own row [ÂX, X, Â1, 1]."""
    n_receiving: Tensor
    """(m, 1) nodes of each row."""
    sent: Tensor
    """(n, 2): [Â1, 1]."""
    n_nodes: Tensor
    """(n,) nodes of each row, over the square of their number."""
    messages: tuple[Tensor, Tensor]
    """Â and its transpose, sparse."""
    own: Tensor | None
    """(n,) row of the first layer that each of the second's has itself."""

    @classmethod
    def of(cls, states: NodeStates, dtype: torch.dtype) -> Reading:
        """What a graph's node states say."""
        matrix = states.messages.to_scipy(states.weight)

        def tensor(*columns: Any) -> Tensor:
            return torch.from_numpy(np.column_stack(columns)).to(dtype)

        return cls(
            tensor(layer_inputs(states)),
            tensor(states.n_receiving),
            tensor(matrix.sum(axis=1), np.ones(len(states.n_nodes))),
            tensor(states.n_nodes)[:, 0] / len(states.state) ** 2,
            (as_sparse(matrix, dtype), as_sparse(matrix.T.tocsr(), dtype)),
            None if states.own is None else torch.from_numpy(states.own),
        )


def as_sparse(matrix: csr_array, dtype: torch.dtype) -> Tensor:
    """Torch's form of a sparse matrix."""
    parts = [torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data)]
    with warnings.catch_warnings(action="ignore"):  # that it is a beta feature
        return torch.sparse_csr_tensor(*parts, matrix.shape, dtype=dtype)


class Loop:
    """The outer step as a loop over graphs."""

    def __init__(self, system: MetaGraph, state: State, batch: FewShotBatch) -> None:
        self.system, self.state, self.batch = system, state, batch
        folds = [k % batch.n_folds for k in range(system.config.inner_steps)]
        self.node_states = [
            [*(g.fold_states[k % g.n_folds] for k in folds), g.states] for g in batch.graphs
        ]
        self.readings = [[Reading.of(s, batch.dtype) for s in row] for row in self.node_states]

    def step(self, rng: np.random.Generator) -> float:
        """One step on theta and psi, by the pairs that MetaGraph.step draws; its seconds."""
        config, begun = self.system.config, time.perf_counter()
        known = [self.batch.draw_training(k, rng) for k in range(config.inner_steps)]
        drawn = [*known, self.batch.draw_validation(rng)]
        drawing = time.perf_counter() - begun
        asked = [self.cut(drawn, b) for b in range(len(self.batch))]
        begun = time.perf_counter()
        self.descend(asked)
        return drawing + time.perf_counter() - begun

    def descend(self, asked: list[list[Pairs]]) -> None:
        """Gradients of the mean outer loss, and Adam."""
        config, state = self.system.config, self.state
        state.optimizer.zero_grad()
        for readings, pairs in zip(self.readings, asked, strict=True):
            (self.outer_loss(readings, pairs) / len(asked)).backward()
        torch.nn.utils.clip_grad_norm_(state.learned, config.clip)
        state.optimizer.step()

    def outer_loss(self, readings: list[Reading], asked: list[Pairs]) -> Tensor:
        """() loss of one graph's held-out pairs after the inner steps, with their graph."""
        config, phi = self.system.config, parameters_of(self.state.model)
        signature = self.state.signature
        film = {} if signature is None else modulation(signature, readings[-1])
        for reading, pairs in zip(readings[:-1], asked[:-1], strict=True):
            inner = loss(phi, film, reading, pairs)
            found = torch.autograd.grad(inner, list(phi.values()), create_graph=True)
            norm = torch.stack([g.square().sum() for g in found]).sum().clamp(min=1e-30).sqrt()
            size = config.inner_lr * (config.clip / norm).clamp(max=1)
            phi = {name: p - size * g for (name, p), g in zip(phi.items(), found, strict=True)}
        return loss(phi, film, readings[-1], asked[-1])

    def cut(self, drawn: list[Pairs], b: int) -> list[Pairs]:
        """Those of graph b, ends numbered as the rows of its readings."""
        (begin, end), asked = self.batch.node_ptr[b : b + 2], []
        for pairs, states in zip(drawn, self.node_states[b], strict=True):
            which = (pairs.ends[0] >= begin) & (pairs.ends[0] < end)
            ends = torch.from_numpy(states.state)[pairs.ends[:, which] - begin]
            asked.append(Pairs(ends, pairs.sign[which], pairs.share[which]))
        return asked


def modulation(signature: GraphSignature, whole: Reading) -> Params:
    """What the signature of one graph says: variant "modulation", protocol "clean"."""
    heard = torch.addmm(signature.bias, whole.received[:, :-2], signature.weight).relu()
    total = whole.n_receiving.sum()
    s = signature.norm((whole.n_receiving * heard).sum(dim=0) / total)
    gamma, beta = ([head(s).tanh() for head in h] for h in (signature.gamma, signature.beta))
    return {
        "gamma_in": 1 + gamma[0],
        "gamma_out": (1 + gamma[1]).repeat(2),
        "beta_in": beta[0],
        "beta_out": beta[1].repeat(2),
    }


def loss(params: Mapping[str, Tensor], film: Params, graph: Reading, asked: Pairs) -> Tensor:
    """() negative evidence bound of the pairs of one graph."""
    hidden = (graph.received @ layer(params, film, "in")).relu()
    own = [] if graph.own is None else [hidden[graph.own]]
    heard = torch.cat([Product.apply(*graph.messages, hidden), *own, graph.sent], dim=1)
    mu, logstd = (heard @ layer(params, film, "out")).chunk(2, dim=1)
    logstd = logstd.clamp(-10, 10)
    u, v = mu[asked.ends[0]], mu[asked.ends[1]]
    fit = (asked.share * softplus(-asked.sign * (u * v).sum(dim=1))).sum()
    divergence = -0.5 * (1 + 2 * logstd - mu**2 - torch.exp(2 * logstd)).sum(dim=1)
    return fit + (graph.n_nodes * divergence).sum()


def layer(params: Mapping[str, Tensor], film: Params, which: str) -> Tensor:
    """(a + 2, b): what rows [ÂX, Â1, 1] are multiplied by."""
    weight, bias = params[f"weight_{which}"], params[f"bias_{which}"]
    beta = film[f"beta_{which}"] if film else torch.zeros_like(bias)
    return torch.cat([weight * film[f"gamma_{which}"] if film else weight, beta[None], bias[None]])


def prepare(
    arguments: argparse.Namespace, forms: tuple[str, ...] = FORMS
) -> dict[str, Callable[[np.random.Generator], float]]:
    """By form, a function that takes a step and gives the seconds; all move the same parameters."""
    system = MetaGraph(
        MetaGraph.Config(
            train_fraction=arguments.fraction,
            inner_steps=arguments.steps,
            graphs=arguments.graphs,
            features=FEATURES[arguments.features],
        )
    )
    state = system.init(dm.load_dataset("firstmm"), seed=0, split_seed=0)
    numbers = state.split.train[: arguments.graphs]

    def ours(state: State) -> Callable[[np.random.Generator], float]:
        def step(rng: np.random.Generator) -> float:
            begun = time.perf_counter()
            system.step(state, state.batch(numbers), rng)
            return time.perf_counter() - begun

        return step

    def loop(state: State) -> Callable[[np.random.Generator], float]:
        return Loop(system, state, state.batch(numbers)).step

    apart = dataclasses.replace(state, graphs=[on_all_nodes(g) for g in state.graphs])
    sides = zip(FORMS, ((ours, state), (ours, apart), (loop, state), (loop, apart)), strict=True)
    return {form: make(which) for form, (make, which) in sides if form in forms}


def seconds_a_step(arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of each round's step of each form, in turn, after two rounds of warm-up."""
    forms = prepare(arguments)
    rng = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {form: [] for form in forms}
    for _ in range(arguments.rounds + 2):
        for form, step in forms.items():
            gc.collect()
            seconds[form].append(step(rng))
    return {form: each[2:] for form, each in seconds.items()}


def growth(arguments: argparse.Namespace) -> float:
    """How many MiB memory grew over three steps of one form, after one."""
    (step,) = prepare(arguments, (arguments.form,)).values()
    rng = np.random.default_rng(0)
    step(rng)
    gc.collect()
    return peak_growth(lambda: [step(rng) for _ in range(3)])[1] or float("nan")


def in_a_process(environment: Mapping[str, str], *options: str) -> Any:
    """What a process of its own prints, run with these options besides ours."""
    command = [sys.executable, "-m", "dglmeta.bench.systems.bench_meta_graph_step"]
    command += [*sys.argv[1:], *options]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main() -> None:
    """Measure with one thread and with two, then memory; print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fraction", type=float, default=0.1)
    parser.add_argument("--graphs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--features", choices=FEATURES, default="all")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--form", choices=(*FORMS, "times"))
    arguments = parser.parse_args()
    if arguments.form:
        measure = seconds_a_step if arguments.form == "times" else growth
        print(json.dumps(measure(arguments)))
        return
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        seconds = in_a_process(dict.fromkeys(names, threads), "--form", "times")
        print(f"{threads} thread(s)")
        for form, each in seconds.items():
            ratio = np.median(np.divide(each, seconds["ours"]))
            print(f"  {form:<16} {1e3 * np.median(each):8.1f} ms a step, {ratio:6.2f}x ours")
    for form in FORMS:
        each = [in_a_process(GIVE_BACK, "--form", form, "--steps", str(k)) for k in (5, 20)]
        print("{:<18} memory grows by {:7.1f} MiB at 5 steps, {:7.1f} at 20".format(form, *each))


if __name__ == "__main__":
    main()
