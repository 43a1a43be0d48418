"""What runs of Meta-Graph tell of adaptation to new graphs, and of what signatures read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError
from dglmeta.report.draw import Axes, Line, Picture, picture
from dglmeta.report.plots import group_lines, parts_of

__all__ = [
    "Adaptation",
    "SignatureTable",
    "plot_adaptation",
    "plot_adaptations",
    "read_adaptation",
    "signature_table",
]

Array = npt.NDArray[np.float64]

STEPS = "step"


class Adaptation(NamedTuple):
    """Areas under the ROC curve on the way of adaptation."""

    graphs: list[str]
    steps: list[int]
    valid: Array
    """(n_steps, n_graphs)."""
    test: Array
    """(n_steps, n_graphs)."""
    chosen: list[int]
    """Step at which each graph is judged."""


class SignatureTable(NamedTuple):
    """How alike graphs are by their signatures, against how alike they are by a statistic."""

    n_pairs: int
    rows: list[tuple[str, float | None]]
    """Statistic, and Pearson's correlation; None where one side is the same for all pairs."""


def read_adaptation(result: Mapping[str, Any] | None) -> Adaptation | None:
    """What result.json tells under ``adaptation``; None if it tells nothing.

    Raises
    ------
    DataError
        If it has another form.
    """
    told = (result or {}).get("adaptation")
    if not told:
        return None
    try:
        found = Adaptation(
            [str(name) for name in told["graphs"]],
            [int(step) for step in told["steps"]],
            np.array(told["valid_auc"], np.float64),
            np.array(told["test_auc"], np.float64),
            [int(step) for step in told["chosen_step"]],
        )
        shape = len(found.steps), len(found.graphs)
        if not (found.valid.shape == found.test.shape == shape and len(found.chosen) == shape[1]):
            raise ValueError(f"not a value for each of {shape[0]} steps and {shape[1]} graphs")
    except (KeyError, TypeError, ValueError) as error:
        raise _misshapen("adaptation", error) from error
    return found


def plot_adaptation(adaptation: Adaptation) -> Picture:
    """Test and validation by step: means over graphs, and each graph's test faintly.

    A dot is where a graph is judged, the step that is best by its validation edges.
    """
    steps, mean = adaptation.steps, adaptation.test.mean(axis=1).tolist()
    several = len(adaptation.graphs) > 1
    each = [
        Line("", steps, values.tolist(), faint=True, mark=chosen)
        for values, chosen in zip(adaptation.test.T, adaptation.chosen, strict=True)
    ]
    valid = adaptation.valid.mean(axis=1).tolist()
    lines = [
        *(each if several else []),
        Line("test", steps, mean, mark=None if several else adaptation.chosen[0]),
        Line("validation", steps, valid, colour=1, style="--"),
    ]
    return picture("adaptation", "AUC while adapting to a new graph", lines, Axes(STEPS, "AUC"))


def plot_adaptations(title: str, groups: Mapping[str, Sequence[Adaptation]]) -> list[Picture]:
    """Test AUC by step, a colour for each group of runs (the paper's Figure 2).

    A run is the mean over its test graphs. Of several a group has the mean over the steps that all
    of them took, and the runs faintly.

    Parameters
    ----------
    title : str
    groups : dict of name to sequence of Adaptation
    """
    lines = {
        name: group_lines(name, [(a.steps, a.test.mean(axis=1).tolist(), None) for a in runs])
        for name, runs in groups.items()
        if runs
    }
    pictures = []
    for part, names in enumerate(parts_of(list(lines))):
        drawn = [replace(line, colour=i) for i, n in enumerate(names) for line in lines[n]]
        heading = f"Test AUC while adapting to a new graph, {title}"
        pictures.append(picture(f"adaptation-{part}", heading, drawn, Axes(STEPS, "AUC")))
    return pictures


def signature_table(result: Mapping[str, Any] | None) -> SignatureTable | None:
    """What the signatures of graphs tell of them (the paper's Table 4); None without signatures.

    Over all pairs of graphs, the correlation of the cosine of their signatures with the negative
    absolute difference of a statistic: 1 where graphs alike in the one are alike in the other.

    Raises
    ------
    DataError
        If result.json has another form under ``signatures``.

    Examples
    --------
    >>> result = {"signatures": {"graphs": ["a", "b", "c"], "vectors": [[1, 0], [1, 0.1], [0, 1]],
    ...           "statistics": {"nodes": [10, 11, 30], "known edges": [5, 5, 5]}}}
    >>> table = signature_table(result)
    >>> table.n_pairs, [(name, r and round(r, 2)) for name, r in table.rows]
    (3, [('nodes', 1.0), ('known edges', None)])
    """
    told = (result or {}).get("signatures")
    if not told:
        return None
    try:
        vectors = np.array(told["vectors"], np.float64)
        statistics = {str(k): np.array(v, np.float64) for k, v in told["statistics"].items()}
        n = len(told["graphs"])
        if vectors.ndim != 2 or any(len(v) != n for v in (vectors, *statistics.values())):
            raise ValueError(f"not a vector and a number of each statistic for each of {n} graphs")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _misshapen("signatures", error) from error
    pairs = np.triu_indices(n, k=1)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(length > 0, length, 1)
    cosine = (unit @ unit.T)[pairs]
    rows = [
        (name, _correlation(cosine, -np.abs(values[pairs[0]] - values[pairs[1]])))
        for name, values in statistics.items()
    ]
    return SignatureTable(len(cosine), rows)


def _correlation(x: Array, y: Array) -> float | None:
    """Pearson's; None if either hardly varies, or of fewer than two."""
    if len(x) < 2:
        return None
    x, y = x - x.mean(), y - y.mean()
    size = [float(np.linalg.norm(v)) for v in (x, y)]
    if not (np.isfinite(size).all() and min(size) > 1e-12):
        return None
    return float(x @ y / (size[0] * size[1]))


def _misshapen(what: str, error: Exception) -> DataError:
    return DataError(
        f"report: expected {what} in result.json as meta-graph writes it, got {error!r}. "
        f"Train the run again."
    )
