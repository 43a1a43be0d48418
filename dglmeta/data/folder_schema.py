"""``schema.toml``: which table of a folder holds which node or edge type."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dglmeta.data.dataset import Card
from dglmeta.data.formats.tables import read_bytes
from dglmeta.errors import DataError
from dglmeta.graph import EdgeType

__all__ = ["SCHEMA_FILE", "EdgeTable", "FolderSchema", "NodeTable", "read_schema"]

SCHEMA_FILE = "schema.toml"


@dataclass(frozen=True)
class NodeTable:
    """A ``[nodes.TYPE]`` section."""

    file: str | None = None
    id: str = "id"
    count: int | None = None
    features: list[Any] | None = None
    label: str | None = None


@dataclass(frozen=True)
class EdgeTable:
    """An ``[edges.NAME]`` section."""

    file: str
    source: str
    target: str
    src: str = "src"
    dst: str = "dst"
    relation: str | None = None
    features: list[Any] | None = None


@dataclass(frozen=True)
class FolderSchema:
    """The content of ``schema.toml``."""

    path: Path
    nodes: dict[str, NodeTable]
    edges: dict[str, EdgeTable]
    target: str | EdgeType | None
    metapaths: tuple[str, ...]
    card: Card


def read_schema(path: Path) -> FolderSchema:
    """Read and check ``schema.toml``.

    Raises
    ------
    DataError
        If it is missing or no TOML, or a setting is unknown, missing or of the wrong type.
    """
    if not path.is_file():
        raise DataError(f"{path.parent}: expected {SCHEMA_FILE}, got none. Write one.")
    try:
        content = tomllib.loads(read_bytes(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected TOML, got: {error}. Correct it.") from None
    known = {"nodes": dict, "edges": dict, "target": (str, list), "metapaths": list, "card": dict}
    _check_settings(str(path), content, known, required=("nodes", "edges"))
    sections: dict[str, dict[str, Any]] = {}
    for kind, spec in (("nodes", NodeTable), ("edges", EdgeTable)):
        sections[kind] = {
            name: _section(f"{path}, [{kind}.{name}]", spec, given)
            for name, given in content[kind].items()
        }
    _check_labels(path, sections["nodes"])
    target = content.get("target")
    return FolderSchema(
        path,
        sections["nodes"],
        sections["edges"],
        tuple(target) if isinstance(target, list) else target,
        tuple(str(text) for text in content.get("metapaths", ())),
        _section(f"{path}, [card]", Card, content.get("card", {"title": path.parent.name})),
    )


def _check_labels(path: Path, nodes: Mapping[str, NodeTable]) -> None:
    """One type may have labels, in a column that is no feature."""
    labelled = [name for name, spec in nodes.items() if spec.label is not None]
    if len(labelled) > 1:
        raise DataError(
            f"{path}: expected label in one section of nodes, got it in {labelled}. Keep one."
        )
    for name in labelled:
        spec = nodes[name]
        if spec.file is None or spec.label in (spec.id, *(spec.features or ())):
            raise DataError(
                f"{path}, [nodes.{name}]: expected label to name a column of a table that is "
                f"neither id nor feature, got {spec.label!r}. Name another, or leave it out."
            )


def _section(where: str, kind: type[Any], given: Any) -> Any:
    """A section as its dataclass; unknown, missing and mistyped settings are refused."""
    types = {"count": int, "features": list}
    known = {f.name: types.get(f.name, str) for f in fields(kind)}
    if not isinstance(given, dict):
        raise DataError(f"{where}: expected a section, got {given!r}. Write it in brackets.")
    required = ("file", "source", "target") if kind is EdgeTable else ()
    _check_settings(where, given, known, required)
    if kind is NodeTable and ("file" in given) == ("count" in given):
        raise DataError(f"{where}: expected either file or count, got {sorted(given)}. Give one.")
    return kind(**given)


def _check_settings(
    where: str, given: Mapping[str, Any], known: Mapping[str, Any], required: Sequence[str]
) -> None:
    for name in required:
        if name not in given:
            raise DataError(f"{where}: expected {name}, got {sorted(given)}. Add it.")
    for name, value in given.items():
        if name not in known:
            raise DataError(
                f"{where}: expected settings among {list(known)}, got {name!r}. Correct it."
            )
        if not isinstance(value, known[name]) or isinstance(value, bool):
            kinds = known[name] if isinstance(known[name], tuple) else (known[name],)
            names = " or ".join({"dict": "section"}.get(k.__name__, k.__name__) for k in kinds)
            raise DataError(f"{where}: expected {name} as {names}, got {value!r}. Correct it.")
