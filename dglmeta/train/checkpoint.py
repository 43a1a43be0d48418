"""Checkpoints that are whole or absent, and that never run code when read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from dglmeta.errors import DataError

__all__ = ["load_checkpoint", "save_checkpoint"]

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write nested dicts and lists of tensors, numbers and text; atomic.

    Raises
    ------
    OSError
        If the folder cannot be written; the previous checkpoint is then untouched.
    """
    part = path.with_suffix(".part")
    with part.open("wb") as file:  # given a path instead, torch hides why writing failed
        torch.save({"format": FORMAT, **state}, file)
    os.replace(part, path)  # noqa: PTH105 - the same call on every platform, and atomic


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of a newer format.
    """
    if not path.is_file():
        raise DataError(f"load_checkpoint: expected a checkpoint at {path}, got none. Train first.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        version = int(state["format"])
    except Exception as error:  # torch raises many kinds for a damaged file
        raise DataError(
            f"load_checkpoint: expected a checkpoint, got a damaged file {path} "
            f"({type(error).__name__}). Delete it and train again, or restore a copy."
        ) from error
    if version > FORMAT:
        raise DataError(
            f"load_checkpoint: expected format {FORMAT} or older, got {version} in {path}. "
            f"Upgrade dglmeta."
        )
    return dict(state)
