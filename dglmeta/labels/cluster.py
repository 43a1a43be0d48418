"""A Dask cluster as an executor, for :func:`dglmeta.labels.generate`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from dglmeta.errors import ConfigError, LabelStoreError

__all__ = ["connect"]


@contextmanager
def connect(address: str, timeout_s: float = 10.0) -> Iterator[Executor]:
    """An executor on the Dask cluster whose scheduler is at an address, for a ``with`` block.

    Dask gives the task of a worker that died to another one.

    Parameters
    ----------
    address : str
        Such as ``tcp://host:8786``.
    timeout_s : float
        Seconds to wait for the scheduler.

    Raises
    ------
    ConfigError
        If Dask is not installed or there is no scheduler.
    LabelStoreError
        On leaving the block, if the same task killed several workers.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise ConfigError(
            "labels: expected Dask for a scheduler, got an installation without it. "
            "Type: pip install 'dglmeta[dist]'"
        ) from None
    try:
        client = distributed.Client(address, timeout=timeout_s)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"labels: expected a Dask scheduler at {address}, got {error}. Start one with `dask "
            f"scheduler`, and workers with `dask worker`."
        ) from error
    with client:
        try:
            # Not pure: a block that is asked for again is to be made again.
            yield client.get_executor(pure=False)
        except distributed.KilledWorker as error:
            raise LabelStoreError(
                f"labels: expected workers to live, got {error}. Give them more memory, then go "
                f"on with resume=True (--resume)."
            ) from error
