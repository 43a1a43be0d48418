"""What Meta-Graph's tables compare, at the boundary of each verdict, and that they run."""

from __future__ import annotations

import dataclasses
import json

import pytest

from dglmeta.reproduce.command import find_table, reproduce
from dglmeta.reproduce.meta_graph_rows import OURS, RIVALS
from dglmeta.reproduce.render import describe_table
from dglmeta.reproduce.table import Row, standard_error

TABLES = ("meta-graph-table2", "meta-graph-table3")
METRIC = {"meta-graph-table2": "test_auc", "meta-graph-table3": "test_auc_5_steps"}
PRINTED_ROW, OTHER_ROW = "firstmm/10", "ohmnet-brain/10"
SMALL = {"d_hidden": 4, "d": 4}


def runs_of(*values, metric="test_auc"):
    return [{metric: value} for value in values]


def figures(row, ours, metric="test_auc", **rivals):
    """Metrics of every column; 0.5 in each run where nothing else is said."""
    found = {(row, name): runs_of(*[0.5] * len(ours), metric=metric) for name in RIVALS}
    found |= {(row, n.replace("_", "-")): runs_of(*v, metric=metric) for n, v in rivals.items()}
    return found | {(row, OURS): runs_of(*ours, metric=metric)}


def verdicts(measured):
    return {v.claim: v.holds for v in measured.table.judge(measured)}


@pytest.fixture
def on_toys():
    """A table with rows of the same kinds on toys, and little to train."""

    def on_toys(name):
        rows = {
            "toys/10": Row("toy-graphs", {**SMALL, "train_fraction": 0.1}, 2, splits=True),
            "toys/30": Row(
                "toy-graphs",
                {**SMALL, "train_fraction": 0.3, "graph_split": "leave-one-out",
                 "features": ("degrees",)},
                2,
                splits=True,
            ),
        }  # fmt: skip
        table = find_table(name)
        return dataclasses.replace(table, rows=rows)

    return on_toys


@pytest.mark.parametrize("name", TABLES)
def test_each_run_of_a_row_has_another_split_and_seed(name):
    table = find_table(name)
    for row, n in ((PRINTED_ROW, 10), (OTHER_ROW, 9), ("amazon-computers-egos/10", 5)):
        assert table.rows[row].seeds == n
        runs = table.runs(row, OURS, n)
        assert [run.split_seed for run in runs] == [run.seed for run in runs] == list(range(n))
        assert [run.what["split_seed"] for run in runs] == list(range(n))
        assert len({run.path for run in runs}) == n


def test_both_tables_share_every_run():
    two, three = map(find_table, TABLES)
    for row in two.rows:
        for column in two.columns:
            assert two.runs(row, column, 2) == three.runs(row, column, 2)


def test_a_method_has_the_settings_packaged_for_it_and_what_the_row_sets(tmp_path, monkeypatch):
    (tmp_path / "meta-graph-firstmm.toml").write_text(
        "[config]\ninner_lr = 0.25\nd = 8\n[method.maml]\nd = 6\n"
    )
    monkeypatch.setattr("dglmeta.train.config.resources.files", lambda package: tmp_path)
    table = find_table(TABLES[0])
    (ours,), (maml,) = (table.runs("firstmm/20", name, 1) for name in (OURS, "maml"))
    assert (ours.config.d, maml.config.d) == (8, 6)
    for run in (ours, maml):
        assert (run.config.inner_lr, run.config.train_fraction) == (0.25, 0.2)
    assert maml.name == "meta-graph-firstmm-maml-train_fraction-0.2"


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(("off", "expected"), [(0.0, True), (-0.0001, False)])
def test_meta_graph_is_judged_at_what_is_wanted(measured_of, name, off, expected):
    table = find_table(name)
    wanted = {"meta-graph-table2": 0.772, "meta-graph-table3": 0.763}[name] + off
    measured = measured_of(table, figures(PRINTED_ROW, [wanted] * 2, METRIC[name]))
    assert verdicts(measured)["meta-graph reaches what is wanted"] is expected


def test_meta_graph_must_be_above_every_rival_in_the_mean_of_paired_differences(measured_of):
    found = figures(PRINTED_ROW, [0.9, 0.7], maml=[0.95, 0.649], finetune=[0.9, 0.7])
    judged = verdicts(measured_of(find_table(TABLES[0]), found))
    assert judged["meta-graph above maml"] is True  # 0.8 above 0.7995, though not in each split
    assert judged["meta-graph above finetune"] is False
    assert all(judged[f"meta-graph above {name}"] is not None for name in RIVALS)
    assert not any("spread" in claim for claim in judged)


@pytest.mark.parametrize(
    ("maml", "expected"),
    [([0.6, 0.7, 0.8], True), ([0.6, 0.69, 0.81], True), ([0.62, 0.58, 0.98], False)],
)
def test_without_a_printed_value_it_must_be_above_by_more_than_the_standard_error(
    measured_of, maml, expected
):
    ours = [0.7, 0.8, 0.9]
    judged = verdicts(measured_of(find_table(TABLES[0]), figures(OTHER_ROW, ours, maml=maml)))
    claim = "meta-graph above maml by more than the spread"
    gains = [a - b for a, b in zip(ours, maml, strict=True)]
    assert (sum(gains) / 3 > standard_error(gains)) is expected
    assert judged[claim] is expected
    told = {c.removesuffix(" by more than the spread") for c in judged if "spread" in c}
    assert told == {f"meta-graph above {name}" for name in ("maml", "finetune", "no-finetune")}
    assert "meta-graph reaches what is wanted" not in judged


def test_a_failed_run_leaves_its_rival_undecided_and_out_of_the_differences(measured_of):
    found = figures(OTHER_ROW, [0.7, 0.8])
    found[OTHER_ROW, "maml"] = ["failed", {"test_auc": 0.6}]
    del found[OTHER_ROW, "mlp"]
    measured = measured_of(find_table(TABLES[0]), found)
    judged = verdicts(measured)
    assert judged["meta-graph above maml"] is judged["meta-graph above mlp"] is None
    assert judged["meta-graph above random"] is True
    gains = dict(zip(RIVALS, measured.table.grids(measured)[1].rows[0][1], strict=True))
    assert gains["maml"].ours == pytest.approx((0.2,))
    assert gains["mlp"].ours == ()


def test_differences_stand_beside_their_standard_error_and_those_printed(measured_of):
    found = figures(PRINTED_ROW, [0.70, 0.80], maml=[0.68, 0.72])
    measured = measured_of(find_table(TABLES[0]), found)
    gain = measured.table.grids(measured)[1].rows[0][1][0]
    assert gain.ours == pytest.approx((0.02, 0.08))
    assert gain.printed == pytest.approx(0.006)
    report = describe_table(measured, command="x", quick=False)
    assert "0.0500 ± 0.0300 / *0.0060*" in str(report)  # the sample deviation is 0.0424
    assert "every seed has a split of its own" in str(report)
    assert "standard error of the mean of the paired differences" in str(report)
    assert "split seed 0" not in str(report)


@pytest.mark.parametrize("name", TABLES)
def test_random_and_the_heuristics_train_for_one_epoch(name):
    columns = find_table(name).columns
    once = {column for column, settings in columns.items() if settings.get("epochs") == 1}
    assert once == {"no-finetune", "random", "adamic-adar", "deepwalk"}


def test_a_quick_table_runs_every_method_and_the_other_table_needs_no_further_run(
    on_toys, tmp_path
):
    pytest.importorskip("gensim", reason="deepwalk needs gensim")
    lines = []
    first = reproduce(on_toys(TABLES[0]), quick=True, seeds=2, out=tmp_path)
    second = reproduce(on_toys(TABLES[1]), quick=True, seeds=2, out=tmp_path, say=lines.append)
    assert first.failures == second.failures == ()
    assert lines[0] == "meta-graph-table3: 32 runs, 32 finished before, 0 to resume, 0 to begin"
    cell = first.facts["cells"][0]
    assert [run["split_seed"] for run in cell["runs"]] == [0, 1]
    for run in cell["runs"]:
        record = json.loads((tmp_path / "quick" / run["folder"] / "result.json").read_text())
        assert record["split_seed"] == run["split_seed"]
        values = (report.facts["grids"][0]["rows"][0]["entries"][0]["values"]
                  for report in (first, second))  # fmt: skip
        for metric, found in zip(METRIC.values(), values, strict=True):
            assert record["metrics"][metric] == found[run["split_seed"]]
