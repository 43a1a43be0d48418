"""Every node with its neighbours, as a matrix: A + I of the simple graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dglmeta.errors import DataError
from dglmeta.graph import Adjacency

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["closed_neighbours"]


def closed_neighbours(where: str, adj: Adjacency) -> csr_array:
    """The matrix with a one for each node itself and for each of its neighbours.

    Parameters
    ----------
    where : str
        Who asks, for the error.
    adj : Adjacency
        Undirected: every edge both ways. Parallel edges count once, self loops make no difference.

    Returns
    -------
    matrix : (n, n) csr_array, float64
        Columns sorted; on the host.

    Raises
    ------
    DataError
        If edges join nodes of two types or lead one way only.

    Notes
    -----
    Cost O(n + n_edges).

    Examples
    --------
    >>> path = Adjacency.from_coo([0, 1, 1, 2], [1, 0, 2, 1], (3, 3))
    >>> closed_neighbours("here", path).toarray()
    array([[1., 1., 0.],
           [1., 1., 1.],
           [0., 1., 1.]])
    """
    if adj.n_src != adj.n_dst:
        raise DataError(
            f"{where}: expected edges between nodes of one type, got {adj}. "
            f"Take dglmeta.paths.undirected.as_undirected of the graph."
        )
    matrix = adj.host.with_loops.to_scipy()
    matrix.data = np.ones(matrix.nnz)
    turned = matrix.T.tocsr()
    if not all(
        np.array_equal(getattr(matrix, name), getattr(turned, name))
        for name in ("indptr", "indices")
    ):
        raise DataError(
            f"{where}: expected every edge both ways, got {adj} with some one way only. "
            f"Add the reverse edges."
        )
    return matrix
