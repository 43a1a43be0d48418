"""Batches of seeds with their sampled neighbourhoods, the next one made while the last is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from dglmeta.errors import ConfigError
from dglmeta.graph import Adjacency, HeteroCSR
from dglmeta.graph.device import device_name, require_cuda
from dglmeta.kernels.rng import derive_seed
from dglmeta.kernels.twins import is_on_device, to_host
from dglmeta.paths.blocks import sample_blocks
from dglmeta.paths.chain import Array
from dglmeta.paths.frontier import Fanouts, Seeds, as_heterograph, read_seeds

__all__ = ["NeighborLoader", "SeedBatch"]


class SeedBatch(NamedTuple):
    """Some seeds and what was sampled around them."""

    index: int
    """Place in its epoch, from 0."""
    seeds: dict[str, Array]
    """For every node type, (n,) int64: where the sample's nodes of this type begin."""
    sample: Any
    """What the loader's ``sample`` returned: NeighborBlocks by default."""


@dataclass(frozen=True, eq=False)
class NeighborLoader:
    """Goes through seeds in batches, and samples ahead in a background thread.

    A batch depends on ``(seed, epoch, index)`` and the arguments alone: not on ``prefetch`` nor the
    number of threads nor the device, and a run that stopped after batch i goes on with
    ``epoch(e, start=i + 1)``.

    Parameters
    ----------
    graph : HeteroCSR, DGLGraph or square Adjacency
    seeds : dict of str to (n,) integers, or (n,) integers
        As for :func:`sample_blocks`; repeated ids count once.
    fanouts : sequence of int, or of dict of edge type to int
    batch_size : int
        Seeds a batch, of all types together; the last of an epoch may have fewer.
    seed : int
    shuffle : bool
        Put the seeds in a new random order in each epoch.
    drop_last : bool
        Leave out a last batch that is smaller.
    prefetch : int
        Batches sampled ahead of the one in use; 0 samples in the calling thread.
    sample : callable
        ``sample(hg, seeds, fanouts, seed)``: :func:`sample_blocks`, :func:`sample_neighbors`, one
        of them with ``functools.partial(..., both_ways=True)``, or your own. With ``prefetch`` it
        runs in another thread, one call at a time.
    device : "cpu" or "cuda", optional
        Where the arrays of batches lie; where the graph does when absent. A graph on the host is
        sampled there, whatever its size, and for "cuda" each batch is copied in the thread that
        sampled it.

    Raises
    ------
    ConfigError
        If ``batch_size`` is below 1 or ``prefetch`` below 0.
    DeviceError
        If there is no such device.
    SchemaError
        If a seed's node type is not in the graph.
    DataError
        If a seed is out of range, or an Adjacency is not square.

    Notes
    -----
    Holds up to ``prefetch`` + 1 batches. Sampling releases the interpreter while its kernels run,
    so that it fills the time in which a training step computes. On a GPU batches are for the device
    and the CUDA stream that are current where ``epoch`` is called; a batch is copied at once,
    through pinned memory.

    Examples
    --------
    >>> from dglmeta import Adjacency
    >>> ring = Adjacency.from_coo([1, 2, 3, 0], [0, 1, 2, 3], (4, 4))
    >>> loader = NeighborLoader(ring, range(4), [1], batch_size=3, shuffle=False)
    >>> [batch.seeds["_N"].tolist() for batch in loader.epoch(0)]
    [[0, 1, 2], [3]]
    """

    graph: Any
    seeds: Seeds
    fanouts: Fanouts
    batch_size: int
    _: KW_ONLY
    seed: int = 0
    shuffle: bool = True
    drop_last: bool = False
    prefetch: int = 1
    sample: Callable[[HeteroCSR, dict[str, Array], Fanouts, int], Any] = sample_blocks
    device: str | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("batch_size", self.batch_size, 1),
            ("prefetch", self.prefetch, 0),
        ):
            if value < least:
                raise ConfigError(
                    f"NeighborLoader: expected {name} >= {least}, got {value}. Raise it."
                )
        graph = as_heterograph(self.graph)
        device = graph.device if self.device is None else device_name(self.device)
        if device == "cuda":
            require_cuda()
        else:
            graph = graph.to("cpu")
        seeds = {t: to_host(ids) for t, ids in read_seeds(graph, self.seeds).items()}
        for name, value in (("graph", graph), ("seeds", seeds), ("device", device)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        n_seeds = int(self._stops[-1])
        return n_seeds // self.batch_size if self.drop_last else -(-n_seeds // self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[SeedBatch]:
        """The batches of one epoch, from batch ``start`` on.

        What sampling raises is raised here, at the batch it concerns. The background thread ends
        with the iteration, however that ends: the iterator waits for it when it is closed.
        """
        n_seeds = int(self._stops[-1])
        order = np.arange(n_seeds)
        if self.shuffle:
            order = np.random.default_rng(derive_seed(self.seed, epoch)).permutation(n_seeds)

        def make(index: int) -> SeedBatch:
            seeds = self._named(order[index * self.batch_size :][: self.batch_size])
            draw = derive_seed(self.seed, epoch, index)
            return SeedBatch(index, seeds, self.sample(self.graph, seeds, self.fanouts, draw))

        if self.device == "cuda":
            make = _for_cuda(make)
        return _ahead(make, range(start, len(self)), self.prefetch)

    @cached_property
    def _stops(self) -> Array:
        """Where the seeds of each node type end, all numbered in one range."""
        return np.cumsum([len(ids) for ids in self.seeds.values()])

    def _named(self, numbers: Array) -> dict[str, Array]:
        """The seeds with these numbers, by type."""
        kind = np.searchsorted(self._stops, numbers, side="right")
        return {
            t: ids[numbers[kind == k] - (self._stops[k] - len(ids))]
            for k, (t, ids) in enumerate(self.seeds.items())
        }


def _for_cuda(make: Callable[[int], SeedBatch]) -> Callable[[int], SeedBatch]:
    """The same batches with their arrays on the GPU and for the stream that are current here."""
    from dglmeta.kernels.gpu.transfer import Transfer

    transfer = Transfer()

    def make_there(index: int) -> SeedBatch:
        with transfer.scope():
            batch = make(index)
            found: list[Any] = []
            _rebuilt(batch, lambda array: found.append(array) or array)
            brought = iter(transfer(found))
            return _rebuilt(batch, lambda _: next(brought))

    return make_there


def _rebuilt(value: Any, each: Callable[[Array], Any]) -> Any:
    """The same value with what ``each`` makes of the host arrays in it, called in a fixed order."""
    again = partial(_rebuilt, each=each)
    if isinstance(value, np.ndarray):
        return value if is_on_device(value) or value.dtype.hasobject else each(value)
    if isinstance(value, Adjacency):
        return Adjacency(*map(again, (value.indptr, value.indices, value.edge_ids)), value.n_dst)
    if isinstance(value, HeteroCSR):
        return replace(value, adjacencies=again(value.adjacencies))
    if isinstance(value, dict):
        return {name: again(part) for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(again, value))
    if isinstance(value, tuple | list):
        return type(value)(map(again, value))
    return value


def _ahead(
    make: Callable[[int], SeedBatch], indices: Sequence[int], prefetch: int
) -> Iterator[SeedBatch]:
    """``make`` of each index in turn, called up to ``prefetch`` indices early in a thread."""
    if prefetch == 0:
        yield from map(make, indices)
        return
    pending: deque[Future[SeedBatch]] = deque()
    thread = ThreadPoolExecutor(1, thread_name_prefix="dglmeta-loader")
    try:
        for index in indices:
            pending.append(thread.submit(make, index))
            if len(pending) > prefetch:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        thread.shutdown(wait=True, cancel_futures=True)
