"""Seeded synthetic heterographs with skewed degrees, in three sizes.

For each relation, nodes get weights from a truncated power law and pairs are drawn independently in
proportion to the weights of their ends, until so many distinct ones are found. Users come from one
of a hundred countries, by Zipf's law. Sizes and largest degrees are those of a knowledge graph of
songs (small), and of growing shops (medium, large).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pooch

from dglmeta.graph import HeteroCSR

RATED = ("user", "rated", "item")
HAS = ("item", "has", "attribute")
FROM = ("user", "from", "country")

ROW_EXPONENT, COLUMN_EXPONENT = 2.1, 2.0
VERSION = 2
"""Part of the cache's name: raise it when the recipe changes."""


class Relation(NamedTuple):
    """Number of edges, and the largest expected degrees of its two ends."""

    n_edges: int
    row_degree: int
    column_degree: int


class Size(NamedTuple):
    """One of the three sizes."""

    users: int
    items: int
    attributes: int
    rated: Relation
    has: Relation


SIZES = {
    "small": Size(1872, 3846, 9366, Relation(42_000, 363, 547), Relation(31_000, 81, 431)),
    "medium": Size(
        200_000,
        100_000,
        20_000,
        Relation(5_000_000, 3_700, 15_400),
        Relation(500_000, 306, 2_100),
    ),
    "large": Size(
        1_000_000,
        400_000,
        50_000,
        Relation(30_000_000, 4_200, 41_800),
        Relation(2_000_000, 321, 3_500),
    ),
}


@lru_cache
def graph(size: str) -> HeteroCSR:
    """The graph "small" (73 thousand edges), "medium" (5.7 million) or "large" (33 million).

    Made once, in up to some minutes, then opened from the user's cache.
    """
    folder = Path(pooch.os_cache("dglmeta")) / f"bench-{size}-v{VERSION}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        generate(SIZES[size]).save(folder)
    return HeteroCSR.open(folder)


def generate(size: Size, seed: int = 0) -> HeteroCSR:
    """A graph of the given size; the same for the same seed."""
    rng = np.random.default_rng(seed)
    countries = 1 / np.arange(1, 101)
    home = rng.choice(100, size.users, p=countries / countries.sum())
    edges = {
        RATED: pairs(size.users, size.items, size.rated, rng),
        HAS: pairs(size.items, size.attributes, size.has, rng),
        FROM: (np.arange(size.users), home),
    }
    n_nodes = {
        "user": size.users,
        "item": size.items,
        "attribute": size.attributes,
        "country": 100,
    }
    return HeteroCSR.from_edges(edges, n_nodes)


def pairs(
    n_rows: int, n_columns: int, relation: Relation, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Distinct pairs with both degrees skewed."""
    n = relation.n_edges
    rows = _shares(n_rows, relation.row_degree / n, ROW_EXPONENT, rng)
    columns = _shares(n_columns, relation.column_degree / n, COLUMN_EXPONENT, rng)
    keys = np.zeros(0, np.int64)
    while len(keys) < n:
        more = 3 * (n - len(keys)) // 2 + 1000
        src = np.repeat(np.arange(n_rows), rng.multinomial(more, rows))
        dst = rng.permutation(np.repeat(np.arange(n_columns), rng.multinomial(more, columns)))
        keys = np.unique(np.concatenate([keys, src * n_columns + dst]))
    surplus = rng.choice(len(keys), len(keys) - n, replace=False)
    return np.divmod(np.delete(keys, surplus), n_columns)


def _shares(n: int, largest: float, exponent: float, rng: np.random.Generator) -> npt.NDArray:
    """(n,) probabilities, power-law distributed with the largest possible about ``largest``."""
    u = rng.random(n)
    low, high = 1.0, 1e7
    while high / low > 1.001:  # the largest share grows with the cap of the weights
        cap = np.sqrt(low * high)
        weights = (1 + u * (cap ** (1 - exponent) - 1)) ** (1 / (1 - exponent))
        low, high = (cap, high) if cap / weights.sum() < largest else (low, cap)
    return rng.permutation(weights / weights.sum())
