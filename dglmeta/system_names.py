"""Systems by the names the command line knows them by, and a user's own by where they are."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import dglmeta
from dglmeta.errors import ConfigError

__all__ = ["SYSTEMS", "class_of_run", "system_class"]

SYSTEMS = {
    "selar": "SELAR",
    "meta-graph": "MetaGraph",
    "same": "SAME",
    "hgcvae": "HGCVAE",
    "autolinc": "AutoLINC",
}
"""Class in dglmeta.systems by name on the command line."""


@cache
def system_class(name: str) -> Any:
    """A system's class.

    Parameters
    ----------
    name : str
        A name of :data:`SYSTEMS`; or ``FILE.py:CLASS`` or ``MODULE:CLASS`` for a subclass of
        :class:`dglmeta.systems.System` that lies elsewhere. Its code is run.

    Raises
    ------
    ConfigError
        If there is none, or it has the name of one of ours.
    """
    if name in SYSTEMS:
        return getattr(dglmeta.systems, SYSTEMS[name])
    where, _, kind_name = name.rpartition(":")
    if not where:
        raise ConfigError(
            f"expected a system among {', '.join(SYSTEMS)}, or FILE.py:CLASS for your own, got "
            f"{name!r}."
        )
    kind = getattr(_module(where), kind_name, None)
    if not (isinstance(kind, type) and issubclass(kind, dglmeta.systems.System)):
        raise ConfigError(
            f"expected a subclass of dglmeta.systems.System called {kind_name!r} in {where}, got "
            f"{kind!r}. Name one that is there."
        )
    if kind.name in SYSTEMS:
        raise ConfigError(
            f"{name}: expected a system with a name of its own, got {kind.name!r}. Choose another."
        )
    return kind


def class_of_run(name: str, place: str | None) -> Any:
    """The class that a run was trained with.

    What a folder says is never imported: a system of the user's own has to be named once more.

    Parameters
    ----------
    name : str
        The system's, in the run's settings.
    place : str, optional
        As for :func:`system_class`.

    Raises
    ------
    ConfigError
        If the run is of a system that has to be named, or of another than is.
    """
    if place is None and name not in SYSTEMS:
        raise ConfigError(
            f"expected a run of {', '.join(SYSTEMS)}, got one of {name!r}. If that is your own, "
            f"say where its class is: --system FILE.py:CLASS"
        )
    kind = system_class(place or name)
    if kind.name != name:
        raise ConfigError(
            f"expected a run of {kind.name!r}, got one of {name!r}. Name the class that trained it."
        )
    return kind


def _module(where: str) -> ModuleType:
    """What lies in a file, or is installed under a name."""
    if not where.endswith(".py"):
        try:
            return import_module(where)
        except ModuleNotFoundError as error:
            if error.name != where.partition(".")[0]:
                raise  # it is there, and lacks something
            raise ConfigError(
                f"expected an installed module {where!r}, got none. Give FILE.py:CLASS for a file."
            ) from error
    path = Path(where).resolve()
    if not path.is_file():
        raise ConfigError(f"expected a Python file at {path}, got none. Give its path.")
    name = f"dglmeta_own_{path.stem}"
    spec = spec_from_file_location(name, path)
    module = module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module
