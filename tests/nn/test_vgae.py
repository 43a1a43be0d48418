"""The graph auto-encoder: a dense textbook program, many graphs at once, and the divergence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as kl

from dglmeta.graph import Adjacency
from dglmeta.graph.states import node_states
from dglmeta.nn import VGAE, encode
from dglmeta.nn.signature import VARIANTS
from dglmeta.nn.stacked import stack_graphs
from dglmeta.nn.vgae import MAX_LOGSTD, bounded, kl_divergence
from dglmeta.tasks.graphs.few_shot import normalised

D_IN, D_HIDDEN, D = 4, 6, 3


def graph(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A (n, n) symmetric 0/1 matrix, some nodes isolated, and features that few nodes share."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((n, n)) < 2.5 / n, 1)
    x = np.eye(D_IN)[rng.integers(0, D_IN, n)] + rng.integers(0, 2, (n, 1))
    return (upper | upper.T).astype(float), x


GRAPHS = [graph(n, seed) for seed, n in enumerate((9, 40, 70))]


def stacked(graphs):
    states = []
    for a, x in graphs:
        adj = Adjacency.from_coo(*np.nonzero(a), a.shape)
        states.append(node_states(*normalised(adj), np.column_stack([x, np.ones(len(x))])))
    return stack_graphs(states, torch.float64)


def numbers(n_graphs: int, variant: str = "", seed: int = 0) -> tuple[dict, dict]:
    """Parameters, and what modulates, different for every graph and nowhere neutral."""
    g = torch.Generator().manual_seed(seed)
    model = VGAE(D_IN, D_HIDDEN, D, two_weights=variant == "two-weights")
    params = {
        name: torch.randn(n_graphs, *p.shape, generator=g, dtype=torch.float64)
        for name, p in model.named_parameters()
    }
    film = {}
    if variant:
        for which, width in (("in", D_HIDDEN), ("out", 2 * D)):
            for what in ("gamma", "beta"):
                film[f"{what}_{which}"] = torch.randn(
                    n_graphs, width, generator=g, dtype=torch.float64
                )
            if variant in ("weights", "two-weights"):
                film[f"plain_{which}"] = torch.rand(
                    n_graphs, width, generator=g, dtype=torch.float64
                )
    return params, film


def of_graph(tensors: dict, b: int) -> dict:
    return {name: t[b] for name, t in tensors.items()}


def textbook(a: np.ndarray, x: np.ndarray, p: dict, film: dict, variant: str) -> torch.Tensor:
    """[mu, logstd] of every node of one graph: L(X) = A (gamma * (X W) + beta) + b, all dense."""
    loops = a + np.eye(len(a))
    root = np.diag(loops.sum(1) ** -0.5)
    a_hat, h = torch.from_numpy(root @ loops @ root), torch.from_numpy(x)

    def layer(h, which, activate):
        weight, bias = p[f"weight_{which}"], p[f"bias_{which}"]
        if not film:
            return activate(a_hat @ (h @ weight) + bias)
        gamma, beta = film[f"gamma_{which}"], film[f"beta_{which}"]
        if variant == "two-weights":
            rho = film[f"plain_{which}"]
            inner = gamma * (h @ p[f"modulated_{which}"]) + beta
            return activate(a_hat @ (rho * (h @ weight) + (1 - rho) * inner) + bias)
        modulated = activate(a_hat @ (gamma * (h @ weight) + beta) + bias)
        if variant == "weights":
            rho = film[f"plain_{which}"]
            return rho * activate(a_hat @ (h @ weight) + bias) + (1 - rho) * modulated
        return modulated

    out = layer(layer(h, "in", torch.relu), "out", lambda y: y)
    return torch.cat([out[:, :D], out[:, D:].clamp(-10, 10)], dim=1)


@pytest.mark.parametrize("variant", ["", "modulation", "weights", "two-weights"])
def test_encoding_is_that_of_a_dense_textbook_program_for_each_graph(variant):
    params, film = numbers(len(GRAPHS), variant)
    graphs = stacked(GRAPHS)
    got = encode(params, graphs, film)[graphs.row].split([len(a) for a, _ in GRAPHS])
    for b, (a, x) in enumerate(GRAPHS):
        expected = textbook(a, x, of_graph(params, b), of_graph(film, b), variant)
        torch.testing.assert_close(got[b], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("variant", ["", *VARIANTS])
def test_graphs_at_once_are_encoded_as_one_by_one(variant):
    params, film = numbers(len(GRAPHS), variant, seed=1)
    graphs = stacked(GRAPHS)
    got = encode(params, graphs, film)[graphs.row].split([len(a) for a, _ in GRAPHS])
    for b, pair in enumerate(GRAPHS):
        alone = stacked([pair])
        p, f = ({k: t[b : b + 1] for k, t in group.items()} for group in (params, film))
        torch.testing.assert_close(got[b], encode(p, alone, f)[alone.row], rtol=1e-12, atol=1e-12)


def test_parameters_of_one_graph_move_its_nodes_alone():
    params, film = numbers(len(GRAPHS), "weights")
    graphs = stacked(GRAPHS)
    sizes = [len(a) for a, _ in GRAPHS]
    before = encode(params, graphs, film)[graphs.row].split(sizes)
    for group in (params, film):
        for t in group.values():
            t[1] *= 1.1
    after = encode(params, graphs, film)[graphs.row].split(sizes)
    same = [torch.equal(x, y) for x, y in zip(before, after, strict=True)]
    assert same == [True, False, True]


def test_no_modulation_is_gamma_one_and_beta_zero():
    params, film = numbers(len(GRAPHS), "modulation")
    neutral = {name: torch.full_like(t, name.startswith("gamma")) for name, t in film.items()}
    graphs = stacked(GRAPHS)
    expected = encode(params, graphs)
    torch.testing.assert_close(encode(params, graphs, neutral), expected, rtol=0, atol=0)
    torch.testing.assert_close(encode(params, graphs, {}), expected, rtol=0, atol=0)


@pytest.mark.parametrize("variant", ["weights", "two-weights"])
def test_a_share_of_one_is_the_plain_layer(variant):
    params, film = numbers(len(GRAPHS), variant)
    film |= {name: torch.ones_like(t) for name, t in film.items() if name.startswith("plain")}
    graphs = stacked(GRAPHS)
    torch.testing.assert_close(encode(params, graphs, film), encode(params, graphs))


def test_the_log_of_a_deviation_is_bounded():
    params, _ = numbers(len(GRAPHS))
    params["weight_out"] *= 1e3
    logstd = bounded(encode(params, stacked(GRAPHS))[:, D:])
    assert logstd.min() == -MAX_LOGSTD
    assert logstd.max() == MAX_LOGSTD


def test_divergence_is_that_of_torch_distributions():
    latent = torch.randn(50, 2 * D, generator=torch.Generator().manual_seed(3)).double()
    mu, logstd = latent.chunk(2, 1)
    expected = kl(Normal(mu, logstd.exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl_divergence(latent), expected, rtol=1e-12, atol=1e-12)
    assert not kl_divergence(torch.zeros(2, 2 * D)).any()


def test_biases_begin_at_zero_and_matrices_within_glorots_bound():
    torch.manual_seed(0)
    model = VGAE(20, 32, 16, two_weights=True)
    assert not model.bias_in.any()
    assert not model.bias_out.any()
    for weight, n_in, n_out in (
        (model.weight_in, 20, 32),
        (model.modulated_in, 20, 32),
        (model.weight_out, 32, 16),  # mu's and logstd's matrix, each by its own width
        (model.modulated_out, 32, 16),
    ):
        bound = (6 / (n_in + n_out)) ** 0.5
        assert 0.9 * bound < weight.abs().max() <= bound


@pytest.mark.parametrize("variant", ["modulation", "weights", "two-weights"])
def test_every_parameter_and_number_has_its_derivative(variant):
    params, film = numbers(2, variant)
    graphs, names = stacked(GRAPHS[:2]), [*params, *film]

    def latent(*tensors):
        given = dict(zip(names, tensors, strict=True))
        p, f = ({n: given[n] for n in group} for group in (params, film))
        return encode(p, graphs, f)[graphs.row][::5].square().sum(0)

    leaves = [t.clone().requires_grad_() for t in (*params.values(), *film.values())]
    assert torch.autograd.gradcheck(latent, leaves, fast_mode=True)
