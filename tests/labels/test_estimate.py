"""What is expected of a store is near what it comes to."""

from __future__ import annotations

import pytest

from dglmeta.errors import BudgetError
from dglmeta.labels import generate

PATHS = ("user-item-user", "user-item-tag-item")


def test_drawn_labels_are_known_in_number_and_near_in_bytes(hg, tmp_path):
    asked = {"positives": 30_000, "negative_ratio": 0.5}
    plan = generate(hg, PATHS, tmp_path / "store", dry_run=True, **asked)
    assert not (tmp_path / "store").exists()
    assert (plan.rows.value, plan.rows.error) == (90_000, 0)
    store = generate(hg, PATHS, tmp_path / "store", **asked)
    n_bytes = sum(part.bytes for part in store.manifest.parts)
    assert plan.bytes.value == pytest.approx(n_bytes, rel=0.3)
    assert [path.parts for path in plan.paths] == [1, 1]


@pytest.mark.parametrize("ratio", [0, 1.0])
def test_the_number_of_all_pairs_lies_within_four_errors(hg, tmp_path, ratio):
    plan = generate(hg, PATHS, tmp_path / "store", negative_ratio=ratio, dry_run=True)
    store = generate(hg, PATHS, tmp_path / "store", negative_ratio=ratio)
    for path, n_rows in zip(plan.paths, store.n_rows, strict=True):
        assert 0 < path.rows.error < 0.3 * n_rows
        assert abs(path.rows.value - n_rows) < 4 * path.rows.error


def test_a_plan_prints_a_line_a_path_the_total_and_the_memory(hg, tmp_path):
    text = str(generate(hg, PATHS, tmp_path / "store", positives=50, dry_run=True))
    first, _, total, memory = text.splitlines()
    assert first.startswith("user-[rated]-item-[~rated]-user: 100 labels, ")
    assert first.endswith(" s on one worker")
    assert total.startswith("in all: 200 labels, ")
    assert memory.startswith("memory: at most ")


def test_time_is_positive_and_its_error_known(hg, tmp_path):
    for positives in (None, 50):
        plan = generate(hg, PATHS, tmp_path / "store", positives=positives, dry_run=True)
        assert plan.seconds.value > 0
        assert plan.seconds.error > 0


def test_a_dry_run_keeps_to_the_budget_too(hg, tmp_path):
    with pytest.raises(BudgetError, match="memory budget"):
        generate(hg, PATHS, tmp_path / "store", budget_bytes=10, dry_run=True)
