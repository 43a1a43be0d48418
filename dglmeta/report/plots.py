"""Which pictures a training run gives: its metrics, its tasks, and what V learned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np

from dglmeta.report.draw import MAX_LINES, Axes, Line, Picture, picture, value_range

__all__ = ["group_lines", "metric_title", "parts_of", "plot_comparison", "plot_run", "stages"]

Epochs = Sequence[Mapping[str, Any]]
"""Lines of metrics.jsonl, in order."""

SHORT = {"bacc": "balanced accuracy"}

ABBREVIATIONS = ("ap", "ari", "auc", "f1", "gc", "lp", "nc", "ndcg", "nmi")


def metric_title(name: str) -> str:
    """A metric's name as a person writes it.

    Examples
    --------
    >>> metric_title("valid_auc"), metric_title("recall_at_10"), metric_title("test_macro_f1_20")
    ('AUC', 'recall@10', 'macro F1 20')
    >>> metric_title("test_bacc")
    'balanced accuracy'
    """
    bare = re.sub("^(valid|test)_", "", name)
    words = SHORT.get(bare, bare).replace("_at_", "@").split("_")
    parts = [re.split("(@)", word) for word in words]
    return " ".join("".join(p.upper() if p in ABBREVIATIONS else p for p in ps) for ps in parts)


def stages(epochs: Epochs, best: int | None) -> list[tuple[str, Mapping[str, Any]]]:
    """The first, best and last of the epochs by name, each epoch once.

    Examples
    --------
    >>> [name for name, _ in stages([{"epoch": 0}, {"epoch": 1}], best=1)]
    ['first, epoch 0', 'best and last, epoch 1']
    """
    if not epochs:
        return []
    named: dict[int, list[str]] = {}
    ends = {"first": epochs[0]["epoch"], "best": best, "last": epochs[-1]["epoch"]}
    for name, epoch in ends.items():
        if epoch is not None:
            named.setdefault(epoch, []).append(name)
    lines = {line["epoch"]: line for line in epochs}
    return [
        (f"{' and '.join(names)}, epoch {epoch}", lines[epoch])
        for epoch, names in sorted(named.items())
        if epoch in lines
    ]


def plot_run(epochs: Epochs, best: int | None) -> dict[str, list[Picture]]:
    """Everything one run logged, by kind: validation, train_loss, task_weights, hint_weights, ...

    Parameters
    ----------
    epochs : sequence of dict
    best : int, optional
        Number of the best epoch, which is marked.

    Returns
    -------
    pictures : dict of kind to list of Picture
        A kind that was not logged has none.
    """
    weight = "mean weight (primary task = 1)"
    mix = "mean share of the learner, c"
    return {
        "validation": [_plot_metric(key, epochs, best) for key in _metrics(epochs)],
        "train_loss": _plot_tasks("Training loss", "train_loss", "mean loss (nats)", epochs, best),
        "task_weights": _plot_tasks("Task weights", "task_weights", weight, epochs, best),
        "hint_weights": _plot_tasks("Hints", "hint_weights", mix, epochs, best),
        "weighting": _plot_weighting(epochs, best),
    }


def plot_comparison(
    title: str, groups: Mapping[str, Sequence[tuple[Epochs, int | None]]]
) -> list[Picture]:
    """Validation metrics of several runs in one plot each, a colour for each group.

    A run is a faint line with a dot at its best epoch. The mean of a group is drawn over the epochs
    that all its runs reached.

    Parameters
    ----------
    title : str
    groups : dict of name to sequence of (epochs, best epoch)
    """
    keys = dict.fromkeys(
        k for runs in groups.values() for epochs, _ in runs for k in _metrics(epochs)
    )
    pictures = []
    for key in keys:
        lines: dict[str, list[Line]] = {}
        for name, runs in groups.items():
            series = [(*_series(epochs, key), best) for epochs, best in runs]
            lines[name] = group_lines(name, [s for s in series if len(s[0])])
        for part, names in enumerate(parts_of([n for n, found in lines.items() if found])):
            drawn = [replace(x, colour=i) for i, n in enumerate(names) for x in lines[n]]
            heading = f"Validation {metric_title(key)}, {title}"
            name = f"{key}-{part}"
            pictures.append(picture(name, heading, drawn, Axes("epoch", metric_title(key))))
    return pictures


def group_lines(
    name: str, series: Sequence[tuple[Sequence[float], Sequence[float], int | None]]
) -> list[Line]:
    """Runs, each as (x, y, x of a dot): a single one as it is; of several faint lines and the mean.

    The mean is drawn over the x that all of them have.
    """
    if len(series) < 2:
        return [Line(name, x, y, mark=best) for x, y, best in series]
    shared = sorted(set.intersection(*(set(x) for x, _, _ in series)))
    lines = [Line("", x, y, faint=True, mark=best) for x, y, best in series]
    by_epoch = [dict(zip(x, y, strict=True)) for x, y, _ in series]
    mean = [float(np.mean([values[e] for values in by_epoch])) for e in shared]
    return [*lines, Line(name, shared, mean)]


def _plot_metric(key: str, epochs: Epochs, best: int | None) -> Picture:
    title = metric_title(key)
    line = Line(title, *_series(epochs, key), mark=best)
    return picture(f"validation-{_slug(key[6:])}", f"Validation {title}", [line],
                    Axes("epoch", title), best=best)  # fmt: skip


def _plot_tasks(
    title: str, key: str, y_label: str, epochs: Epochs, best: int | None
) -> list[Picture]:
    """A line a task, in as many plots as they need; all with one range."""
    colours = {task: i % MAX_LINES for i, task in enumerate(_tasks(epochs))}
    lines = {t: _series(epochs, key, t) for t in colours}
    shown = [t for t in colours if lines[t][0]]
    axes = Axes("epoch", y_label, value_range([y for t in shown for y in lines[t][1]]))
    parts = list(parts_of(shown))
    pictures = []
    for k, names in enumerate(parts):
        drawn = [Line(t, *lines[t], colour=colours[t]) for t in names]
        heading = f"{title} of {names[0]}" if len(names) == 1 else title
        heading += f", part {k + 1} of {len(parts)}" if len(parts) > 1 else ""
        name = _slug(key) + (f"-{k + 1}" if len(parts) > 1 else "")
        pictures.append(picture(name, heading, drawn, axes, best=best))
    return pictures


def _plot_weighting(epochs: Epochs, best: int | None) -> list[Picture]:
    """A plot a task: V over the loss, a colour a label, a style a stage; all with one range."""
    logged = [e for e in epochs if "weighting" in e]
    styles = {"first": ":", "best": "--", "last": "-"}
    by_task: dict[str, list[Line]] = {}
    for stage, epoch in stages(logged, best):
        style = styles[stage.partition(",")[0].split()[-1]]
        x = epoch["weighting"]["loss"]
        for task, curves in epoch["weighting"]["curves"].items():
            for label, y in sorted(curves.items(), reverse=True):
                name = f"label {label}: {stage}" if len(curves) > 1 else stage
                line = Line(name, x, y, colour=int(label != "1"), style=style)
                by_task.setdefault(task, []).append(line)
    shared = value_range([y for lines in by_task.values() for line in lines for y in line.y])
    axes = Axes("loss of a sample (nats)", "weight V", shared)
    by_label = attrgetter("colour")
    return [
        picture(
            f"weighting-{k + 1}-{_slug(t)}", f"Weighting of {t}", sorted(lines, key=by_label), axes
        )
        for k, (t, lines) in enumerate(by_task.items())
    ]


def _metrics(epochs: Epochs) -> list[str]:
    """Names of the validation metrics that have a value."""
    found = (k for e in epochs for k, v in e.items() if k.startswith("valid_") and np.isfinite(v))
    return list(dict.fromkeys(found))


def _tasks(epochs: Epochs) -> list[str]:
    """Every task that was logged; its place is its colour in all plots of the run."""
    kinds = ("train_loss", "task_weights", "hint_weights")
    return list(dict.fromkeys(task for e in epochs for kind in kinds for task in e.get(kind, {})))


def _series(epochs: Epochs, key: str, task: str | None = None) -> tuple[list[int], list[float]]:
    """Epochs that have a finite value, and the values."""
    found = [(e["epoch"], e.get(key) if task is None else e.get(key, {}).get(task)) for e in epochs]
    kept = [(epoch, v) for epoch, v in found if v is not None and np.isfinite(v)]
    return [epoch for epoch, _ in kept], [v for _, v in kept]


def parts_of(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """As few parts as there can be, of nearly one size."""
    n_parts = -(-len(names) // MAX_LINES)
    for k in range(n_parts):
        yield names[len(names) * k // n_parts : len(names) * (k + 1) // n_parts]


def _slug(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:40].rstrip("-") or "unnamed"
