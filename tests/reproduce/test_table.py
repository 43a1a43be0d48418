"""Figures and verdicts."""

from __future__ import annotations

import dataclasses

import pytest

from dglmeta.errors import ConfigError
from dglmeta.reproduce.table import Entry, above, at_least, digest, mean, spread


def test_the_spread_is_the_sample_standard_deviation_and_one_seed_has_none():
    assert spread([1.0, 2.0, 3.0]) == 1.0
    assert spread([1.0]) is None
    assert mean([1.0, 2.0, 6.0]) == 3.0


@pytest.mark.parametrize(
    ("ours", "bound", "reaches", "exceeds"),
    [
        (0.8296, 0.8296, True, False),
        (mean([0.8296] * 3), 0.8296, True, False),  # equal but for rounding
        (0.82961, 0.8296, True, True),
        (0.82959, 0.8296, False, False),
        (None, 0.8296, None, None),
        (0.8296, None, None, None),
    ],
)
def test_a_bound_met_exactly_is_reached_but_not_exceeded(ours, bound, reaches, exceeds):
    assert at_least("claim", "row", ours, bound).holds is reaches
    assert above("claim", "row", ours, bound).holds is exceeds


def test_the_best_column_is_chosen_by_validation_and_never_by_test(table, measured_of):
    figures = {
        ("toy/gcn", "vanilla"): [{"valid_auc": 0.6, "test_auc": 0.1}],
        ("toy/gcn", "selar"): [{"valid_auc": 0.5, "test_auc": 0.9}],
    }
    measured = measured_of(table, figures)
    assert measured.best("toy/gcn", ("selar", "vanilla"), "auc") == "vanilla"


def test_nothing_is_chosen_while_a_candidate_failed(table, measured_of):
    figures = {
        ("toy/gcn", "vanilla"): [{"valid_auc": 0.6}, "failed"],
        ("toy/gcn", "selar"): [{"valid_auc": 0.5}] * 2,
    }
    assert measured_of(table, figures).best("toy/gcn", ("selar", "vanilla"), "auc") is None


def test_a_mean_needs_every_seed_but_an_entry_shows_those_there_are(table, measured_of):
    place = ("toy/gcn", "selar")
    measured = measured_of(table, {place: [{"test_auc": 0.6}, "out of memory"]})
    assert measured.mean(*place, "test_auc") is None
    entry = measured.entry(*place, "test_auc", 0.7)
    assert entry.ours == (0.6,)
    assert entry.printed == 0.7
    assert "1 of 2" in entry.note
    assert "out of memory" in entry.note


def test_rows_come_in_the_tables_order_and_an_unknown_one_lists_them(table):
    assert table.check_rows(["toy/wide", "toy/gcn"]) == ("toy/gcn", "toy/wide")
    assert table.check_rows(None) == ("toy/gcn", "toy/wide")
    with pytest.raises(ConfigError, match="toy/gcn, toy/wide, got toy/gat"):
        table.check_rows(["toy/gat"])
    with pytest.raises(ConfigError, match="got none"):
        table.check_rows([])


def test_equal_settings_share_a_folder_whichever_table_asks(table):
    usual = table.runs("toy/gcn", "selar", 1)[0]
    named = {**table.columns["selar"], "folds": usual.config.folds}
    other = {**table.columns["selar"], "folds": 1}
    table = dataclasses.replace(table, columns={"same": named, "other": other})
    assert table.runs("toy/gcn", "same", 1)[0] == usual
    (changed,) = table.runs("toy/gcn", "other", 1)
    assert changed.path != usual.path
    assert changed.config.folds == 1


def test_no_setting_leads_out_of_a_runs_folder_and_none_shares_one(table):
    texts = ("../a", "..-a", "a/b", "a-b", "a:b", "a b", "autolinc:u*y", "autolinc:u/y")
    table = dataclasses.replace(table, columns={t: {"labels": t} for t in texts})
    names = [table.runs("toy/gcn", t, 1)[0].name for t in texts]
    assert len(set(names)) == len(names)
    assert not any("/" in name or ":" in name or " " in name for name in names)
    assert names[3].endswith("-labels-a-b")


def test_a_quick_run_differs_in_its_length_only(table):
    (long,), (quick,) = (table.runs("toy/gcn", "selar", 1, quick=q) for q in (False, True))
    assert quick.config.epochs == 2
    lengths = {"epochs": long.config.epochs, "patience": long.config.patience}
    assert dataclasses.replace(quick.config, **lengths) == long.config


def test_the_digest_stands_for_every_setting(table):
    (run,) = table.runs("toy/gcn", "selar", 1)
    other = dataclasses.replace(run, config=dataclasses.replace(run.config, lr=0.5))
    backwards = dict(reversed(run.settings.items()))
    assert digest(run.settings) == digest(backwards)
    assert digest(run.settings) != digest(other.settings)


def test_a_column_that_does_not_apply_has_no_runs_and_is_left_blank(table, measured_of):
    row = table.rows["toy/gcn"]._replace(lacks=("selar",))
    part = dataclasses.replace(table, rows={"toy/gcn": row})
    assert part.runs("toy/gcn", "selar", 2) == []
    figures = {("toy/gcn", "vanilla"): [{"valid_auc": 0.6}], ("toy/gcn", "selar"): []}
    measured = measured_of(part, figures)
    assert measured.entry("toy/gcn", "selar", "valid_auc") == Entry()
    assert measured.mean("toy/gcn", "selar", "valid_auc") is None
    assert measured.best("toy/gcn", ("selar", "vanilla"), "auc") == "vanilla"
