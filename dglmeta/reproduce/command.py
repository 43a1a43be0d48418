"""Reproducing a table: run what is missing, resume what was begun, write what came of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dglmeta.data import Dataset, GraphDataset, load_dataset
from dglmeta.errors import ConfigError, DataError
from dglmeta.reproduce import TABLES
from dglmeta.reproduce.known import take_over
from dglmeta.reproduce.pool import execute
from dglmeta.reproduce.render import TableReport, describe_table
from dglmeta.reproduce.runs import Finished, Run, Runner, Trainer, read_finished, stand
from dglmeta.reproduce.table import Measured, PaperTable

__all__ = ["find_table", "reproduce"]

QUICK = "quick"
"""Folder of smoke runs, away from those that count."""

Say = Callable[[str], None]


def reproduce(
    table: str | PaperTable,
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    seeds: int | None = None,
    quick: bool = False,
    out: Path = Path("reproduce"),
    data_dir: Path | None = None,
    device: str = "cpu",
    jobs: int = 1,
    known: Path | None = None,
    say: Say = lambda _line: None,
    load: Callable[..., Dataset | GraphDataset] = load_dataset,
    runner: Runner | None = None,
) -> TableReport:
    """Ours beside what a paper printed.

    A run that finished with the same settings is not run again, and one that was interrupted goes
    on. All tables share the runs in ``out/runs``. Writes ``out/<table>.json`` and
    ``out/<table>.md``, which keep the rows that an earlier call completed with these seeds.

    Parameters
    ----------
    table : str
        One of ``dglmeta.reproduce.TABLES``; or a table.
    rows : sequence of str, optional
        Such as ``lastfm/gcn``; all when None.
    columns : sequence of str, optional
        What to train in each row, such as ``vanilla``; all when None. Others are shown where they
        were finished before.
    seeds : int, optional
        Runs of each kind, >= 1; what the table asks for when None, and 1 if ``quick``. Where a
        row's seeds are splits, so many of these.
    quick : bool
        A smoke run of very few epochs, in ``out/quick``.
    out : path
    data_dir : path, optional
        Folder of the data sets.
    device : {"cpu", "cuda"}
    jobs : int
        Processes, each of one thread; 1 trains in this process.
    known : path, optional
        ``<table>.json`` of an earlier call, perhaps on another machine: its runs with the same
        settings are taken over, and not trained again.
    say : callable
        Told what is done, a line at a time.
    load : callable
        ``load(name, root=data_dir)`` -> Dataset or GraphDataset.
    runner : Runner, optional
        What trains a run.

    Returns
    -------
    report : TableReport
        Its ``failures`` are empty if all went well.

    Raises
    ------
    ConfigError
        If the table, a row, a column or a setting does not exist.
    DataError
        If ``known`` cannot be read.
    """
    if isinstance(table, str):
        table = find_table(table)
    for name, value in (("seeds", seeds), ("jobs", jobs)):
        if value is not None and value < 1:
            raise ConfigError(f"reproduce: expected {name} of at least 1, got {value}.")
    chosen, trained = table.check_rows(rows), table.check_columns(columns)
    out = Path(out) / QUICK if quick else Path(out)
    n_seeds = {row: seeds or (1 if quick else table.rows[row].seeds) for row in table.rows}
    places = {
        (row, column): table.runs(row, column, n_seeds[row], quick=quick)
        for row in table.rows
        for column in table.columns
    }
    root = out / "runs"
    runner = runner or Trainer(data_dir, device, load)
    if known is not None:
        every = [run for runs in places.values() for run in runs]
        say(f"{table.name}: {take_over(known, every, root)} runs taken over from {known}")
    wanted = {(r, c): runs for (r, c), runs in places.items() if r in chosen and c in trained}
    failed = _run_missing(table, wanted, root, runner, jobs, say)
    shown = _shown(places, wanted, trained, root)
    measured = Measured(table, shown, _outcomes(shown, root, failed))
    command = _command(table.name, rows, columns, seeds, quick)
    report = describe_table(measured, command=command, quick=quick)
    report.write(out)
    say(f"wrote {out / table.name}.md and .json")
    return report


def find_table(name: str) -> PaperTable:
    """A table by its name.

    Raises
    ------
    ConfigError
        If there is none; the message lists those there are.
    """
    if name not in TABLES:
        raise ConfigError(f"reproduce: expected a table among {', '.join(TABLES)}, got {name!r}.")
    module = importlib.import_module(f"dglmeta.reproduce.{name.replace('-', '_')}")
    table: PaperTable = module.TABLE
    return table


def _run_missing(
    table: PaperTable,
    places: Mapping[tuple[str, str], Sequence[Run]],
    root: Path,
    runner: Runner,
    jobs: int,
    say: Say,
) -> dict[Path, str]:
    """Train what is not finished; returns why runs failed."""
    labels: dict[Run, str] = {}
    for (row, column), runs in places.items():
        for run in runs:
            labels.setdefault(run, f"{row} {column}, seed {run.seed}")
    every = list(labels)
    standings = {run: stand(run, root / run.path) for run in every}
    todo = [run for run in every if standings[run].state != "finished"]
    resumed = [run for run in todo if standings[run].state == "begun"]
    say(
        f"{table.name}: {len(every)} runs, {len(every) - len(todo)} finished before, "
        f"{len(resumed)} to resume, {len(todo) - len(resumed)} to begin"
    )
    for run in todo:
        if standings[run].state == "changed":
            say(f"{labels[run]}: run anew, {standings[run].why}")
    failed: dict[Path, str] = {}
    left = len(todo)

    def done(run: Run, error: BaseException | None) -> None:
        nonlocal left
        left -= 1
        if error is None:
            try:
                text = _headline(table, read_finished(root / run.path))
            except DataError as damage:
                error = damage
        if error is not None:
            failed[run.path] = _line(error)
            text = f"failed: {failed[run.path]}"
        say(f"{labels[run]}: {text}; {left} left")

    try:
        execute([(run, run in resumed) for run in todo], root, runner, jobs=jobs, done=done)
    except KeyboardInterrupt:
        say(f"{table.name}: interrupted with {left} runs left.")
        raise
    return failed


def _headline(table: PaperTable, done: Finished) -> str:
    """The outcome of a run in a few words."""
    value = done.metrics.get(f"test_{table.metric}")
    known = "finished" if value is None else f"test {table.metric} {value:.4f}"
    seconds = done.record.get("seconds_total")
    return known if seconds is None else f"{known}, {seconds:.0f} s"


def _line(error: BaseException) -> str:
    """An error in one line, with its kind if it is not one of ours."""
    text = " ".join(str(error).split())
    if isinstance(error, ConfigError | DataError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _shown(
    places: Mapping[tuple[str, str], list[Run]],
    wanted: Mapping[tuple[str, str], list[Run]],
    trained: Sequence[str],
    root: Path,
) -> dict[tuple[str, str], list[Run]]:
    """What was asked for, and what is complete from before in a row that has all of it."""

    def complete(place: tuple[str, str]) -> bool:
        return all(stand(run, root / run.path).state == "finished" for run in places[place])

    known = {place for place in places if place in wanted or complete(place)}
    rows = {row for row, _ in places if all((row, column) in known for column in trained)}
    return {place: runs for place, runs in places.items() if place in known and place[0] in rows}


def _outcomes(
    places: Mapping[tuple[str, str], Sequence[Run]], root: Path, failed: Mapping[Path, str]
) -> dict[Path, Finished | str]:
    paths = dict.fromkeys(run.path for runs in places.values() for run in runs)
    return {path: failed.get(path) or read_finished(root / path) for path in paths}


def _command(
    name: str,
    rows: Sequence[str] | None,
    columns: Sequence[str] | None,
    seeds: int | None,
    quick: bool,
) -> str:
    """What to type for the same table."""
    words = ["dglmeta reproduce", name]
    words += [f"--rows {','.join(rows)}"] if rows else []
    words += [f"--columns {','.join(columns)}"] if columns else []
    words += [f"--seeds {seeds}"] if seeds else []
    return " ".join(words + (["--quick"] if quick else []))
