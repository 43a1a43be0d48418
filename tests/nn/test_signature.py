"""Signatures of graphs: what they say at first, of copies and in any order; shares; gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm

from dglmeta.graph import Adjacency
from dglmeta.graph.states import node_states
from dglmeta.nn import GraphSignature
from dglmeta.nn.signature import VARIANTS
from dglmeta.nn.stacked import StackedGraphs, stack_graphs
from dglmeta.tasks.graphs.few_shot import normalised

D_IN, WIDTHS, D_HIDDEN = 3, (6, 8), 5


def graph(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A symmetric 0/1 matrix, and features that few nodes share."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((n, n)) < 2.5 / n, 1)
    return (upper | upper.T).astype(float), np.eye(D_IN)[rng.integers(0, D_IN, n)]


GRAPHS = [graph(n, seed) for seed, n in enumerate((8, 35, 60))]


def stacked(graphs) -> StackedGraphs:
    states = []
    for a, x in graphs:
        adj = Adjacency.from_coo(*np.nonzero(a), a.shape)
        states.append(node_states(*normalised(adj), np.column_stack([x, np.ones(len(x))])))
    return stack_graphs(states, torch.float64)


def signature(variant: str = "modulation", *, published: bool = False, fresh: bool = False):
    """One with numbers as in the middle of training, or a fresh one."""
    torch.manual_seed(0)
    psi = GraphSignature(
        D_IN, WIDTHS, variant=variant, d_hidden=D_HIDDEN, published=published
    ).double()
    if not fresh:
        for p in psi.parameters():
            p.data.normal_(0, 0.7)
    return psi


every_kind = pytest.mark.parametrize(
    ("variant", "published"), [(v, p) for v in VARIANTS for p in (False, True)]
)


@every_kind
def test_a_signature_is_that_of_a_dense_textbook_program(variant, published):
    psi = signature(variant, published=published)
    got = psi(stacked(GRAPHS))
    for b, (a, x) in enumerate(GRAPHS):
        loops = a + np.eye(len(a))
        root = np.diag(loops.sum(1) ** -0.5)
        a_hat = torch.from_numpy(root @ loops @ root)
        heard = torch.relu(a_hat @ torch.from_numpy(x) @ psi.weight + psi.bias)
        if published:
            s = heard.sum(0)
        else:
            s = layer_norm(heard.mean(0), (D_HIDDEN,), psi.norm.weight, psi.norm.bias)
        for i, which in enumerate(("in", "out")):
            gamma = psi.gamma[i](s).tanh() + (0 if published else 1)
            beta = psi.beta[i](s).tanh()
            if variant == "modulation":
                rho = None
            elif published:
                rho = psi.free_share[i].sigmoid()
            else:
                rho = psi.share[i](s).sigmoid()
            if variant == "gating":
                gamma = rho * gamma + (1 - rho)
                beta = rho * beta + (1 - rho) * (1 if published else 0)
            expected = {"gamma": gamma, "beta": beta}
            if variant in ("weights", "two-weights"):
                expected["plain"] = rho
            for name, value in expected.items():
                wide = value if which == "in" else torch.cat([value, value])  # mu, logstd
                torch.testing.assert_close(got[f"{name}_{which}"][b], wide, rtol=1e-12, atol=1e-12)
    shares = {"plain_in", "plain_out"} if variant in ("weights", "two-weights") else set()
    assert set(got) == {"gamma_in", "gamma_out", "beta_in", "beta_out"} | shares


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_fresh_signature_modulates_nothing(variant):
    film = signature(variant, fresh=True)(stacked(GRAPHS))
    for which in ("in", "out"):
        assert (film[f"gamma_{which}"] == 1).all()
        assert (film[f"beta_{which}"] == 0).all()


def test_a_fresh_published_signature_modulates():
    film = signature(published=True, fresh=True)(stacked(GRAPHS))
    assert (film["gamma_in"] - 1).abs().max() > 0.1
    assert film["beta_out"].abs().max() > 0.01


@every_kind
def test_the_order_of_nodes_does_not_matter(variant, published):
    psi = signature(variant, published=published)
    turned = []
    for seed, (a, x) in enumerate(GRAPHS):
        order = np.random.default_rng(seed).permutation(len(a))
        turned.append((a[np.ix_(order, order)], x[order]))
    expected = psi(stacked(GRAPHS))
    for name, values in psi(stacked(turned)).items():
        torch.testing.assert_close(values, expected[name], rtol=1e-10, atol=1e-10)


def copies(a: np.ndarray, x: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.kron(np.eye(n), a), np.tile(x, (n, 1))


@pytest.mark.parametrize("variant", VARIANTS)
def test_copies_of_a_graph_have_the_signature_of_one(variant):
    psi = signature(variant)
    expected = psi(stacked(GRAPHS))
    for name, values in psi(stacked([copies(a, x, 3) for a, x in GRAPHS])).items():
        torch.testing.assert_close(values, expected[name], rtol=1e-10, atol=1e-10)


def test_the_published_signature_sums_copies_up_until_its_tangent_saturates():
    psi = signature(published=True)
    one, three = (psi.embed(stacked([copies(a, x, n) for a, x in GRAPHS])) for n in (1, 3))
    torch.testing.assert_close(three, 3 * one, rtol=1e-10, atol=0)
    a, x = GRAPHS[0]
    small, large = (psi(stacked([copies(a, x, n)]))["gamma_in"] for n in (1, 60))
    assert (small.abs() < 1).all()
    assert (large.float().abs() == 1).all()


@every_kind
def test_different_graphs_have_different_signatures(variant, published):
    film = signature(variant, published=published)(stacked(GRAPHS))
    for name, values in film.items():
        if published and name.startswith("plain"):
            assert (values == values[0]).all()  # free numbers, whatever the graph
        else:
            assert (values[0] - values[1]).abs().max() > 1e-3


@every_kind
def test_shares_lie_between_nothing_and_all(variant, published):
    for fresh in (True, False):
        film = signature(variant, published=published, fresh=fresh)(stacked(GRAPHS))
        shares = [v for name, v in film.items() if name.startswith("plain")]
        assert len(shares) == (2 if variant in ("weights", "two-weights") else 0)
        for share in shares:
            assert ((share > 0) & (share < 1)).all()
            if published and fresh:
                assert (share == 0.5).all()


@pytest.mark.parametrize("gate", [-40.0, 40.0])
@pytest.mark.parametrize("published", [False, True])
def test_a_closed_gate_leaves_gamma_at_one_and_beta_at_nothing_or_as_published_at_one(
    gate, published
):
    psi, plain = signature("gating", published=published), signature(published=published)
    for p in psi.free_share:
        p.data.fill_(gate)
    for head in psi.share:
        head.weight.data.zero_()
        head.bias.data.fill_(gate)
    plain.load_state_dict(psi.state_dict(), strict=False)
    film, opened = psi(stacked(GRAPHS)), plain(stacked(GRAPHS))
    for name, values in film.items():
        closed = torch.ones_like(values)
        if name.startswith("beta") and not published:
            closed = torch.zeros_like(values)
        torch.testing.assert_close(values, opened[name] if gate > 0 else closed)


@every_kind
def test_every_parameter_has_its_derivative(variant, published):
    psi = signature(variant, published=published)
    graphs, names = stacked(GRAPHS[:2]), [name for name, _ in psi.named_parameters()]

    def numbers(*tensors):
        given = dict(zip(names, tensors, strict=True))
        return torch.cat(list(torch.func.functional_call(psi, given, (graphs,)).values()), dim=1)

    leaves = [p.detach().clone().requires_grad_() for p in psi.parameters()]
    # The sum over many nodes puts the published tangent to its ends; a few tenths of it will do.
    leaves = [(t.detach() * (0.1 if published else 1)).requires_grad_() for t in leaves]
    assert torch.autograd.gradcheck(numbers, leaves, fast_mode=True)
    for found in torch.autograd.grad(numbers(*leaves).square().sum(), leaves):
        assert found.any()
