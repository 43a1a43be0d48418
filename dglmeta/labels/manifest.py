"""What a store says of itself: the graph and the request it is made from, and its parts.

A finished store has ``manifest.json``, written last. One in the making has the folder ``.making``:
the same without parts in ``plan.json``, a line in ``parts.jsonl`` for every part that is done, and
the graph as tasks map it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dglmeta.errors import LabelStoreError
from dglmeta.graph import HeteroCSR
from dglmeta.labels.block import Part, write_whole
from dglmeta.labels.plan import Block, Request

__all__ = ["Manifest", "making_folder", "read_manifest", "read_progress", "record_part"]

FORMAT, VERSION = "dglmeta-labels", 1
MANIFEST, PLAN, JOURNAL = "manifest.json", "plan.json", "parts.jsonl"

RULES = {
    "positives": "pairs the meta-path joins, in the graph of this hash: all of them, or drawn "
    "uniformly with replacement from all distinct ones",
    "negatives": "drawn uniformly with replacement from all pairs of a source and a target node "
    "that the meta-path does not join",
}


@dataclass(frozen=True)
class Manifest:
    """What a store is made from, and its parts where they are done.

    Parameters
    ----------
    graph : str
        ``content_hash`` of the graph.
    schema : dict
        Its node types with their counts, and its edge types.
    request : Request
    blocks : tuple of Block
    parts : tuple of Part
        As many as blocks in a finished store, in the same order.
    """

    graph: str
    schema: dict[str, Any]
    request: Request
    blocks: tuple[Block, ...]
    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, hg: HeteroCSR, request: Request, blocks: tuple[Block, ...]) -> Manifest:
        """The manifest of a store yet to be made."""
        schema = {
            "node_types": dict(hg.n_nodes),
            "edge_types": [list(triple) for triple in hg.schema.edge_types],
        }
        return cls(hg.content_hash, schema, request, blocks)

    def check_graph(self, folder: Path, hg: HeteroCSR) -> None:
        """Raise LabelStoreError unless the store is made from this graph."""
        if hg.content_hash != self.graph:
            raise LabelStoreError(
                f"{folder}: expected labels of the graph in hand (sha256 "
                f"{hg.content_hash[:12]}...), got those of another ({self.graph[:12]}...). "
                f"Take the graph they were made from, or make labels of this one elsewhere."
            )

    def check_request(self, folder: Path, request: Request) -> None:
        """Raise LabelStoreError unless the store is made for this request."""
        found, wanted = self.request.to_json(), request.to_json()
        for name, value in wanted.items():
            if found[name] != value:
                texts = [
                    [str(p) for p in r.metapaths] if name == "metapaths" else getattr(r, name)
                    for r in (self.request, request)
                ]
                raise LabelStoreError(
                    f"{folder}: expected a store with {name} = {texts[1]}, got one with "
                    f"{texts[0]}. Resume it with its own settings, or choose another folder."
                )

    def plan(self, folder: Path) -> None:
        """Write what a store in the making is to become."""
        _write(making_folder(folder) / PLAN, self)

    def finish(self, folder: Path, parts: Iterable[Part]) -> None:
        """Write the manifest, which says that the store is whole."""
        done = {(part.metapath, part.number): part for part in parts}
        ordered = tuple(done[block.metapath, block.number] for block in self.blocks)
        _write(folder / MANIFEST, replace(self, parts=ordered))


def making_folder(folder: Path) -> Path:
    """Where a store in the making keeps what it needs."""
    return folder / ".making"


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a finished store; None where there is none.

    Raises
    ------
    LabelStoreError
        If it is damaged or written by a newer dglmeta.
    """
    return _read(folder / MANIFEST)


def read_progress(folder: Path) -> tuple[Manifest, list[Part]] | None:
    """The plan of a store in the making, and the parts that are done; None where there is none.

    Raises
    ------
    LabelStoreError
        If the plan is damaged or written by a newer dglmeta.
    """
    manifest = _read(making_folder(folder) / PLAN)
    if manifest is None:
        return None
    parts = []
    journal = making_folder(folder) / JOURNAL
    if journal.exists():
        for line in journal.read_text(encoding="utf-8").splitlines():
            try:
                parts.append(Part(**json.loads(line)))
            except (ValueError, TypeError):
                continue  # the writer died within this line: the part is made again
    return manifest, parts


def record_part(folder: Path, part: Part) -> None:
    """Note in a store in the making that a part is done."""
    # A newline first ends a line that a driver died within.
    with (making_folder(folder) / JOURNAL).open("a", encoding="utf-8") as file:
        file.write(f"\n{json.dumps(part._asdict())}\n")


def _write(place: Path, manifest: Manifest) -> None:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "graph": manifest.graph,
        "schema": manifest.schema,
        "request": manifest.request.to_json(),
        "rules": RULES,
        "blocks": [asdict(block) for block in manifest.blocks],
        "parts": [part._asdict() for part in manifest.parts],
    }
    write_whole(place, (json.dumps(document, indent=1) + "\n").encode())


def _read(place: Path) -> Manifest | None:
    try:
        document = json.loads(place.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _damaged(place, str(error)) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _damaged(place, "a file of another kind")
    if document.get("version") != VERSION:
        raise LabelStoreError(
            f"{place}: expected format version {VERSION}, got {document.get('version')}. "
            f"Upgrade dglmeta, or make the labels again elsewhere with this one."
        )
    try:
        blocks = tuple(
            Block(**{**b, "sources": b["sources"] and tuple(b["sources"])})
            for b in document["blocks"]
        )
        parts = tuple(Part(**part) for part in document["parts"])
        request = Request.from_json(document["request"])
        return Manifest(document["graph"], document["schema"], request, blocks, parts)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(place, f"one without {error}") from error


def _damaged(place: Path, got: str) -> LabelStoreError:
    return LabelStoreError(
        f"{place}: expected the description of a label store, got {got}. "
        f"Make the labels again in another folder."
    )
