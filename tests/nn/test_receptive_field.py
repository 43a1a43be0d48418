"""Receptive fields: which nodes they hold, in which form, and what they refuse."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.nn.receptive_field import ReceptiveField
from dglmeta.nn.shared_product import SharedHop, SharedProduct, cheapest, thrifty

PATH = Adjacency.from_coo([0, 1, 1, 2, 2, 3, 3, 4], [1, 0, 2, 1, 3, 2, 4, 3], (5, 5))


def normal(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def sparse(n, m, density, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, m)) * (rng.random((n, m)) < density)


@pytest.mark.parametrize("kind", ["GCN", "GAT", "SAGE"])
def test_hidden_nodes_are_the_rows_and_those_they_hear(kind):
    field = ReceptiveField(PATH, torch.eye(5), torch.tensor([4, 0]))
    assert field.hidden.tolist() == [0, 1, 3, 4]
    assert (field.n_rows, field.n_hidden, field.d_in) == (2, 4, 5)
    own = field.parts(kind).last.own(torch.arange(4)[None])
    assert own.tolist() == [[3, 0]]
    assert field.parts(kind) is field.parts(kind)


def test_messages_run_along_edges():
    one_way = Adjacency.from_coo([0, 1], [1, 2], (3, 3))
    assert ReceptiveField(one_way, torch.eye(3), torch.tensor([1])).hidden.tolist() == [0, 1]


@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize("density", [0.05, 0.1, 0.9])
def test_products_and_their_gradients_equal_dense_ones(density, n_models):
    first, second = sparse(7, 6, density), sparse(6, 9, density, seed=1)
    product = SharedProduct([thrifty(first), thrifty(second)], torch.float64)
    maps = normal(n_models, 9, 4).requires_grad_()
    dense = torch.from_numpy(first @ second)
    torch.testing.assert_close(product(maps), dense @ maps)
    grad = normal(n_models, 7, 4, seed=2)
    (got,) = torch.autograd.grad(product(maps), maps, grad)
    torch.testing.assert_close(got, dense.T @ grad)


def test_the_number_of_models_may_change():
    product = SharedProduct([csr_array(np.eye(3))], torch.float64)
    for n in (2, 5, 1):
        torch.testing.assert_close(product(normal(n, 3, 2)), normal(n, 3, 2))


def test_hops_sum_within_each_model():
    adj = Adjacency.from_coo([0, 1, 1], [2, 0, 1], (2, 3))
    weight = torch.tensor([2.0, 3.0, 5.0]).double()
    hop = SharedHop(adj, weight, torch.tensor([2, 0]))
    h = normal(4, 3, 2)
    dense = torch.tensor([[0.0, 0, 2], [3, 5, 0]]).double()
    torch.testing.assert_close(hop.summed(h), dense @ h)
    torch.testing.assert_close(hop.own(h), h[:, [2, 0]])


def test_matrices_are_kept_as_products_with_them_cost_least():
    assert isinstance(thrifty(sparse(50, 50, 0.05)), csr_array)
    assert isinstance(thrifty(csr_array(sparse(50, 50, 0.5))), np.ndarray)
    rare, star = csr_array(np.eye(60)), np.zeros((60, 60))
    star[:, 0] = 1  # each hears one node, and that has many words
    words = np.vstack([np.ones((1, 60)) * (np.arange(60) < 9), np.zeros((59, 60))])
    assert len(cheapest(rare, rare)) == 1
    assert len(cheapest(csr_array(star), thrifty(words))) == 2


def test_features_may_be_sparse():
    x, rows = sparse(5, 30, 0.1), torch.tensor([1, 2])
    maps = normal(2, 30, 3)
    for kind in ("GCN", "GAT", "SAGE"):
        got, expected = (
            [product(maps) for product in ReceptiveField(PATH, x, rows, dtype=torch.float64)
             .parts(kind).products]
            for x in (csr_array(x), torch.from_numpy(x))
        )  # fmt: skip
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(
    ("x", "rows", "said"),
    [
        (torch.eye(4), torch.tensor([0]), r"\(4, 4\)"),
        (torch.eye(5), torch.tensor([5]), r"\[0, 5\)"),
        (torch.eye(5), torch.tensor([0.0]), "float32"),
        (torch.eye(5), torch.tensor([], dtype=torch.int64), "at least one"),
    ],
)
def test_what_does_not_fit_is_refused(x, rows, said):
    with pytest.raises(DataError, match=said):
        ReceptiveField(PATH, x, rows)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="'GIN'"):
        ReceptiveField(PATH, torch.eye(5), torch.tensor([0])).parts("GIN")
