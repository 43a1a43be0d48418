"""Random walks along a meta-path."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from dglmeta.kernels.cpu.pool import row_blocks, run_blocks
from dglmeta.kernels.rng import as_word, random_below, random_uint64, stream

__all__ = ["random_walks"]

WALKS = 0x77616C6B73
"""Block of the random streams used here, apart from those of other kernels ("walks")."""


def random_walks(
    steps: list[tuple[npt.NDArray, npt.NDArray]], starts: npt.NDArray, seed: int
) -> npt.NDArray:
    """Walks that take a uniform edge of the next step's structure at each node.

    Ends are distributed as row-normalised matrices multiplied, not uniformly over reachable nodes.

    Parameters
    ----------
    steps : list of (indptr, indices)
        One structure a step; the columns of each are rows of the next.
    starts : (n,) integers
        Rows of the first structure; a start given twice walks twice, independently.
    seed : int

    Returns
    -------
    walks : (n, len(steps) + 1) int64
        Nodes visited, starting with the start; -1 after a dead end.

    Notes
    -----
    Cost O(n len(steps)); bytes: the result only. Parallel over walks; walk w depends on (seed, w)
    and its start alone, and a longer path only continues it.

    Examples
    --------
    >>> step = np.array([0, 1, 1]), np.array([1])
    >>> random_walks([step, step], np.array([0]), seed=0)
    array([[ 0,  1, -1]])
    """
    walks = np.empty((len(starts), len(steps) + 1), np.int64)
    walks[:, 0] = starts
    blocks = row_blocks(range(len(starts) + 1), 30 * len(starts))
    for step, (indptr, indices) in enumerate(steps):
        run_blocks(_advance, blocks, indptr, indices, as_word(seed), step, walks)
    return walks


@njit(cache=True, nogil=True)
def _advance(begin, end, indptr, indices, seed, step, walks):
    for w in range(begin, end):
        node = walks[w, step]
        walks[w, step + 1] = -1
        if node >= 0 and indptr[node + 1] > indptr[node]:
            bits = random_uint64(stream(seed, WALKS, w), step)
            offset = random_below(bits, indptr[node + 1] - indptr[node])
            walks[w, step + 1] = indices[indptr[node] + offset]
