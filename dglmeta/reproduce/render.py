"""A reproduced table as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dglmeta.reproduce.runs import Finished, Run
from dglmeta.reproduce.table import (
    Entry,
    Grid,
    Measured,
    Verdict,
    digest,
    mean,
    spread,
    standard_error,
)

__all__ = ["TableReport", "describe_table"]

SMOKE = (
    "**SMOKE RUN: a few epochs, to see that everything runs. Its figures say nothing about the "
    "method.**"
)
KEPT = ("protocol", "loss", "found")
"""What systems tell of a run, and other runs or a page of the table read."""
WORDS = {True: "yes", False: "no", None: "undecided"}


@dataclass(frozen=True)
class TableReport:
    """A reproduced table; ``str`` gives it as Markdown.

    Parameters
    ----------
    name : str
    markdown : str
    facts : dict
        The same, ready for JSON.
    failures : tuple of str
        A line for each run that failed.
    """

    name: str
    markdown: str
    facts: dict[str, Any]
    failures: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.markdown

    def write(self, folder: Path) -> None:
        """Write ``<name>.json`` and ``<name>.md``, each whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        texts = {".json": json.dumps(self.facts, indent=2) + "\n", ".md": self.markdown + "\n"}
        for suffix, text in texts.items():
            part = folder / f"{self.name}{suffix}.part"
            part.write_text(text, encoding="utf-8")
            part.replace(folder / f"{self.name}{suffix}")


def describe_table(measured: Measured, *, command: str, quick: bool) -> TableReport:
    """Figures, verdicts and where they come from.

    Parameters
    ----------
    measured : Measured
        With an outcome of every run.
    command : str
        What gives this table again.
    quick : bool
        Whether it is a smoke run, and to be marked as one.
    """
    table = measured.table
    grids, verdicts = table.grids(measured), table.judge(measured)
    notes = [*table.notes, *_general_notes(measured)]
    failures = tuple(
        f"{row} {column}, seed {run.seed}: {outcome}"
        for (row, column), runs in measured.runs.items()
        for run in runs
        if isinstance(outcome := measured.outcomes[run.path], str)
    )
    parts = [f"# {table.title}", *([SMOKE] if quick else []), f"`{command}`"]
    parts += [_grid_text(grid) for grid in grids]
    if verdicts:
        parts += ["## Verdicts", _verdict_text(verdicts), _bullets(_summary(verdicts))]
    if failures:
        parts += ["## Failed", _bullets(failures)]
    parts += ["## Notes", _bullets(notes)]
    facts = {
        "table": table.name,
        "title": table.title,
        "quick": quick,
        "command": command,
        "cells": [_cell(measured, *place) for place, runs in measured.runs.items() if runs],
        "grids": [_grid_facts(grid) for grid in grids],
        "verdicts": [verdict._asdict() for verdict in verdicts],
        "summary": _summary(verdicts),
        "failures": list(failures),
        "notes": notes,
    }
    return TableReport(table.name, "\n\n".join(parts), facts, failures)


def _general_notes(measured: Measured) -> list[str]:
    """What holds for every table."""
    notes = [
        "A place reads: mean of our seeds ± their sample standard deviation / *printed value*; "
        "- where there is none.",
        *_split_notes(measured),
    ]
    runs = {run.path: run for group in measured.runs.values() for run in group}
    for name in ("protocol", "device"):
        found = _distinct(_setting(runs[p], done, name) for p, done in measured.outcomes.items())
        notes += [f"{name.capitalize()}: {', '.join(found)}."] if found else []
    seeds: dict[int, list[str]] = {}
    for row in measured.rows:
        n = max(len(group) for (name, _), group in measured.runs.items() if name == row)
        seeds.setdefault(n, []).append(row)
    notes += [f"Seeds: {n} for {', '.join(rows)}." for n, rows in sorted(seeds.items())]
    records = [o.record for o in measured.outcomes.values() if not isinstance(o, str)]
    commits = _distinct(record.get("commit") for record in records)
    notes += [f"Source commit: {', '.join(commits)}."] if commits else []
    versions = _distinct(
        ", ".join(f"{k} {v}" for k, v in record.get("versions", {}).items()) for record in records
    )
    return notes + [f"Versions: {text}." for text in versions]


def _split_notes(measured: Measured) -> list[str]:
    """How the data were split in our runs."""
    late = "the epoch is chosen by validation, test is looked at once."
    splits = {measured.table.rows[row].splits for row in measured.rows}
    notes = [f"Ours: split seed 0; {late}"] if False in splits else []
    each = "every seed has a split of its own, that of its number"
    return notes + ([f"Ours: {each}; {late}"] if True in splits else [])


def _setting(run: Run, outcome: Finished | str, name: str) -> str | None:
    if isinstance(outcome, str):
        return None
    return getattr(run.config, name, outcome.record.get(name))


def _distinct(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _grid_text(grid: Grid) -> str:
    lines = [[name, *(_entry_text(e, grid) for e in entries)] for name, entries in grid.rows]
    return f"## {grid.title}\n\n" + _columns([list(grid.header), *lines])


def _entry_text(entry: Entry, grid: Grid) -> str:
    """``mean ± spread / *printed*``."""
    ours = _ours_text(entry.ours, grid)
    if entry.note:
        ours = f"{ours}; {entry.note}" if entry.ours else entry.note
    return f"{ours} / " + ("-" if entry.printed is None else f"*{entry.printed:.{grid.digits}f}*")


def _ours_text(values: Sequence[float], grid: Grid) -> str:
    if not values:
        return "-"
    around = (standard_error if grid.error else spread)(values)
    text = f"{mean(values):.{grid.digits}f}"
    return text if around is None else f"{text} ± {around:.{grid.digits}f}"


def _columns(lines: list[list[str]]) -> str:
    """A Markdown table, aligned for those who read it as text."""
    lines = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    ruled = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in ruled
    )


def _verdict_text(verdicts: Sequence[Verdict]) -> str:
    lines = [["row", "claim", "ours", "bound", "holds"]]
    for v in verdicts:
        numbers = ["-" if x is None else f"{x:.4f}" for x in (v.ours, v.bound)]
        lines.append([v.row, v.claim, *numbers, WORDS[v.holds]])
    return _columns(lines)


def _summary(verdicts: Sequence[Verdict]) -> list[str]:
    """In how many rows each claim holds."""
    lines = []
    for claim in dict.fromkeys(v.claim for v in verdicts):
        about = [v.holds for v in verdicts if v.claim == claim]
        undecided = f", {about.count(None)} undecided" if None in about else ""
        lines.append(f"{claim}: {about.count(True)} of {len(about)}{undecided}")
    return lines


def _grid_facts(grid: Grid) -> dict[str, Any]:
    return {
        "title": grid.title,
        "columns": list(grid.header[1:]),
        "rows": [
            {"row": name, "entries": [_entry_facts(entry) for entry in entries]}
            for name, entries in grid.rows
        ],
    }


def _entry_facts(entry: Entry) -> dict[str, Any]:
    return {
        "mean": mean(entry.ours) if entry.ours else None,
        "spread": spread(entry.ours),
        "standard_error": standard_error(entry.ours),
        "values": list(entry.ours),
        "printed": entry.printed,
        "note": entry.note,
    }


def _cell(measured: Measured, row: str, column: str) -> dict[str, Any]:
    """The runs of a row and column."""
    runs = measured.runs[row, column]
    return {
        "row": row,
        "column": column,
        "data": runs[0].data,
        "config": runs[0].settings,
        "config_hash": digest(runs[0].settings),
        "runs": [_run_facts(run, measured.outcomes[run.path]) for run in runs],
    }


def _run_facts(run: Run, outcome: Finished | str) -> dict[str, Any]:
    facts: dict[str, Any] = {"seed": run.seed, "split_seed": run.split_seed}
    facts["folder"] = f"runs/{run.path.as_posix()}"
    if isinstance(outcome, str):
        return {**facts, "failed": outcome}
    kept = ("best_epoch", "epochs", "seconds_total", "device", "commit", "versions")
    record = {name: outcome.record.get(name) for name in kept}
    told = {name: outcome.record[name] for name in KEPT if name in outcome.record}
    return {**facts, "metrics": outcome.metrics, **record, **told}
