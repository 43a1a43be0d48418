"""A two-layer GCN on a DGL heterograph under torch.func, against the same GCN on a dense matrix."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.func import grad, hessian, jacfwd, jacrev, vmap

from dglmeta import ops
from dglmeta._dgl import load_dgl
from dglmeta.graph.csr import HeteroCSR

# torch scripts its own forward-mode formulas when the first of them is used
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

EDGES = {
    ("user", "rated", "item"): ([0, 0, 1, 2, 2, 3, 3], [0, 1, 1, 2, 2, 0, 2]),  # one twice
    ("item", "tagged", "tag"): ([0, 1, 1, 2], [0, 0, 1, 1]),
    ("user", "knows", "user"): ([0, 1, 3], [1, 3, 0]),
}
N_NODES = {"user": 5, "item": 3, "tag": 2}  # the last user has no edges
SHAPES = {"W1": (4, 3), "b1": (3,), "W2": (3, 2)}

Propagate = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture(scope="module")
def dgl_graph():
    return load_dgl().heterograph(EDGES, num_nodes_dict=N_NODES)


@pytest.fixture(scope="module")
def sparse(dgl_graph) -> Propagate:
    """``D^-1/2 (A + I) D^-1/2 @ h`` over the DGL graph, by our ops."""
    adj = HeteroCSR.from_dgl(dgl_graph).homogeneous(both_ways=True).adjacency
    scale = torch.from_numpy(adj.out_degrees + 1.0).rsqrt()[:, None]

    def propagate(h: torch.Tensor) -> torch.Tensor:
        scaled = scale * h
        return scale * (ops.spmm(adj, scaled) + scaled)

    return propagate


@pytest.fixture(scope="module")
def dense(dgl_graph) -> Propagate:
    """The same by one dense matrix, filled edge by edge from what DGL says."""
    first, n = {}, 0
    for node_type in dgl_graph.ntypes:
        first[node_type], n = n, n + dgl_graph.num_nodes(node_type)
    matrix = torch.eye(n, dtype=torch.float64)
    for source_type, relation, destination_type in EDGES:
        for i, j in zip(*(ends.tolist() for ends in dgl_graph.edges(etype=relation)), strict=True):
            a, b = first[source_type] + i, first[destination_type] + j
            matrix[a, b] += 1
            matrix[b, a] += 1
    scale = matrix.sum(1).rsqrt()
    matrix = scale[:, None] * matrix * scale
    return lambda h: matrix @ h


@pytest.fixture(scope="module")
def parameters() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, dtype=torch.float64, generator=generator)
        for name, shape in SHAPES.items()
    }


def losses(propagate: Propagate) -> Callable[[dict[str, torch.Tensor]], torch.Tensor]:
    """Loss of every node of a GCN that tells odd from even nodes, given the parameters."""
    n = sum(N_NODES.values())
    features = torch.randn(n, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    classes = torch.arange(n) % 2

    def of(p: dict[str, torch.Tensor]) -> torch.Tensor:
        hidden = torch.tanh(propagate(features @ p["W1"]) + p["b1"])
        logits = propagate(hidden @ p["W2"])
        return torch.nn.functional.cross_entropy(logits, classes, reduction="none")

    return of


def mean_loss(propagate: Propagate) -> Callable[[dict[str, torch.Tensor]], torch.Tensor]:
    of = losses(propagate)
    return lambda p: of(p).mean()


def weighted_loss(propagate: Propagate) -> Callable[..., torch.Tensor]:
    of = losses(propagate)
    return lambda p, weights: (weights * of(p)).sum()


def assert_same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


def test_both_see_the_same_graph(sparse, dense, parameters):
    assert_same(losses(sparse)(parameters), losses(dense)(parameters))


def test_the_hessian_of_the_loss_equals_the_dense_one(sparse, dense, parameters):
    ours, theirs = (hessian(mean_loss(way))(parameters) for way in (sparse, dense))
    assert_same(ours, theirs)
    assert ours["W1"]["W2"].abs().max() > 1e-3


@pytest.mark.parametrize("outer", [jacrev, jacfwd])
@pytest.mark.parametrize("inner", [jacrev, jacfwd])
def test_the_hessian_is_the_same_in_every_nesting_of_modes(sparse, dense, parameters, outer, inner):
    ours, theirs = (outer(inner(mean_loss(way)))(parameters) for way in (sparse, dense))
    assert_same(ours, theirs)


def test_gradients_for_many_parameters_at_once_equal_the_dense_ones(sparse, dense, parameters):
    many = {name: torch.stack([p, 2 * p, -p]) for name, p in parameters.items()}
    ours, theirs = (vmap(grad(mean_loss(way)))(many) for way in (sparse, dense))
    assert_same(ours, theirs)


def test_derivatives_mixed_in_parameters_and_sample_weights_equal_the_dense_ones(
    sparse, dense, parameters
):
    weights = torch.rand(sum(N_NODES.values()), dtype=torch.float64)
    ours, theirs = (
        jacrev(grad(weighted_loss(way)), 1)(parameters, weights) for way in (sparse, dense)
    )
    assert_same(ours, theirs)
