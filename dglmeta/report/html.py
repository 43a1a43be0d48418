"""A page on one or more training runs, complete in one file."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dglmeta
from dglmeta.errors import DataError, DglmetaError
from dglmeta.report.draw import Picture
from dglmeta.report.few_shot import (
    plot_adaptation,
    plot_adaptations,
    read_adaptation,
    signature_table,
)
from dglmeta.report.numbers import decimals, mean_and_spread, mebibytes, seconds, setting
from dglmeta.report.plots import metric_title, plot_comparison, plot_run, stages
from dglmeta.report.runs import KINDS, Group, Run, group_runs
from dglmeta.report.search_picture import Search, plot_loss, plot_search, read_loss, read_search

__all__ = ["write_report"]

MISSING = {
    "validation": ("validation metrics", "no epoch was finished"),
    "train_loss": ("losses by task", "the system that wrote this run does not log them"),
    "task_weights": ("task weights", "only a strategy that learns sample weights logs them"),
    "hint_weights": ("hint weights", "only a strategy with hints logs them"),
    "weighting": ("weighting curves", "only a strategy that learns sample weights logs them"),
    "adaptation": ("curves of adaptation", "a finished run has them, of a method with an encoder"),
    "signatures": ("table of signatures", "a finished run has them, of a method with a signature"),
    "loss": ("picture of its loss", "only a loss that is a formula of one logit has one"),
    "search": ("course of a search", "only a finished run whose loss was searched for has one"),
}
"""By kind of picture or table: what it would show, and why a run may not have it."""

EXPECTED = {
    "selar": ("validation", "train_loss", "task_weights", "hint_weights", "weighting"),
    "meta-graph": ("validation", "adaptation", "signatures"),
    "autolinc": ("validation", "loss", "search"),
}
"""What is to be expected of a system; of others validation is."""


def write_report(runs: Sequence[Path], out: Path) -> list[Path]:
    """Write a page on some runs, and each run's pictures to its ``plots`` folder.

    The page needs no other file and no network, and holds no script.

    Parameters
    ----------
    runs : sequence of Path
        Run folders. One that is given twice counts once.
    out : Path
        The page; replaced if it is there.

    Returns
    -------
    written : list of Path
        The page, then the pictures.

    Raises
    ------
    DataError
        If a folder is no run or is damaged, or the page cannot be written. Pictures that cannot be
        written, as into a protected folder, are only noted in the page.
    DglmetaError
        If Matplotlib or Jinja is not installed.
    """
    _check_ready(runs, out)
    folders = {Path(path).resolve(): Path(path) for path in runs}
    read = [Run.read(path) for path in folders.values()]
    written: list[Path] = []
    sections = [_section(run, written) for run in read]
    page = _render(runs=sections, comparison=_comparison(read) if len(read) > 1 else None)
    part = out.with_name(f"{out.name}.part")
    try:
        part.write_text(page, encoding="utf-8")
        os.replace(part, out)  # noqa: PTH105 - atomic everywhere
    except OSError as error:
        raise DataError(
            f"report: expected to write {out}, got {error}. Choose another place."
        ) from error
    return [out, *written]


def _check_ready(runs: Sequence[Path], out: Path) -> None:
    missing = [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]
    if missing:
        raise DglmetaError(
            f"report: expected matplotlib and jinja2, found no {' and no '.join(missing)}. "
            f"Type: pip install 'dglmeta[report]'"
        )
    if not runs:
        raise DataError("report: expected at least one run's folder, got none.")
    if not out.parent.is_dir():
        raise DataError(
            f"report: expected a folder at {out.parent}, got none. Make it, or choose another."
        )


def _section(run: Run, written: list[Path]) -> dict[str, Any]:
    """What the page tells of one run; its pictures are written and noted in ``written``."""
    pictures = plot_run(run.epochs, run.best)
    adaptation, signatures = read_adaptation(run.result), signature_table(run.result)
    pictures["adaptation"] = [] if adaptation is None else [plot_adaptation(adaptation)]
    loss, search = read_loss(run.config, run.result), read_search(run.result)
    pictures["loss"] = [] if loss is None else [plot_loss(loss, run.config["config"]["rho"])]
    pictures["search"] = [] if search is None else plot_search(search)
    notes = list(run.notes)
    try:
        folder = run.path / "plots"
        folder.mkdir(exist_ok=True)
        for picture in (p for some in pictures.values() for p in some):
            (folder / f"{picture.name}.png").write_bytes(picture.png)
            written.append(folder / f"{picture.name}.png")
    except OSError as error:
        notes.append(f"Its pictures could not be written beside it: {error}.")
    return {
        "title": run.title,
        "path": str(run.path),
        "finished": run.result is not None,
        "best": run.best,
        "n_epochs": len(run.epochs),
        "metrics": _by_split(run.metrics),
        "cost": _cost(run.result or {}),
        "settings": run.config["config"],
        "facts": {k: v for k, v in run.config.items() if k != "config"},
        "versions": _versions(run.result or {}),
        "pictures": pictures,
        "weights": _weight_table(run),
        "signatures": signatures,
        "loss": None if loss is None else loss.infix,
        "search": None if search is None else _search(search),
        "missing": _missing(run, {**pictures, "signatures": signatures}),
        "strategy": run.facts.get("strategy"),
        "notes": notes,
    }


def _search(search: Search) -> dict[str, Any]:
    """What a search took, what became of its candidates, and those that were trained in full."""
    began = [("Found in", search.source)] if search.source else []
    told = [*began, ("Search", seconds(search.seconds)), *search.counted]
    return {"terms": told, "finalists": search.finalists}


def _missing(run: Run, shown: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What runs of the system can have and this one has not, and why that may be."""
    expected = EXPECTED.get(run.facts["system"], ("validation",))
    return [MISSING[kind] for kind in expected if not shown[kind]]


def _by_split(metrics: Mapping[str, float]) -> list[tuple[str, float | None, float | None]]:
    """Rows of a metric's title, its test value and its validation value."""
    names = dict.fromkeys(k.partition("_")[2] for k in metrics if k.startswith(("test_", "valid_")))
    return [(metric_title(n), metrics.get(f"test_{n}"), metrics.get(f"valid_{n}")) for n in names]


def _cost(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of what training took."""
    step = result.get("seconds_per_step")
    rows: list[tuple[str, str]] = []
    if step:
        rows.append(("A step, median", seconds(step["median"])))
        between = f"{seconds(step['p10'])} to {seconds(step['p90'])}"
        rows.append(("A step, 10th to 90th percentile", between))
    shown: dict[str, tuple[str, Callable[[Any], str]]] = {
        "steps": ("Steps", "{:,}".format),
        "seconds_total": ("Training", seconds),
        "peak_rss_mib": ("Peak memory of the process", mebibytes),
        "peak_gpu_mib": ("Peak memory on the GPU", mebibytes),
        "n_parameters": ("Parameters", "{:,}".format),
        "device": ("Device", str),
    }
    return rows + [(name, form(result[k])) for k, (name, form) in shown.items() if k in result]


def _versions(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    commit = result.get("commit")
    return [*result.get("versions", {}).items(), *([("commit", commit[:12])] if commit else [])]


def _weight_table(run: Run) -> dict[str, Any] | None:
    """Mean weight of each task at the first, best and last epoch that has weights."""
    columns = stages([e for e in run.epochs if "task_weights" in e], run.best)
    tasks = dict.fromkeys(task for _, e in columns for task in e["task_weights"])
    if not tasks:
        return None
    rows = [(task, [e["task_weights"].get(task) for _, e in columns]) for task in tasks]
    return {"columns": [name for name, _ in columns], "rows": rows}


def _comparison(runs: Sequence[Run]) -> dict[str, Any]:
    """Tables of groups and runs, and pictures for each data set."""
    groups = group_runs(runs)
    metrics = list(dict.fromkeys(k for r in runs for k in r.metrics if k.startswith("test_")))
    pictures: list[Picture] = []
    adaptations: list[Picture] = []
    for data in dict.fromkeys(g.data for g in groups):
        drawn = {g.name: [(r.epochs, r.best) for r in g.runs] for g in groups if g.data == data}
        if sum(map(len, drawn.values())) > 1:
            pictures += plot_comparison(data, drawn)
            read = {g.name: [read_adaptation(r.result) for r in g.runs] for g in groups
                    if g.data == data}  # fmt: skip
            some = {name: [a for a in found if a is not None] for name, found in read.items()}
            adaptations += plot_adaptations(data, some)
    kinds = [kind for kind in KINDS if any(r.facts.get(kind) is not None for r in runs)]
    return {
        "kinds": [kind.capitalize() for kind in kinds],
        "metrics": [metric_title(k) for k in metrics],
        "groups": [_group_row(g, metrics) for g in groups],
        "runs": [_run_row(r, kinds, metrics) for r in runs],
        "pictures": pictures,
        "adaptations": adaptations,
    }


def _group_row(group: Group, metrics: Sequence[str]) -> dict[str, Any]:
    done = [r for r in group.runs if r.result is not None]
    values = [[r.metrics[k] for r in done if k in r.metrics] for k in metrics]
    return {
        "name": group.name,
        "data": group.data,
        "seeds": ", ".join(str(r.config.get("seed", "?")) for r in done) or "none finished",
        "values": [mean_and_spread(v) for v in values],
    }


def _run_row(run: Run, kinds: Sequence[str], metrics: Sequence[str]) -> dict[str, Any]:
    return {
        "kinds": [run.facts.get(kind) for kind in kinds],
        "seed": run.config.get("seed"),
        "values": [run.metrics.get(k) for k in metrics],
        "finished": run.result is not None,
    }


def _render(**content: Any) -> str:
    """The page. Whatever is not in the template is escaped, and what it lacks is an error."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    environment.filters |= {
        "decimals": decimals,
        "setting": setting,
        "base64": lambda png: base64.b64encode(png).decode("ascii"),
    }
    template = resources.files("dglmeta.report").joinpath("page.html.jinja")
    page = environment.from_string(template.read_text(encoding="utf-8"))
    return page.render(**content, version=dglmeta.__version__)
