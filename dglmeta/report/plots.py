"""Pictures of training runs, each small enough to be read on a phone.

Drawn by Matplotlib through its object interface: nothing is opened, and no setting is changed.
"""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Picture", "metric_title", "plot_comparison", "plot_run", "stages"]

Epochs = Sequence[Mapping[str, Any]]
"""Lines of metrics.jsonl, in order."""

# Okabe and Ito's colours, told apart by any eye; their yellow is too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#B0527F", "#C77F00", "#3A9BD0", "#444444", "#882255")
MAX_LINES = len(COLOURS)
DPI = 220
INK, PALE = "#222222", "#888888"
MAX_DIRECT = 16  # characters of a name that still fits beside its line
ABBREVIATIONS = ("ap", "ari", "auc", "f1", "gc", "lp", "nc", "ndcg", "nmi")


@dataclass(frozen=True)
class Picture:
    """A PNG, its file name without ending, and what it shows in words."""

    name: str
    alt: str
    png: bytes


@dataclass(frozen=True)
class Line:
    """A line of a plot; nameless ones are neither labelled nor told of."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    style: str = "-"
    faint: bool = False
    mark: float | None = None  # x of a dot


class Axes(NamedTuple):
    """What the axes are called; ``y_range`` fits the lines where it is absent."""

    x: str
    y: str
    y_range: tuple[float, float] | None = None


def metric_title(name: str) -> str:
    """A metric's name as a person writes it.

    Examples
    --------
    >>> metric_title("valid_auc"), metric_title("recall_at_10"), metric_title("test_macro_f1_20")
    ('AUC', 'recall@10', 'macro F1 20')
    """
    words = re.sub("^(valid|test)_", "", name).replace("_at_", "@").split("_")
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
            lines[name] = _group_lines(name, [s for s in series if len(s[0])])
        for part, names in enumerate(_parts([n for n, found in lines.items() if found])):
            drawn = [replace(x, colour=i) for i, n in enumerate(names) for x in lines[n]]
            heading = f"Validation {metric_title(key)}, {title}"
            name = f"{key}-{part}"
            pictures.append(_picture(name, heading, drawn, Axes("epoch", metric_title(key))))
    return pictures


def _group_lines(
    name: str, series: Sequence[tuple[Sequence[float], Sequence[float], int | None]]
) -> list[Line]:
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
    return _picture(f"validation-{_slug(key[6:])}", f"Validation {title}", [line],
                    Axes("epoch", title), best=best)  # fmt: skip


def _plot_tasks(
    title: str, key: str, y_label: str, epochs: Epochs, best: int | None
) -> list[Picture]:
    """A line a task, in as many plots as they need; all with one range."""
    colours = {task: i % MAX_LINES for i, task in enumerate(_tasks(epochs))}
    lines = {t: _series(epochs, key, t) for t in colours}
    shown = [t for t in colours if lines[t][0]]
    axes = Axes("epoch", y_label, _range([y for t in shown for y in lines[t][1]]))
    parts = list(_parts(shown))
    pictures = []
    for k, names in enumerate(parts):
        drawn = [Line(t, *lines[t], colour=colours[t]) for t in names]
        heading = f"{title} of {names[0]}" if len(names) == 1 else title
        heading += f", part {k + 1} of {len(parts)}" if len(parts) > 1 else ""
        name = _slug(key) + (f"-{k + 1}" if len(parts) > 1 else "")
        pictures.append(_picture(name, heading, drawn, axes, best=best))
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
    shared = _range([y for lines in by_task.values() for line in lines for y in line.y])
    axes = Axes("loss of a sample (nats)", "weight V", shared)
    by_label = attrgetter("colour")
    return [
        _picture(
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


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """As few parts as there can be, of nearly one size."""
    n_parts = -(-len(names) // MAX_LINES)
    for k in range(n_parts):
        yield names[len(names) * k // n_parts : len(names) * (k + 1) // n_parts]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Limits with a margin, and far enough apart that rounding does not look like a change."""
    finite = [v for v in values if np.isfinite(v)] or [0.0]
    low, high = min(finite), max(finite)
    margin = max(0.06 * (high - low), 0.02 * abs(high), 1e-6)
    return low - margin, high + margin


def _slug(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")[:40].rstrip("-") or "unnamed"


def _picture(
    name: str, title: str, lines: Sequence[Line], axes: Axes, *, best: int | None = None
) -> Picture:
    """Draw lines, named beside their ends where the names fit, else below the axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    named = [line for line in lines if line.label]
    direct = axes.x == "epoch" and all(len(line.label) <= MAX_DIRECT for line in named)
    heading = textwrap.wrap(title, 50)
    below = 0.0 if direct else 0.17 * _legend_rows(named)
    figure = Figure((3.8, 2.5 + 0.16 * len(heading) + below), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("\n".join(heading), x=0.02, ha="left", size=10, color=INK, parse_math=False)
    ax = figure.add_subplot()
    for line in lines:
        _draw_line(ax, line)
    ax.set_ylim(axes.y_range or _range([y for line in lines for y in line.y]))
    ax.margins(x=0.02)
    ax.set_xlabel(axes.x, size=9, color=INK)
    ax.set_ylabel(axes.y, size=9, color=INK)
    ax.tick_params(labelsize=8, color=PALE, labelcolor=INK)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#E4E4E4", linewidth=0.6)
    ax.set_axisbelow(True)
    if axes.x == "epoch":
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    if best is not None:
        _mark_best(ax, best, lines)
    if direct and len(named) > 1:
        _name_ends(ax, named)
    elif len(named) > 1:
        _name_below(figure, named)
    return Picture(name, _in_words(title, named, axes, best), _png(figure))


def _draw_line(ax: Any, line: Line) -> None:
    colour = COLOURS[line.colour % MAX_LINES]
    alone = {"marker": "o", "markersize": 4} if len(line.x) == 1 else {}
    width, alpha = (0.8, 0.4) if line.faint else (1.6, 1.0)
    ax.plot(line.x, line.y, color=colour, ls=line.style, lw=width, alpha=alpha, **alone)
    if line.mark is not None and line.mark in line.x:
        y = line.y[list(line.x).index(line.mark)]
        ax.plot([line.mark], [y], "o", color=colour, ms=3.5 if line.faint else 5)


def _mark_best(ax: Any, best: int, lines: Sequence[Line]) -> None:
    """A line at the best epoch; above the axes its number, and its value where a dot marks it."""
    ax.axvline(best, color=PALE, lw=0.8, ls=(0, (2, 2)), zorder=0)
    marked = [ln for ln in lines if ln.mark is not None]
    values = [y for line in marked for x, y in zip(line.x, line.y, strict=True) if x == best]
    value = f": {values[0]:.4f}" if len(values) == 1 else ""
    low, high = ax.get_xlim()
    side = "left" if best < (low + high) / 2 else "right"
    ax.text(best, 1.01, f"best, epoch {best}{value}", transform=ax.get_xaxis_transform(),
            ha=side, va="bottom", size=8, color=INK)  # fmt: skip


def _name_ends(ax: Any, lines: Sequence[Line]) -> None:
    """Names at the right, moved apart where lines end close together."""
    low, high = ax.get_ylim()
    ends = [(line.y[-1] - low) / (high - low) for line in lines]
    for line, end, y in zip(lines, ends, _apart(ends, 0.075), strict=True):
        colour = COLOURS[line.colour % MAX_LINES]
        ax.plot([1.0, 1.04], [end, y], transform=ax.transAxes, color=colour, lw=0.8, clip_on=False)
        ax.text(1.05, y, line.label, transform=ax.transAxes, va="center", size=8, color=colour,
                parse_math=False)  # fmt: skip


def _apart(at: Sequence[float], gap: float) -> list[float]:
    """Places near ``at``, in the same order, at least ``gap`` apart and if they can be below 1."""
    order = sorted(range(len(at)), key=lambda k: at[k])
    places = [at[k] for k in order]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    places[-1] = min(places[-1], 1.0)
    for i in range(len(places) - 2, -1, -1):
        places[i] = min(places[i], places[i + 1] - gap)
    back = dict(zip(order, places, strict=True))
    return [back[k] for k in range(len(at))]


def _name_below(figure: Any, lines: Sequence[Line]) -> None:
    from matplotlib.lines import Line2D

    drawn = [Line2D([], [], color=COLOURS[ln.colour], ls=ln.style, lw=1.6) for ln in lines]
    legend = figure.legend(drawn, [_wrapped(ln.label) for ln in lines], loc="outside lower left",
                           ncols=_legend_columns(lines), fontsize=8, frameon=False,
                           handlelength=2.4, borderaxespad=0.2)  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _wrapped(label: str) -> str:
    # Matplotlib leaves out what begins with an underscore.
    return "\n".join(textwrap.wrap(label, 48)).replace("_", " _", label.startswith("_"))


def _legend_columns(lines: Sequence[Line]) -> int:
    return 2 if max(len(line.label) for line in lines) <= 26 else 1


def _legend_rows(lines: Sequence[Line]) -> int:
    if len(lines) < 2:
        return 0
    return sum(_wrapped(ln.label).count("\n") + 1 for ln in lines) // _legend_columns(lines) + 1


def _in_words(title: str, lines: Sequence[Line], axes: Axes, best: int | None) -> str:
    """What a person who does not see the picture is told."""
    told = [
        f"{line.label}: {line.y[0]:.4g} at {line.x[0]:g}, {line.y[-1]:.4g} at {line.x[-1]:g}"
        for line in lines
        if len(line.x)
    ]
    marked = f" Best epoch: {best}." if best is not None else ""
    return f"{title}. {axes.y} over {axes.x}. {'; '.join(told)}.{marked}"


def _png(figure: Any) -> bytes:
    """The figure in 128 colours, which is all it has and a third of the bytes."""
    from PIL import Image

    with warnings.catch_warnings():
        # A letter the font lacks is a box in the picture; the page and the alt text have it.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.canvas.draw()
    image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    file = BytesIO()
    image.quantize(128, dither=Image.Dither.NONE).save(file, "png", dpi=(DPI, DPI), optimize=True)
    return file.getvalue()
