"""The edges of one type, as a compressed sparse matrix that remembers the ids of its edges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError
from dglmeta.graph.device import copy_to_cuda, device_name
from dglmeta.kernels.twins import is_on_device, namespace, repeat_each, to_host, twin

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Adjacency", "Array", "id_dtype"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Adjacency:
    """The edges of one type: rows are sources, columns destinations. Treat it as immutable.

    Its arrays are NumPy's, or after ``to("cuda")`` CuPy's; methods give what they are given.

    Columns are sorted within each row; parallel edges stay, side by side. Every edge keeps the id
    it had in the input, and every per-edge array in dglmeta is in the order of those ids.

    Parameters
    ----------
    indptr : (n_src + 1,) int64
        Where each source's edges begin.
    indices : (n_edges,) int32, or int64 when n_dst does not fit
        Destination of the edge at each position.
    edge_ids : (n_edges,) int64 or None
        Id of the edge at each position; None when ids are the positions themselves.
    n_dst : int
        Number of destination nodes.
    """

    indptr: Array
    indices: Array
    edge_ids: Array | None
    n_dst: int

    @classmethod
    def from_coo(cls, src: npt.ArrayLike, dst: npt.ArrayLike, shape: tuple[int, int]) -> Adjacency:
        """Compress the edges ``src[e] -> dst[e]``; edge e keeps the id e.

        Parameters
        ----------
        src, dst : (n_edges,) integers
            Node ids in [0, shape[0]) and [0, shape[1]).
        shape : (int, int)
            Number of source and destination nodes.

        Raises
        ------
        DataError
            If an id is not an integer or lies outside its range, or the lengths differ.

        Notes
        -----
        O(n_edges + n_src + n_dst): two counting sorts, none where the edges come in order.
        """
        n_src, n_dst = _node_counts(shape)
        source = _node_ids(src, n_src, "source")
        destination = _node_ids(dst, n_dst, "destination")
        if len(source) != len(destination):
            raise DataError(
                f"Adjacency: expected as many sources as destinations, got {len(source)} and "
                f"{len(destination)}. Give one of each per edge."
            )
        if _in_order(source, destination):
            return cls(_row_starts(source, n_src), destination.copy(), None, n_dst)
        # The least significant key first; the second sort is stable and keeps its order in rows.
        _, by_destination = _order(destination, n_dst)
        indptr, by_source = _order(source[by_destination], n_src)
        order = by_destination[by_source]
        return cls(indptr, destination[order], order.astype(np.int64), n_dst)

    @property
    def n_src(self) -> int:
        """Number of source nodes (rows)."""
        return len(self.indptr) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_src, n_dst)``."""
        return self.n_src, self.n_dst

    @property
    def n_edges(self) -> int:
        """Number of edges, parallel ones counted each."""
        return len(self.indices)

    @cached_property
    def device(self) -> str:
        """Where the arrays lie: "cpu" or "cuda"."""
        return "cuda" if is_on_device(self.indptr) else "cpu"

    @cached_property
    def host(self) -> Adjacency:
        """The same adjacency in NumPy arrays; itself if it is on the host."""
        if self.device == "cpu":
            return self
        indptr, indices, ids = (to_host(a) for a in (self.indptr, self.indices, self.edge_ids))
        return Adjacency(indptr, indices, ids, self.n_dst)

    def to(self, device: str) -> Adjacency:
        """The same adjacency on a device, "cpu" or "cuda"; itself if it is there.

        Raises
        ------
        DeviceError
            If there is no such device, or no room on it.

        Notes
        -----
        The copy is kept as long as this adjacency is.
        """
        name = device_name(device)
        if name == self.device:
            return self
        return self.host if name == "cpu" else self._on_cuda

    @cached_property
    def _on_cuda(self) -> Adjacency:
        """The copy on the GPU, kept as long as this is."""
        indptr, indices, ids = copy_to_cuda([self.indptr, self.indices, self.edge_ids])
        copy = Adjacency(indptr, indices, ids, self.n_dst)
        copy.__dict__["host"] = self
        return copy

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays, without the cached transpose."""
        ids = 0 if self.edge_ids is None else self.edge_ids.nbytes
        return int(self.indptr.nbytes + self.indices.nbytes + ids)

    @property
    def out_degrees(self) -> Array:
        """(n_src,) int64: edges leaving each source."""
        return np.diff(self.indptr)

    @property
    def in_degrees(self) -> Array:
        """(n_dst,) int64: edges entering each destination."""
        return np.bincount(self.indices, minlength=self.n_dst).astype(np.int64, copy=False)

    @cached_property
    def T(self) -> Adjacency:  # noqa: N802 - the name NumPy and SciPy give a transpose
        """The same edges with the same ids, seen from their destinations (the CSC form); cached."""
        indptr, order = _order(self.indices, self.n_dst)
        ids = order if self.edge_ids is None else self.edge_ids[order]
        flipped = Adjacency(
            indptr, self._sources()[order], ids.astype(np.int64, copy=False), self.n_src
        )
        flipped.__dict__["T"] = self
        return flipped

    @cached_property
    def with_loops(self) -> Adjacency:
        """A square adjacency with one self loop a node, numbered after the edges; cached."""
        xp, source, n = namespace(self.indptr), self._sources(), self.n_src
        late = self.indices > source  # those that the loop of their row comes before
        n_late = xp.zeros(self.n_edges + 1, np.int64)
        np.cumsum(late, out=n_late[1:])
        nodes = xp.arange(n + 1)
        loops = (self.indptr + nodes)[1:] - 1 - np.diff(n_late[self.indptr])
        places = xp.arange(self.n_edges) + source + late
        indices = xp.empty(self.n_edges + n, self.indices.dtype)
        indices[places], indices[loops] = self.indices, nodes[:-1]
        ids = xp.empty(self.n_edges + n, np.int64)
        ids[places] = xp.arange(self.n_edges) if self.edge_ids is None else self.edge_ids
        ids[loops] = self.n_edges + nodes[:-1]
        return Adjacency(self.indptr + nodes, indices, ids, self.n_dst)

    def coo(self) -> tuple[Array, Array]:
        """Source and destination of every edge, each (n_edges,), in the order of edge ids."""
        source = self._sources()
        if self.edge_ids is None:
            return source, self.indices
        src, dst = np.empty_like(source), np.empty_like(self.indices)
        src[self.edge_ids], dst[self.edge_ids] = source, self.indices
        return src, dst

    def to_scipy(self, values: Array | None = None) -> csr_array:
        """The (n_src, n_dst) matrix; entries are the number of parallel edges, or sums of values.

        Parameters
        ----------
        values : (n_edges,) array, optional
            One number an edge, in the order of edge ids; ones when absent.
        """
        from scipy.sparse import csr_array

        adj = self.host
        data = np.ones(self.n_edges, np.int64) if values is None else np.asarray(values)
        if values is not None and adj.edge_ids is not None:
            data = data[adj.edge_ids]
        out = csr_array((data, adj.indices, adj.indptr), shape=self.shape, copy=True)
        out.sum_duplicates()
        return out

    def without(self, edge_ids: npt.ArrayLike) -> Adjacency:
        """The adjacency without some edges; the others are renumbered in their old order.

        Raises
        ------
        DataError
            If an edge id is not an integer in [0, n_edges).
        """
        xp = namespace(self.indptr)
        kept = xp.ones(self.n_edges, bool)
        kept[_ids_below(edge_ids, self.n_edges, "edge")] = False
        kept_here = kept if self.edge_ids is None else kept[self.edge_ids]
        kept_before = xp.zeros(self.n_edges + 1, np.int64)
        np.cumsum(kept_here, out=kept_before[1:])
        ids = None
        if self.edge_ids is not None:
            ids = (np.cumsum(kept) - 1)[self.edge_ids[kept_here]]
        return Adjacency(kept_before[self.indptr], self.indices[kept_here], ids, self.n_dst)

    def rows(self, nodes: Array) -> tuple[Adjacency, Array]:
        """The edges of some sources only, renumbered in their order here, and their ids here.

        Parameters
        ----------
        nodes : (n,) integers
            Sources in [0, n_src); row k of the result holds the edges of ``nodes[k]``.

        Returns
        -------
        part : Adjacency
            Of shape (n, n_dst).
        edge_ids : (n_part_edges,) int64
            Id in this adjacency of each edge of the part.
        """
        begin = self.indptr[nodes]
        n_each = self.indptr[1:][nodes] - begin
        xp = namespace(self.indptr)
        indptr = xp.zeros(len(begin) + 1, np.int64)
        np.cumsum(n_each, out=indptr[1:])
        positions = xp.arange(int(indptr[-1])) + repeat_each(begin - indptr[:-1], n_each)
        ids = positions if self.edge_ids is None else self.edge_ids[positions]
        return Adjacency(indptr, self.indices[positions], None, self.n_dst), ids

    def without_empty_columns(self) -> tuple[Adjacency, Array]:
        """The same edges between fewer destinations, and which those are, in rising order."""
        xp = namespace(self.indptr)
        met = xp.zeros(self.n_dst, bool)
        met[self.indices] = True
        nodes = np.flatnonzero(met)
        number = xp.empty(self.n_dst, id_dtype(len(nodes)))
        number[nodes] = xp.arange(len(nodes))
        indices = number[self.indices]
        return Adjacency(self.indptr, indices, self.edge_ids, len(nodes)), nodes

    def _sources(self) -> Array:
        """Source of the edge at each position."""
        nodes = namespace(self.indptr).arange(self.n_src, dtype=id_dtype(self.n_src))
        sources: Array = repeat_each(nodes, self.out_degrees)
        return sources

    def __repr__(self) -> str:
        return f"Adjacency({self.n_src:,} x {self.n_dst:,}, {self.n_edges:,} edges)"


def id_dtype(n: int) -> type[np.signedinteger[Any]]:
    """The narrowest of int32 and int64 that holds the ids 0..n-1."""
    return np.int32 if n <= np.iinfo(np.int32).max else np.int64


def _row_starts(rows: Array, n_rows: int) -> Array:
    """(n_rows + 1,) int64: where each row begins once its entries stand together."""
    starts: Array = namespace(rows).zeros(n_rows + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=n_rows), out=starts[1:])
    return starts


def _in_order(source: Array, destination: Array) -> bool:
    """Whether edges already come by source and, within a source, by destination."""
    if np.any(source[1:] < source[:-1]):
        return False
    return not np.any((source[1:] == source[:-1]) & (destination[1:] < destination[:-1]))


def _order(keys: Array, n_keys: int) -> tuple[Array, Array]:
    """The (n_keys + 1,) starts of equal keys once they are sorted, and the stable order."""
    starts, order = twin("order", keys).counting_order(keys, n_keys)
    return starts, order


def _node_counts(shape: tuple[int, int]) -> tuple[int, int]:
    n_src, n_dst = int(shape[0]), int(shape[1])
    if n_src < 0 or n_dst < 0:
        raise DataError(
            f"Adjacency: expected node counts >= 0, got {shape}. Use 0 for a type without nodes."
        )
    return n_src, n_dst


def _node_ids(ids: npt.ArrayLike, n: int, role: str) -> Array:
    return _ids_below(ids, n, role).astype(id_dtype(n), copy=False)


def _ids_below(ids: npt.ArrayLike, n: int, role: str) -> Array:
    """Ids as a flat integer array, checked against [0, n)."""
    array: Array = cast(Array, ids) if is_on_device(ids) else np.asarray(ids)
    if array.size == 0:
        return array.astype(np.int64).ravel()
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise DataError(
            f"Adjacency: expected {role} ids as a flat integer array, got {array.dtype} of shape "
            f"{array.shape}. Convert them first."
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= n:
        bad = low if low < 0 else high
        raise DataError(
            f"Adjacency: expected {role} ids in [0, {n}), got {bad}. "
            f"Correct the id, or the count it is checked against."
        )
    return array
