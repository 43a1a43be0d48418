"""Runs that an earlier page of a table tells of, taken over without training them again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dglmeta.errors import DataError
from dglmeta.reproduce.runs import Run, stand
from dglmeta.train import RunFolder

__all__ = ["take_over"]


def take_over(page: Path, runs: Iterable[Run], root: Path) -> int:
    """Write the folders of runs that a page tells of, as finished; how many these are.

    Only config.toml and result.json, so that a table can be made of them; their models are not
    there. What is in the folder already stays, and so does the commit that a run was made with.

    Parameters
    ----------
    page : path
        ``<table>.json``, as an earlier call wrote it, of any table.
    runs : iterable of Run
        Those that may be taken over, if settings and seeds are the same.
    root : path
        Folder of all runs.

    Raises
    ------
    DataError
        If the page cannot be read, or has another form.
    """
    told = _runs_of(page)
    n = 0
    for run in runs:
        folder = root / run.path
        facts = told.get(run.path.as_posix())
        if facts is None or folder.exists():
            continue
        files = RunFolder(folder)
        files.begin(run.what, facts["config"], resume=False)
        files.write_result(facts)
        if stand(run, folder).state == "finished":
            n += 1
            continue
        for name in ("config.toml", "result.json"):
            (folder / name).unlink()
        folder.rmdir()
    return n


def _runs_of(page: Path) -> dict[str, Mapping[str, Any]]:
    """By folder, what result.json of a finished run is made of."""
    try:
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        return {
            str(run["folder"]).removeprefix("runs/"): {**run, "config": cell["config"]}
            for cell in cells
            for run in cell["runs"]
            if "failed" not in run and run["metrics"]
        }
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"reproduce: expected a page's JSON in {page}, got {error}. Name another file."
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"reproduce: expected the JSON that reproduce writes in {page}, got "
            f"{type(error).__name__}: {error}. Name the file beside the page."
        ) from error
