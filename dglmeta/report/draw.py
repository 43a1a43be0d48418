"""Drawing lines as a picture small enough to be read on a phone.

Drawn by Matplotlib through its object interface: nothing is opened, and no setting is changed.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

__all__ = ["MAX_LINES", "Axes", "Line", "Picture", "picture", "scatter_picture", "value_range"]

# Okabe and Ito's colours, told apart by any eye; their yellow is too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#B0527F", "#C77F00", "#3A9BD0", "#444444", "#882255")
MAX_LINES = len(COLOURS)
DPI = 220
INK, PALE = "#222222", "#888888"
COUNTED = ("epoch", "step")  # axes of whole numbers, beside whose lines there is room for names
FORMULA = 13  # points
MAX_DIRECT = 16  # characters of a name that still fits beside its line


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


def picture(
    name: str,
    title: str,
    lines: Sequence[Line],
    axes: Axes,
    *,
    best: int | None = None,
    formula: str = "",
) -> Picture:
    """Draw lines, named beside their ends where the names fit, else below the axes.

    A formula in LaTeX stands in the place of the title, where Matplotlib can read it; words tell
    the title.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    named = [line for line in lines if line.label]
    direct = axes.x in COUNTED and all(len(line.label) <= MAX_DIRECT for line in named)
    heading = textwrap.wrap(title, 50)
    below = 0.0 if direct else 0.17 * _legend_rows(named)
    figure = Figure((3.8, 2.5 + 0.16 * len(heading) + below), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    head = figure.suptitle(
        "\n".join(heading), x=0.02, ha="left", size=10, color=INK, parse_math=False
    )
    if formula:
        _set_formula(figure, head, formula)
    ax = figure.add_subplot()
    for line in lines:
        _draw_line(ax, line)
    ax.set_ylim(axes.y_range or value_range([y for line in lines for y in line.y]))
    ax.margins(x=0.02)
    ax.set_xlabel(axes.x, size=9, color=INK)
    ax.set_ylabel(axes.y, size=9, color=INK)
    ax.tick_params(labelsize=8, color=PALE, labelcolor=INK)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#E4E4E4", linewidth=0.6)
    ax.set_axisbelow(True)
    if axes.x in COUNTED:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    if best is not None:
        _mark_best(ax, best, lines)
    if direct and len(named) > 1:
        _name_ends(ax, named)
    elif len(named) > 1:
        _name_below(figure, named)
    return Picture(name, _in_words(title, named, axes, best), _png(figure))


def _set_formula(figure: Any, head: Any, formula: str) -> None:
    """Put a formula in the place of a title, small enough for the width; or leave the title."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    text, font = f"${formula}$", FontProperties(size=FORMULA)
    try:
        width = MathTextParser("path").parse(text, dpi=72, prop=font).width
    except ValueError:
        return
    room = 0.92 * 72 * figure.get_figwidth()
    head.set(text=text, parse_math=True, size=FORMULA * min(1.0, room / width))


def scatter_picture(name: str, title: str, points: Any, label: Any) -> Picture:
    """Draw points (n, 2) in the colours of their classes, which are told below; no axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((3.8, 4.0), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.02, ha="left", size=10, color=INK, parse_math=False)
    ax = figure.add_subplot()
    classes = np.unique(label)
    for k in classes:
        here = points[label == k]
        ax.scatter(*here.T, s=4, lw=0, color=COLOURS[k % MAX_LINES], label=f"class {k}")
    ax.set_axis_off()
    figure.legend(loc="outside lower left", ncols=4, fontsize=8, frameon=False, markerscale=3)
    alt = f"{title}: {len(points)} points of {len(classes)} classes."
    return Picture(name, alt, _png(figure))


def value_range(values: Sequence[float]) -> tuple[float, float]:
    """Limits with a margin, and far enough apart that rounding does not look like a change."""
    finite = [v for v in values if np.isfinite(v)] or [0.0]
    low, high = min(finite), max(finite)
    margin = max(0.06 * (high - low), 0.02 * abs(high), 1e-6)
    return low - margin, high + margin


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
