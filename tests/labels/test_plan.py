"""Blocks cover what is asked for, and the same request is cut the same way."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.errors import BudgetError, ConfigError, DataError, SchemaError
from dglmeta.graph import HeteroCSR, MetaPath
from dglmeta.labels.plan import Block, Request, cut_blocks, need_budget, row_bounds

PATHS = ("user-item-user", "user-item-tag-item")


def request(hg, positives=100, ratio=1.0, seed=0, part_rows=64, paths=PATHS):
    return Request.read(hg, paths, positives, ratio, seed, part_rows)


def test_a_bound_is_the_instances_of_a_source_but_at_most_all_targets(hg, instances):
    for text in (*PATHS, "user-item-user-item-user", "item-tag"):
        path = MetaPath.parse(text, hg.schema)
        counts = instances(hg, path)
        np.testing.assert_array_equal(
            row_bounds(hg, path), np.minimum(counts.sum(1), counts.shape[1])
        )


@given(positives=st.integers(1, 10_000), ratio=st.floats(0, 5), part_rows=st.integers(1, 5_000))
def test_drawn_blocks_add_up_and_differ_by_one_at_most(hg, positives, ratio, part_rows):
    blocks = cut_blocks(hg, request(hg, positives, ratio, part_rows=part_rows))
    for k in range(2):
        mine = [block for block in blocks if block.metapath == k]
        assert [block.number for block in mine] == list(range(len(mine)))
        assert sum(block.positives for block in mine) == positives
        assert sum(block.negatives for block in mine) == round(positives * ratio)
        sizes = [block.positives + block.negatives for block in mine]
        assert max(sizes) <= part_rows + 1
        assert max(sizes) - min(sizes) <= 2


@given(part_rows=st.integers(1, 2_000))
def test_blocks_of_all_positives_have_every_source_once_and_few_pairs(hg, part_rows):
    for k, path in enumerate(request(hg).metapaths):
        bounds = row_bounds(hg, path)
        blocks = cut_blocks(hg, request(hg, None, part_rows=part_rows))
        ranges = [block.sources for block in blocks if block.metapath == k]
        assert np.concatenate([np.arange(*r) for r in ranges]).tolist() == list(range(len(bounds)))
        for begin, end in ranges:
            assert bounds[begin:end].sum() <= part_rows or end == begin + 1


def test_a_request_survives_json(hg):
    asked = request(hg, None, 0.25, seed=2**63 - 1)
    assert Request.from_json(json.loads(json.dumps(asked.to_json()))) == asked


def test_the_seed_of_a_block_knows_its_metapath_and_number_and_no_other_metapath(hg):
    both, alone = request(hg), request(hg, paths=PATHS[1:])
    assert both.seed_of(Block(1, 5)) == alone.seed_of(Block(0, 5))
    seeds = {both.seed_of(Block(k, b)) for k in range(2) for b in range(100)}
    seeds |= {request(hg, seed=1).seed_of(Block(k, b)) for k in range(2) for b in range(100)}
    assert len(seeds) == 400


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"paths": ()}, r"expected meta-paths, each once, got \[\]"),
        ({"paths": ("user-item", "user-[rated]-item")}, "each once"),
        ({"positives": 0}, "positives >= 1, got 0"),
        ({"ratio": -1.0}, "negative ratio >= 0, got -1.0"),
        ({"ratio": float("inf")}, "finite negative ratio >= 0, got inf"),
        ({"ratio": float("nan")}, "finite negative ratio >= 0, got nan"),
        ({"part_rows": 0}, "part_rows >= 1, got 0"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(hg, change, says):
    with pytest.raises(ConfigError, match=says):
        request(hg, **change)


def test_an_unknown_type_is_a_schema_error(hg):
    with pytest.raises(SchemaError, match="unknown node type 'itm'"):
        request(hg, paths=("user-itm-user",))


@pytest.mark.parametrize("positives", [None, 5])
@pytest.mark.parametrize("n_users", [0, 3])
def test_a_path_that_joins_nothing_is_refused(positives, n_users):
    rated, has = ("user", "rated", "item"), ("item", "has", "tag")
    edges = {rated: ([0], [0]) if n_users else ([], []), has: ([1], [0])}
    hg = HeteroCSR.from_edges(edges, {"user": n_users, "item": 2, "tag": 1})
    with pytest.raises(DataError, match=r"user-\[rated\]-item-\[has\]-tag' to join at least one"):
        cut_blocks(hg, request(hg, positives, paths=("user-item-tag",)))


def test_a_small_budget_is_refused_with_three_ways_out(hg):
    needed = need_budget(hg, request(hg), None)
    assert need_budget(hg, request(hg), needed) == needed
    with pytest.raises(BudgetError, match=r"Raise the budget .*; or label fewer .*; or make"):
        need_budget(hg, request(hg), needed - 1)


def test_more_labels_do_not_need_more_memory(hg):
    few, many = (need_budget(hg, request(hg, n, part_rows=1000), None) for n in (10_000, 10**9))
    assert few == many
