"""The nodes that share most meta-path instances, against a loop over rows of dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix, load_npz

from dglmeta.errors import ConfigError, DataError
from dglmeta.tasks import path_neighbours
from dglmeta.tasks.path_neighbours import top_path_neighbours


def slowly(products: list[np.ndarray], k: int, nodes: np.ndarray | None = None) -> list[list[int]]:
    """Rows by sorting (-score, id) of all others that share anything."""
    n, rows = len(products[0]), []
    for i in range(n) if nodes is None else nodes:
        score = np.zeros(n)
        for product in products:
            score += product[i] / max(product[i].sum(), 1)
        order = sorted((j for j in range(n) if j != i and score[j] > 0), key=lambda j: -score[j])
        rows.append(sorted([i, *order[:k]]))
    return rows


def lists(adj) -> list[list[int]]:
    return [row.tolist() for row in np.split(adj.indices, adj.indptr[1:-1])]


def counts(n: int, density: float, seed: int) -> np.ndarray:
    """Few different counts, so that many are equal; some rows without any."""
    rng = np.random.default_rng(seed)
    c = rng.integers(1, 4, (n, n)) * (rng.random((n, n)) < density)
    c[:: n // 3] = 0
    return c


@pytest.mark.parametrize("block", [1, 50, 1 << 20])
@pytest.mark.parametrize("k", [1, 3, 12, 100])
@pytest.mark.parametrize("n_paths", [1, 2, 3])
def test_rows_are_those_of_a_loop(n_paths, k, block, monkeypatch):
    monkeypatch.setattr(path_neighbours, "BLOCK", block)
    products = [counts(30, density, seed) for seed, density in enumerate((0.2, 0.6, 0.9)[:n_paths])]
    found = top_path_neighbours([csr_array(c) for c in products], k)
    assert lists(found) == slowly(products, k)
    assert found.edge_ids is None


def test_a_node_without_neighbours_has_itself():
    c = np.zeros((3, 3))
    c[0, 1] = 1
    assert lists(top_path_neighbours([csr_array(c)], 2)) == [[0, 1], [1], [2]]


def test_what_is_given_is_not_written_and_may_be_out_of_order():
    data, columns = np.array([1, 5, 2, 1]), np.array([2, 1, 2, 0])
    given = csr_matrix((data, columns, np.array([0, 3, 3, 4])), shape=(3, 3))  # (0, 2) twice
    assert lists(top_path_neighbours([given], 1)) == [[0, 1], [1], [0, 2]]
    np.testing.assert_array_equal(given.indices, [2, 1, 2, 0])
    np.testing.assert_array_equal(given.data, [1, 5, 2, 1])


def test_rows_are_those_of_a_loop_on_real_papers(data_dir):
    folder = data_dir / "heco" / "acm"
    products = [csr_array(load_npz(folder / name)) for name in ("pap.npz", "psp.npz")]
    nodes = np.random.default_rng(0).choice(4019, 20, replace=False)
    found = lists(top_path_neighbours(products, 5))
    dense = [product.toarray() for product in products]
    assert [found[i] for i in nodes] == slowly(dense, 5, nodes)


@pytest.mark.parametrize(("products", "k"), [([], 1), ([csr_array((2, 2))], 0)])
def test_a_wrong_setting_is_refused(products, k):
    with pytest.raises(ConfigError, match="at least one product and k >= 1"):
        top_path_neighbours(products, k)


@pytest.mark.parametrize(
    ("products", "words"),
    [
        ([csr_array((2, 3))], r"got \(2, 3\)"),
        ([csr_array((2, 2)), csr_array((3, 3))], r"expected products \(2, 2\)"),
        ([csr_array([[0.0, -1.0], [0.0, 0.0]])], "at least 0"),
        ([csr_array([[0.0, np.nan], [0.0, 0.0]])], "finite"),
    ],
)
def test_wrong_products_are_refused(products, words):
    with pytest.raises(DataError, match=words):
        top_path_neighbours(products, 1)
