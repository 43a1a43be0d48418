"""The planted path carries the ratings; its control and the decoys carry nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from dglmeta.data import planted, toy
from dglmeta.errors import ConfigError
from dglmeta.graph import MetaPath

RATED = ("user", "rated", "item")


def share_joined(ds, text: str) -> tuple[float, float]:
    """Shares of the ratings, and of all user-item pairs, that a meta-path joins."""
    first, second = MetaPath.parse(text, ds.csr.schema).steps
    product = csr_array(
        ds.csr.step_adjacency(*first).to_scipy() @ ds.csr.step_adjacency(*second).to_scipy()
    )
    src, dst = ds.csr.adjacency(RATED).coo()
    joined = np.asarray(product[src, dst]).ravel() > 0
    return float(joined.mean()), product.nnz / np.prod(product.shape)


@pytest.mark.parametrize("seed", [0, 1])
def test_ratings_follow_the_planted_path_except_for_the_noise(seed):
    ds = planted(seed=seed, noise=0.2)
    rated, everywhere = share_joined(ds, ds.metapaths[0])
    assert abs(rated - (0.8 + 0.2 * everywhere)) < 0.02


@pytest.mark.parametrize("shuffled", [False, True])
def test_decoys_join_ratings_no_more_than_any_pairs(shuffled):
    ds = planted(shuffle_path=shuffled)
    for text in ds.metapaths[1:]:
        rated, everywhere = share_joined(ds, text)
        assert abs(rated - everywhere) < 0.02


def test_in_the_control_the_path_joins_ratings_no_more_than_any_pairs():
    ds = planted(shuffle_path=True)
    rated, everywhere = share_joined(ds, ds.metapaths[0])
    assert abs(rated - everywhere) < 0.02


def test_the_control_differs_only_in_the_paths_links_and_keeps_their_degrees():
    ds, control = planted(seed=4), planted(seed=4, shuffle_path=True)
    for triple, adj in ds.csr.adjacencies.items():
        other = control.csr.adjacencies[triple]
        same = np.array_equal(adj.indices, other.indices)
        assert same == (triple[2] != "topic")
        np.testing.assert_array_equal(adj.in_degrees, other.in_degrees)
        np.testing.assert_array_equal(adj.out_degrees, other.out_degrees)


def test_a_seed_is_one_graph():
    assert planted(seed=3).csr.content_hash == planted(seed=3).csr.content_hash
    assert planted(seed=3).csr.content_hash != planted(seed=4).csr.content_hash


def test_size_is_a_parameter():
    hg = planted(n_users=50_000, n_items=10_000, n_topics=100, ratings_per_user=12).csr
    assert hg.n_nodes["user"] == 50_000
    assert 0.9 * 12 * 50_000 < hg.n_edges[RATED] < 12 * 50_000
    assert hg.adjacency(RATED).to_scipy().max() == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_users": 0}, "n_users, n_items >= n_topics >= 1"),
        ({"n_items": 5}, "n_users, n_items >= n_topics >= 1"),
        ({"n_topics": 0}, "n_users, n_items >= n_topics >= 1"),
        ({"ratings_per_user": 0}, "ratings_per_user >= 1"),
        ({"noise": 1.5}, r"expected noise in \[0, 1\], got 1.5"),
        ({"noise": float("nan")}, r"expected noise in \[0, 1\], got nan"),
    ],
)
def test_an_impossible_planted_graph_is_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        planted(**options)


@pytest.mark.parametrize("make", [toy, planted])
def test_recommended_metapaths_join_the_targets_ends(make):
    ds = make()
    for text in ds.metapaths:
        path = MetaPath.parse(text, ds.csr.schema)
        assert (path.source, path.target) == ("user", "item")


@pytest.mark.parametrize("seed", range(10))
def test_toy_can_be_split_by_any_of_the_first_seeds(seed):
    assert len(toy().splits(seed).train.src) == 30
