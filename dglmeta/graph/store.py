"""A graph as a folder: numbered ``.npy`` files that can be memory-mapped, and a manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from dglmeta.errors import DataError
from dglmeta.graph.adjacency import Adjacency, Array
from dglmeta.graph.csr import HeteroCSR
from dglmeta.graph.schema import Schema

__all__ = ["open_graph", "save_graph"]

FORMAT, VERSION = "dglmeta-graph", 1
MANIFEST = "graph.json"

# What an array is: adjacency, node_data or edge_data; of which type; and its name there.
Key = tuple[str, Any, str]


def save_graph(hg: HeteroCSR, folder: str | Path) -> None:
    """Write a graph and its features to a folder, at once or not at all.

    The folder holds ``graph.json`` (format version, schema, counts, content hash, and for every
    array its role, size and sha256) and array k as ``000k.npy``. It is built beside its place and
    then renamed; a graph already there is replaced.

    Parameters
    ----------
    hg : HeteroCSR
    folder : path

    Raises
    ------
    DataError
        If the folder holds anything but a saved graph, cannot be written, or a feature's dtype is
        object.
    """
    place = Path(folder).resolve()
    where = f"HeteroCSR.save({str(folder)!r})"
    if place.exists() and not _is_replaceable(place):
        raise DataError(
            f"{where}: expected a new folder or one that holds a saved graph, got something else. "
            f"Choose another name or move it away."
        )
    building = place.with_name(f".{place.name}.{uuid4().hex[:12]}")
    try:
        building.mkdir(parents=True)
        _write(where, hg, building)
        _move_into_place(building, place)
    except OSError as error:
        raise DataError(
            f"{where}: expected a place to write to, got {error}. Choose another or make room."
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def open_graph(folder: str | Path, *, mmap: bool = True, verify: bool = False) -> HeteroCSR:
    """Read a graph that :func:`save_graph` wrote.

    Parameters
    ----------
    folder : path
    mmap : bool
        Map the arrays copy-on-write instead of reading them: pages come when touched, processes
        on one machine share them, and writing to an array never reaches the file.
    verify : bool
        Check every file against its sha256 first, which reads all of them.

    Raises
    ------
    DataError
        If the folder is missing, damaged, or written by a newer dglmeta.
    """
    place, where = Path(folder), f"HeteroCSR.open({str(folder)!r})"
    manifest = _read_manifest(where, place / MANIFEST)
    try:
        arrays = {}
        for k, entry in enumerate(manifest["arrays"]):
            file = place / _file_name(k)
            _check_file(where, file, entry, verify)
            arrays[_key(entry)] = _load(where, file, mmap)
        return _assemble(manifest, arrays)
    except (KeyError, TypeError) as error:
        raise _damaged(where, f"a {MANIFEST} without {error}") from error


def _write(where: str, hg: HeteroCSR, folder: Path) -> None:
    entries = []
    for k, ((role, owner, name), array) in enumerate(_arrays(hg)):
        if array.dtype.hasobject:
            raise DataError(
                f"{where}: expected arrays of numbers or fixed-width text, got objects in "
                f"{role}[{owner!r}][{name!r}]. Convert it or leave it out."
            )
        file = folder / _file_name(k)
        np.save(file, array, allow_pickle=False)
        entries.append(
            {"role": role, "owner": owner, "name": name, "dtype": str(array.dtype)}
            | {"shape": array.shape, "bytes": file.stat().st_size, "sha256": _sha256(file)}
        )
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "content_hash": hg.content_hash,
        "node_types": [{"name": t, "n_nodes": n} for t, n in hg.n_nodes.items()],
        "edge_types": [
            {"triple": e, "n_edges": hg.adjacencies[e].n_edges} for e in hg.schema.edge_types
        ],
        "arrays": entries,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _arrays(hg: HeteroCSR) -> Iterator[tuple[Key, Array]]:
    """Every array of the graph; its place in this order is the number of its file."""
    for triple, adj in hg.adjacencies.items():
        yield ("adjacency", triple, "indptr"), adj.indptr
        yield ("adjacency", triple, "indices"), adj.indices
        if adj.edge_ids is not None:
            yield ("adjacency", triple, "edge_ids"), adj.edge_ids
    for node_type, features in hg.node_data.items():
        for name, x in features.items():
            yield ("node_data", node_type, name), np.asarray(x)
    for triple, features in hg.edge_data.items():
        for name, x in features.items():
            yield ("edge_data", triple, name), np.asarray(x)


def _is_replaceable(place: Path) -> bool:
    """Whether a path is an empty folder or one that holds a saved graph."""
    if not place.is_dir():
        return False
    try:
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        return bool(manifest["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return not any(place.iterdir())


def _move_into_place(building: Path, place: Path) -> None:
    if not place.exists():
        building.rename(place)
        return
    # A folder cannot be renamed onto one that is not empty. If this is interrupted between the two
    # renames, the old graph is still whole, beside its place.
    old = place.with_name(f"{building.name}.old")
    place.rename(old)
    building.rename(place)
    shutil.rmtree(old)


def _read_manifest(where: str, file: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{where}: expected a folder with {file.name}, got {error.strerror}. "
            f"Give a folder that HeteroCSR.save wrote."
        ) from error
    except ValueError as error:
        raise _damaged(where, f"a {file.name} that is no JSON") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(
            f"{where}: expected the {file.name} of a saved graph, got another file of that name. "
            f"Give a folder that HeteroCSR.save wrote."
        )
    if manifest.get("version") != VERSION:
        raise DataError(
            f"{where}: expected format version {VERSION}, got {manifest.get('version')}. "
            f"Upgrade dglmeta, or save the graph again with this one."
        )
    return manifest


def _check_file(where: str, file: Path, entry: dict[str, Any], verify: bool) -> None:
    found = file.stat().st_size if file.is_file() else None
    if found is None:
        raise _damaged(where, f"no {file.name}")
    if found != entry["bytes"]:
        raise _damaged(where, f"{file.name} with {found} bytes instead of {entry['bytes']}")
    if verify and _sha256(file) != entry["sha256"]:
        raise _damaged(where, f"{file.name} with another sha256 than when it was saved")


def _load(where: str, file: Path, mmap: bool) -> Array:
    try:
        # asarray: a plain array, so that kernels compile for one type, mapped or not.
        return np.asarray(np.load(file, mmap_mode="c" if mmap else None, allow_pickle=False))
    except (OSError, ValueError) as error:
        raise _damaged(where, f"{file.name} that does not load ({error})") from error


def _assemble(manifest: dict[str, Any], arrays: dict[Key, Array]) -> HeteroCSR:
    n_nodes = {entry["name"]: entry["n_nodes"] for entry in manifest["node_types"]}
    schema = Schema(tuple(n_nodes), tuple(entry["triple"] for entry in manifest["edge_types"]))
    adjacencies = {
        triple: Adjacency(
            arrays["adjacency", triple, "indptr"],
            arrays["adjacency", triple, "indices"],
            arrays.get(("adjacency", triple, "edge_ids")),
            n_nodes[triple[2]],
        )
        for triple in schema.edge_types
    }
    data: dict[str, dict[Any, dict[str, Array]]] = {"node_data": {}, "edge_data": {}}
    for (role, owner, name), array in arrays.items():
        if role in data:
            data[role].setdefault(owner, {})[name] = array
    hg = HeteroCSR(schema, n_nodes, adjacencies, **data)
    # Hashing would read every page of a mapped graph.
    hg.__dict__["content_hash"] = manifest["content_hash"]
    return hg


def _key(entry: dict[str, Any]) -> Key:
    owner = entry["owner"]
    return entry["role"], tuple(owner) if isinstance(owner, list) else owner, entry["name"]


def _file_name(k: int) -> str:
    return f"{k:04d}.npy"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _damaged(where: str, got: str) -> DataError:
    return DataError(f"{where}: expected a whole saved graph, got {got}. Save it again.")
