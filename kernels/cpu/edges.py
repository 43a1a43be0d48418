"""How kernels read per-edge arrays: by edge id, whatever the position of the edge."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["edge_at"]


@njit(cache=True, nogil=True)
def edge_at(edge_ids, position):
    """Id of the edge at a position; the position itself when ``edge_ids`` is None.

    Numba compiles one version for None and one for an array, so the test costs nothing. The id is
    unsigned because a signed index costs a test for wrap-around in every inner loop.
    """
    if edge_ids is None:
        return np.uint64(position)
    return np.uint64(edge_ids[position])
