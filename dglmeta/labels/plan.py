"""What labels are asked for, and how the work is cut into blocks that do not depend on each other.

A block's part of the store is a function of the request and the block's number alone, whoever makes
it and when. Drawn positives, and all negatives, are drawn from the whole graph in every block: each
block, and so any part of the store, is a fair sample. Only when all positives are asked for does a
block own some source nodes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dglmeta.errors import BudgetError, ConfigError, DataError
from dglmeta.graph import HeteroCSR, MetaPath, Step
from dglmeta.kernels.cpu.pool import get_num_threads
from dglmeta.kernels.cpu.spmm import spmm
from dglmeta.kernels.rng import derive_seed
from dglmeta.paths.chain import chain_of, read_metapath
from dglmeta.paths.plan import size_text

__all__ = ["Block", "Request", "cut_blocks", "need_budget", "row_bounds"]

PART_ROWS = 1 << 17
"""Labels of a part of the store unless asked otherwise: a megabyte or two of Parquet."""

TURNED_BYTES, TURNING_BYTES = 12, 8
"""Bytes an edge of a transpose, which the graph keeps, and while it is made."""

MAPPED_BYTES = 8
"""Bytes an edge of the graph as tasks map it, both ways."""

SAMPLER_BYTES = 8
"""Bytes an edge of every step: running totals of a sampler."""

LABEL_BYTES = 500
"""Bytes a label: the draws of a round or a product of few paths, the table and its Parquet form."""

BASE_BYTES = 96 << 20
"""Compiled kernels, Arrow and what else is loaded with the first label."""

STREAM_BYTES = 1 << 27
"""Blocks of rows of a product on their way to all positives of some sources."""


@dataclass(frozen=True)
class Request:
    """The labels a store is to hold; together with the graph it fixes every byte of its parts.

    Parameters
    ----------
    metapaths : tuple of MetaPath
    positives : int or None
        Drawn for each meta-path; None for all there are.
    negative_ratio : float
        Negatives for each positive.
    seed : int
    part_rows : int
        Labels of a part, about.
    """

    metapaths: tuple[MetaPath, ...]
    positives: int | None
    negative_ratio: float
    seed: int
    part_rows: int

    @classmethod
    def read(
        cls,
        hg: HeteroCSR,
        metapaths: Sequence[MetaPath | str],
        positives: int | None,
        negative_ratio: float,
        seed: int,
        part_rows: int,
    ) -> Request:
        """The request meant by a caller's arguments, checked.

        Raises
        ------
        SchemaError
            If the graph lacks a type a path names.
        ConfigError
            If there is no meta-path, one is given twice, or a number is out of range.
        """
        paths = tuple(read_metapath(hg, path) for path in metapaths)
        if not paths or len(set(paths)) < len(paths):
            raise ConfigError(
                f"labels: expected meta-paths, each once, got {[str(p) for p in paths]}. "
                f"Name some, such as those of `dglmeta info`."
            )
        if positives is not None and positives < 1:
            raise ConfigError(
                f"labels: expected positives >= 1, got {positives}. Leave it out for all."
            )
        if not 0 <= negative_ratio < float("inf"):
            raise ConfigError(
                f"labels: expected a finite negative ratio >= 0, got {negative_ratio}. "
                f"Give 0 for no negatives."
            )
        if part_rows < 1:
            raise ConfigError(
                f"labels: expected part_rows >= 1, got {part_rows}. Give {PART_ROWS}."
            )
        return cls(paths, positives, float(negative_ratio), int(seed), part_rows)

    def to_json(self) -> dict[str, Any]:
        """As a manifest holds it: meta-paths as edge-type triples, each with its direction."""
        steps = [[[list(s.edge_type), s.forward] for s in path.steps] for path in self.metapaths]
        return {**asdict(self), "metapaths": steps}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        """The request of a manifest."""
        paths = tuple(
            MetaPath(tuple(Step(tuple(triple), forward) for triple, forward in steps))
            for steps in data["metapaths"]
        )
        return cls(**{**data, "metapaths": paths})

    def seed_of(self, block: Block) -> int:
        """Seed of a block: of the request's, its meta-path's own, and its number.

        It does not depend on which other meta-paths are asked for.
        """
        text = str(self.metapaths[block.metapath])
        word = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return derive_seed(self.seed, word, block.number)


@dataclass(frozen=True)
class Block:
    """One part of a store, to be made in one task.

    Parameters
    ----------
    metapath : int
        Place in the request.
    number : int
        Place among the parts of this meta-path.
    sources : (int, int) or None
        All positives of the source nodes in this range; None where positives are drawn.
    positives, negatives : int or None
        To be drawn; None where they depend on what the sources hold.
    """

    metapath: int
    number: int
    sources: tuple[int, int] | None = None
    positives: int | None = None
    negatives: int | None = None


def cut_blocks(hg: HeteroCSR, request: Request) -> tuple[Block, ...]:
    """The blocks of a request; the same for the same graph and request.

    Raises
    ------
    DataError
        If a meta-path joins nothing, so that it has no positives.

    Notes
    -----
    Cost O(steps * edges), a few passes over the graph; bytes: 8 a node.
    """
    blocks: list[Block] = []
    for k, path in enumerate(request.metapaths):
        bounds = row_bounds(hg, path)
        if not bounds.any():
            raise DataError(
                f"labels: expected '{path}' to join at least one pair, got none. "
                f"Check the path, or that its edge types have edges."
            )
        if request.positives is None:
            ranges = _ranges(bounds, request.part_rows)
            blocks += [Block(k, number, sources=sources) for number, sources in enumerate(ranges)]
        else:
            n_negatives = round(request.positives * request.negative_ratio)
            n_parts = max(-(-(request.positives + n_negatives) // request.part_rows), 1)
            shares = zip(
                _shares(request.positives, n_parts), _shares(n_negatives, n_parts), strict=True
            )
            blocks += [Block(k, number, None, *share) for number, share in enumerate(shares)]
    return tuple(blocks)


def row_bounds(hg: HeteroCSR, path: MetaPath) -> npt.NDArray[np.float64]:
    """(n_source,) most targets each source can have: its instances, but at most all nodes."""
    onward = np.ones((hg.n_nodes[path.target], 1, 1))
    for step in reversed(chain_of(hg, path, "count")):
        onward = spmm(step.indptr, step.indices, None, None, onward)
    return np.minimum(onward.ravel(), hg.n_nodes[path.target])


def need_budget(hg: HeteroCSR, request: Request, budget_bytes: int | None) -> int:
    """Most bytes a process takes beside the graph given, from counts alone.

    Raises
    ------
    BudgetError
        If that is more than the budget.
    """
    used = {step.edge_type for path in request.metapaths for step in path.steps}
    edges = [hg.n_edges[triple] for triple in used]
    turned = TURNED_BYTES * sum(edges)
    blocks = max(_block_bytes(hg, request, path) for path in request.metapaths)
    working = max(TURNING_BYTES * max(edges), MAPPED_BYTES * sum(edges) + blocks)
    needed = BASE_BYTES + turned + working
    if budget_bytes is not None and needed > budget_bytes:
        raise BudgetError(
            f"labels: expected to stay within a memory budget of {size_text(budget_bytes)} a "
            f"process, got an estimate of {size_text(needed)}. Raise the budget or use fewer "
            f"workers; or label fewer or smaller edge types, or a shorter meta-path; or make "
            f"smaller parts, with part_rows=."
        )
    return needed


def _block_bytes(hg: HeteroCSR, request: Request, path: MetaPath) -> int:
    """Most bytes a task takes beside the mapped graph."""
    n_edges = sum(hg.n_edges[step.edge_type] for step in path.steps)
    n_nodes = sum(hg.n_nodes[name] for name in path.node_types)
    rows = request.part_rows
    needed = SAMPLER_BYTES * n_edges + 16 * n_nodes * get_num_threads()
    if request.positives is None:
        rows = round((rows + hg.n_nodes[path.target]) * (1 + request.negative_ratio))
        needed += STREAM_BYTES
    return needed + LABEL_BYTES * rows


def _ranges(bounds: npt.NDArray[np.float64], part_rows: int) -> list[tuple[int, int]]:
    """Consecutive ranges of sources with at most ``part_rows`` pairs, or of one source."""
    before = np.append(0.0, np.cumsum(bounds))
    ranges, begin = [], 0
    while begin < len(bounds):
        fitting = int(np.searchsorted(before, before[begin] + part_rows, side="right")) - 1
        end = max(begin + 1, fitting)
        ranges.append((begin, end))
        begin = end
    return ranges


def _shares(total: int, n: int) -> list[int]:
    """A total in n whole shares that differ by at most one."""
    return [total * (i + 1) // n - total * i // n for i in range(n)]
