"""The one place that imports DGL, in a way that works whatever torch is installed."""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from importlib import metadata, util
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from dglmeta.errors import DglmetaError

if TYPE_CHECKING:
    from dgl import DGLGraph as DGLGraph  # rooms that name the type take it from here

__all__ = ["DglImportError", "load_dgl"]

NO_SHIM = "DGLMETA_NO_GRAPHBOLT_SHIM"

logger = logging.getLogger(__name__)


class DglImportError(DglmetaError, ImportError):
    """DGL is not installed, or is and cannot be imported."""


@cache
def load_dgl() -> ModuleType:
    """DGL, imported on the first call.

    From version 2 on DGL imports GraphBolt, whose library is built for one exact torch, and fails
    with every other. dglmeta uses no GraphBolt, so where that would fail a placeholder takes its
    place. Set ``DGLMETA_NO_GRAPHBOLT_SHIM=1`` to turn the placeholder off.

    Returns
    -------
    dgl : module

    Raises
    ------
    DglImportError
        If DGL is absent or fails to import; the message says what to type.
    """
    # Without a backend named, DGL prints a notice and writes a file into the user's home.
    os.environ.setdefault("DGLBACKEND", "pytorch")
    try:
        if "dgl" not in sys.modules and not _switched_off() and _graphbolt_would_fail():
            _put_placeholder()
        import dgl
    except (ImportError, OSError) as error:
        raise DglImportError(
            f"dgl: expected DGL to import, got {type(error).__name__}: {error}. {_remedy(error)}"
        ) from error
    return cast("ModuleType", dgl)


class _Placeholder(ModuleType):
    """Stands for ``dgl.graphbolt``, and says so to whoever asks it for anything."""

    def __getattr__(self, name: str) -> object:
        raise AttributeError(
            f"dgl.graphbolt.{name}: GraphBolt cannot load with the installed torch, so dglmeta "
            f"imported DGL without it. Set {NO_SHIM}=1 to see DGL's own error."
        )


def _switched_off() -> bool:
    return os.environ.get(NO_SHIM, "0") not in ("", "0")


def _graphbolt_would_fail() -> bool:
    """Whether the installed DGL carries a GraphBolt that cannot load, told without importing it."""
    dgl = _folder("dgl")
    if dgl is None or not (dgl / "graphbolt").is_dir():
        return False
    torch = metadata.version("torch").partition("+")[0]
    if not any((dgl / "graphbolt").glob(f"*graphbolt_pytorch_{torch}.*")):
        return True
    # GraphBolt also builds on this package, which later releases of torchdata dropped.
    torchdata = _folder("torchdata")
    return torchdata is None or not (torchdata / "datapipes").is_dir()


def _put_placeholder() -> None:
    sys.modules.setdefault("dgl.graphbolt", _Placeholder("dgl.graphbolt"))
    logger.info(
        "DGL's GraphBolt cannot load with torch %s; importing DGL without it (%s=1 to stop this).",
        metadata.version("torch"),
        NO_SHIM,
    )


def _folder(package: str) -> Path | None:
    """Where an installed package lies, without importing it; None when it is absent."""
    spec = util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _remedy(error: Exception) -> str:
    if _switched_off():
        return f"Unset {NO_SHIM}."
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"Type: pip install {error.name.partition('.')[0]}"
    return "Type: pip install --force-reinstall dgl"
