"""Curves of adaptation and the table of signatures say what result.json says."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from dglmeta.errors import DataError
from dglmeta.report.few_shot import (
    plot_adaptation,
    plot_adaptations,
    read_adaptation,
    signature_table,
)
from dglmeta.report.html import write_report
from dglmeta.train import RunFolder

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


def told(*columns, chosen=0, shift=0.0):
    """Adaptation whose test AUC has a list a graph, and whose validation AUC is ``shift`` above."""
    test = np.array(columns).T
    return {
        "graphs": [f"g{k}" for k in range(len(columns))],
        "steps": [5 * k for k in range(len(test))],
        "valid_auc": (test + shift).tolist(),
        "test_auc": test.tolist(),
        "chosen_step": [chosen] * len(columns),
    }


def read(*columns, **more):
    return read_adaptation({"adaptation": told(*columns, **more)})


SIGNATURES = {
    "graphs": ["a", "b", "c", "d"],
    "vectors": [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]],
    "statistics": {"nodes": [10, 12, 50, 55], "noise": [1, 5, 2, 4], "same": [3, 3, 3, 3]},
}


def a_run(path, method="meta-graph", seed=0, *, data="toys", **result):
    folder = RunFolder(path)
    config = {"method": method, "variant": "modulation", "protocol": "clean", "lr": 0.01}
    what = {"system": "meta-graph", "data": data, "seed": seed, "split_seed": seed}
    folder.begin(what, config, resume=False)
    folder.rewrite_metrics([{"epoch": e, "valid_auc": 0.6 + e / 10} for e in range(2)])
    metrics = {"test_auc": 0.7, "valid_auc": 0.7, "test_auc_5_steps": 0.6 + seed / 100}
    folder.write_result(
        {**what, "metrics": metrics, "best_epoch": 1, "epochs": 2, "config": config, **result}
    )
    return path


def test_a_run_is_drawn_by_its_mean_over_test_graphs_and_their_lines():
    picture = plot_adaptation(read([0.5, 0.7], [0.6, 1.0], shift=0.1, chosen=5))
    assert "AUC over step." in picture.alt
    assert "test: 0.55 at 0, 0.85 at 5" in picture.alt
    assert "validation: 0.65 at 0, 0.95 at 5" in picture.alt


def test_methods_are_a_line_each_and_runs_of_one_their_mean_over_steps_all_took():
    runs = {
        "meta-graph": [read([0.5, 0.7, 0.9]), read([0.7, 0.9])],
        "maml": [read([0.4, 0.6, 0.8], [0.6, 0.8, 1.0])],
        "adamic-adar": [],
    }
    (picture,) = plot_adaptations("toys", runs)
    assert picture.alt.startswith("Test AUC while adapting to a new graph, toys.")
    assert "meta-graph: 0.6 at 0, 0.8 at 5; maml: 0.5 at 0, 0.9 at 10." in picture.alt
    assert "adamic" not in picture.alt
    assert plot_adaptations("toys", {"adamic-adar": []}) == []


def test_more_than_eight_methods_are_spread_over_plots():
    pictures = plot_adaptations("toys", {f"m{k}": [read([0.5, 0.6])] for k in range(9)})
    assert len({p.name for p in pictures}) == 2


def test_correlations_are_pearsons_over_all_pairs():
    table = signature_table({"signatures": SIGNATURES})
    unit = np.array(SIGNATURES["vectors"])
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    cosine = [unit[i] @ unit[j] for i, j in pairs]
    found = dict(table.rows)
    assert table.n_pairs == 6
    for name in ("nodes", "noise"):
        values = SIGNATURES["statistics"][name]
        alike = [-abs(values[i] - values[j]) for i, j in pairs]
        assert found[name] == pytest.approx(np.corrcoef(cosine, alike)[0, 1])
    assert found["nodes"] > 0.9 > abs(found["noise"])
    assert found["same"] is None


def test_signatures_that_are_all_alike_or_a_single_pair_correlate_with_nothing():
    alike = {**SIGNATURES, "vectors": [[1.0, 2.0]] * 4}
    assert {value for _, value in signature_table({"signatures": alike}).rows} == {None}
    two = {"graphs": ["a", "b"], "vectors": [[1, 0], [0, 1]], "statistics": {"nodes": [1, 2]}}
    assert signature_table({"signatures": two}).rows == [("nodes", None)]


@pytest.mark.parametrize("result", [None, {}, {"adaptation": {}, "signatures": {}}])
def test_what_is_not_told_is_nothing(result):
    assert read_adaptation(result) is signature_table(result) is None


@pytest.mark.parametrize(
    ("what", "key", "value"),
    [
        ("adaptation", "steps", [0]),
        ("adaptation", "test_auc", [[0.5], [0.6, 0.7]]),
        ("adaptation", "valid_auc", [["high"], ["low"]]),
        ("adaptation", "chosen_step", []),
        ("adaptation", "graphs", None),
        ("signatures", "vectors", [[1.0], [2.0]]),
        ("signatures", "vectors", [1.0, 2.0, 3.0, 4.0]),
        ("signatures", "statistics", [1]),
        ("signatures", "statistics", {"nodes": [1]}),
    ],
)
def test_another_form_is_refused(tmp_path, what, key, value):
    whole = {"adaptation": told([0.5, 0.6]), "signatures": SIGNATURES}
    spoiled = copy.deepcopy(whole)
    spoiled[what][key] = value
    run = a_run(tmp_path / "run", **spoiled)
    with pytest.raises(DataError, match=f"expected {what} in result.json as meta-graph writes it"):
        write_report([run], tmp_path / "page.html")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Text of a report on two methods, one with two splits, and one without an encoder."""
    root = tmp_path_factory.mktemp("runs")
    whole = {"adaptation": told([0.5, 0.6], [0.7, 0.8]), "signatures": SIGNATURES}
    runs = [
        a_run(root / "ours", **whole),
        a_run(root / "again", seed=1, **whole),
        a_run(root / "maml", "maml", adaptation=told([0.4, 0.5])),
        a_run(root / "aa", "adamic-adar"),
    ]
    written = write_report(runs, root / "page.html")
    return (root / "page.html").read_text(encoding="utf-8"), written


def test_the_page_compares_methods_by_step_and_in_a_column(page):
    text, _ = page
    assert "Test AUC while adapting to a new graph, toys." in text
    assert "meta-graph: 0.6 at 0, 0.7 at 5; maml: 0.4 at 0, 0.5 at 5." in text
    assert '<th scope="col">Method</th>' in text
    assert "Strategy" not in text
    assert ">AUC 5 steps<" in text
    assert "meta-graph modulation on toys, seed 1, split 1" in text
    assert "meta-graph maml on toys, seed 0" in text


def test_the_page_has_curves_and_signatures_of_each_run_that_has_them(page):
    text, written = page
    assert [p.name for p in written].count("adaptation.png") == 3
    assert text.count("<h3>Signatures</h3>") == 2
    nodes = dict(signature_table({"signatures": SIGNATURES}).rows)["nodes"]
    assert f'nodes</th><td class="number">{nodes:.4f}</td>' in text
    assert 'same</th><td class="number">–</td>' in text
    assert text.count("No table of signatures: a finished run has them") == 2
    assert text.count("No curves of adaptation: a finished run has them") == 1
    assert "No task weights" not in text


def test_a_trained_run_is_reported_as_it_was_written(tmp_path):
    from dglmeta.data import load_dataset
    from dglmeta.systems import MetaGraph

    config = MetaGraph.Config(epochs=1, passes=1, d_hidden=4, d=4, adapt_steps=10)
    MetaGraph(config).fit(load_dataset("toy-graphs"), out=tmp_path / "run")
    write_report([tmp_path / "run"], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    curve = np.mean(result["adaptation"]["test_auc"], axis=1)
    assert f"test: {curve[0]:.4g} at 0, {curve[-1]:.4g} at 10" in text
    n = len(result["signatures"]["graphs"])
    assert f"over {n * (n - 1) // 2} pairs of graphs" in " ".join(text.split())
    assert "nodes</th>" in text
