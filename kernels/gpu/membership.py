"""Whether a chain of steps joins given pairs of nodes, and by how many paths."""

from __future__ import annotations

from typing import Any

from dglmeta.kernels.cpu.chain import Chain
from dglmeta.kernels.gpu.device import WARP, array_module, blocks_for, launch
from dglmeta.kernels.gpu.reach import meeting_level, reach_in_batches

__all__ = ["connected_pairs", "count_pairs", "group_by_key"]

THREADS = 256


def connected_pairs(
    forward: Chain,
    backward: Chain,
    n_nodes: tuple[int, ...],
    sources: Any,
    targets: Any,
    middle: int,
    pair_ns: float = 300,
) -> Any:
    """Whether at least one path joins each pair: meet in the middle.

    As :func:`dglmeta.kernels.cpu.membership.connected_pairs`. A warp a pair. Up to two steps take
    one launch and no scratch, whatever ``middle``; longer chains two launches for every so many
    distinct sources as :func:`dglmeta.kernels.gpu.reach.reach_in_batches` takes at once.
    """
    connected = array_module().empty(len(sources), "bool")
    _run("connect", forward, backward, n_nodes, sources, targets, middle, connected)
    return connected


def count_pairs(
    forward: Chain,
    backward: Chain,
    n_nodes: tuple[int, ...],
    sources: Any,
    targets: Any,
    middle: int,
    pair_ns: float = 1000,
) -> Any:
    """How many paths join each pair; parallel edges count each.

    As :func:`dglmeta.kernels.cpu.membership.count_pairs`; launches as for ``connected_pairs``.
    """
    counts = array_module().empty(len(sources), "int64")
    _run("count_paths", forward, backward, n_nodes, sources, targets, middle, counts)
    return counts


def group_by_key(keys: Any, n_keys: int) -> Any | None:
    """Positions in the order of their keys, equal keys in their old order; None if in order.

    As :func:`dglmeta.kernels.cpu.membership.group_by_key`, int64 always. Waits for the device.
    """
    if bool((keys[1:] >= keys[:-1]).all()):
        return None
    return array_module().argsort(keys, kind="stable")


def _run(
    kernel: str,
    forward: Chain,
    backward: Chain,
    n_nodes: tuple[int, ...],
    sources: Any,
    targets: Any,
    middle: int,
    out: Any,
) -> None:
    if len(sources) == 0:
        return
    xp = array_module()
    sources, targets = (xp.ascontiguousarray(ids, dtype="int64") for ids in (sources, targets))
    meet = meeting_level(len(n_nodes) - 1, middle)
    distinct, place = sources, None
    if meet > 1:
        distinct, place = xp.unique(sources, return_inverse=True)
        place = xp.ascontiguousarray(place, dtype="int64")
    count = kernel == "count_paths"
    for batch in reach_in_batches(forward, n_nodes, distinct, meet, count=count):
        launch(
            "membership", kernel, blocks_for(len(sources) * WARP, THREADS), THREADS,
            forward.table, backward.table, len(n_nodes) - 1, meet, batch.first,
            sources, targets, len(sources), place, batch.begin, batch.end,
            batch.reached, 0 if batch.reached is None else batch.reached.shape[1], out,
            INDEX=forward.kind.dtype,
        )  # fmt: skip
