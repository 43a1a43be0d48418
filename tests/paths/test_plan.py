"""Estimates are near the truth, and the chosen order is near the best there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.paths import estimate_product, metapath_product
from dglmeta.paths.plan import size_text


def flops_of(order, steps, a_visit=0):
    """Multiplications a bracketing takes, and its boolean product.

    ``a_visit`` are added for every row of a right factor that is visited.
    """
    if isinstance(order, int):
        return 0, steps[order]
    halves = (flops_of(half, steps, a_visit) for half in order)
    (left_flops, left), (right_flops, right) = halves
    joining = int(left.sum(axis=0) @ (right.sum(axis=1) + a_visit))
    return left_flops + right_flops + joining, ((left @ right) > 0).astype(np.int64)


def bracketings(i, j):
    if i == j:
        yield i
    for k in range(i, j):
        for left in bracketings(i, k):
            for right in bracketings(k + 1, j):
                yield left, right


@given(data=st.data())
def test_multiplications_of_two_steps_are_exact(heterographs, paths, dense_steps, data):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg, max_length=2))
    steps = dense_steps(hg, path)
    estimate = estimate_product(hg, path)
    assert estimate.order == (0 if len(path) == 1 else (0, 1))
    assert estimate.flops == flops_of(estimate.order, steps)[0]


@given(data=st.data())
def test_pairs_of_two_steps_are_never_far_below_the_truth(heterographs, paths, data):
    hg = data.draw(heterographs())
    path = data.draw(paths(hg, max_length=2))
    assert estimate_product(hg, path).nnz >= 0.63 * metapath_product(hg, path).nnz - 0.5


@pytest.fixture
def onward() -> HeteroCSR:
    """Four relations in a row, their edges drawn independently; no path returns to its start."""
    rng = np.random.default_rng(0)
    n_nodes = dict(zip("abcde", (2000, 1000, 1500, 800, 1200), strict=True))
    edges = {}
    for source, target in ("ab", "bc", "cd", "de"):
        ends = tuple(rng.integers(0, n_nodes[t], 4000) for t in (source, target))
        edges[source, "to", target] = ends
    return HeteroCSR.from_edges(edges, n_nodes)


@pytest.mark.parametrize("path", ["a-b", "a-b-c", "a-b-c-d", "a-b-c-d-e", "e-d-c-b"])
@pytest.mark.parametrize("rows", [None, range(0, 1000, 4)])
def test_pairs_of_independent_edges_are_estimated_closely(onward, path, rows):
    rows = None if rows is None else np.array(rows)
    product = metapath_product(onward, path, rows=rows)
    assert estimate_product(onward, path, rows=rows).nnz == pytest.approx(product.nnz, rel=0.05)


def countries(n_users=300, n_items=100, n_ratings=3000, n_countries=3):
    """Users rate items and live in few countries, so the last step should be multiplied first."""
    rng = np.random.default_rng(1)
    popularity = 1 / np.arange(1, n_items + 1)
    items = rng.choice(n_items, n_ratings, p=popularity / popularity.sum())
    return HeteroCSR.from_edges(
        {
            ("user", "rated", "item"): (rng.integers(0, n_users, n_ratings), items),
            ("user", "lives in", "country"): (
                np.arange(n_users),
                rng.integers(0, n_countries, n_users),
            ),
        },
        {"user": n_users, "item": n_items, "country": n_countries},
    )


def test_from_few_countries_the_product_is_taken_from_the_right():
    assert estimate_product(countries(), "user-item-user-country").order == (0, (1, 2))
    assert estimate_product(countries(), "country-user-item-user").order == ((0, 1), 2)


@pytest.mark.parametrize(
    "path",
    [
        "user-item-user-country",
        "country-user-item-user-country",
        "item-user-item-user-item",
        "country-user-item-user-item-user",
    ],
)
def test_the_order_costs_at_most_a_fifth_more_than_the_best(dense_steps, path):
    hg = countries()
    steps = [(m > 0).astype(np.int64) for m in dense_steps(hg, MetaPath.parse(path, hg.schema))]
    costs = {order: flops_of(order, steps, 1)[0] for order in bracketings(0, len(steps) - 1)}
    assert costs[estimate_product(hg, path, "count").order] <= 1.2 * min(costs.values())


def test_multiplications_are_those_of_the_order_named(dense_steps):
    hg = countries()
    path = MetaPath.parse("country-user-item-user-country", hg.schema)
    for mode in ("reach", "count"):
        estimate = estimate_product(hg, path, mode)
        flops, _ = flops_of(estimate.order, dense_steps(hg, path))
        assert estimate.flops == pytest.approx(flops, rel=0.01)


def test_a_sampled_estimate_is_within_its_error_and_the_same_every_time(bipartite):
    hg = bipartite(5000, 2000, 60_000)
    estimate = estimate_product(hg, "user-item-user")
    assert 0 < estimate.relative_error < 0.1
    nnz = metapath_product(hg, "user-item-user").nnz
    assert abs(estimate.nnz - nnz) <= 4 * estimate.relative_error * nnz
    assert estimate_product(hg, "user-item-user") == estimate


def test_of_paths_that_come_back_the_pairs_are_not_overestimated():
    # As if ends were independent, 200 groups that meet only each other would be taken for one.
    member = np.arange(20_000)
    hg = HeteroCSR.from_edges(
        {
            ("person", "in", "group"): (
                np.repeat(member, 2),
                (2 * (member[:, None] % 200) + [0, 1]).ravel(),
            )
        },
        {"person": 20_000, "group": 400},
    )
    path = "person-group-person-group-person"
    assert estimate_product(hg, path).nnz == pytest.approx(200 * 100**2, rel=0.02)


def test_a_small_graph_is_counted_not_sampled(bipartite):
    hg = bipartite(60, 50, 300)
    estimate = estimate_product(hg, "user-item-user-item-user")
    assert estimate.relative_error == 0
    assert estimate.nnz == metapath_product(hg, "user-item-user-item-user").nnz


def test_an_estimate_reads_as_a_sentence(bipartite):
    hg = bipartite(20, 10, 50)
    text = str(estimate_product(hg, "user-item-user-item"))
    assert text.startswith("about ")
    assert "pairs" in text
    assert text.endswith(("order ((1 2) 3)", "order (1 (2 3))"))


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 bytes"), (1023, "1.02e+03 bytes"), (1536, "1.5 KiB"), (5 << 40, "5 TiB")],
)
def test_sizes_are_written_for_people(n_bytes, text):
    assert size_text(n_bytes) == text


def test_bad_arguments_are_named(bipartite):
    hg = bipartite(3, 2, 4)
    with pytest.raises(ConfigError, match="estimate_product: .* got 'sum'"):
        estimate_product(hg, "user-item", "sum")
    with pytest.raises(DataError, match="estimate_product: .* got -1"):
        estimate_product(hg, "user-item", rows=[-1])
