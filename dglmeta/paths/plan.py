"""What a meta-path product will cost, and the order in which to multiply its steps.

A product of L matrices can be bracketed in many ways whose costs differ by orders of magnitude.
Dynamic programming over sub-chains finds the cheapest from the row and column sizes of every
sub-product: known for single steps, and for longer ones estimated as if paths ended on nodes
independently of each other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.errors import BudgetError
from dglmeta.graph import MetaPath, as_csr
from dglmeta.kernels.cpu.pool import get_num_threads
from dglmeta.paths.chain import (
    Array,
    Mode,
    Sparse,
    chain_of,
    check_ids,
    check_mode,
    read_metapath,
)

__all__ = [
    "Order",
    "ProductEstimate",
    "check_budget",
    "estimate_product",
    "plan_chain",
    "size_text",
]

Order = int | tuple["Order", "Order"]
"""A bracketing of the steps 0..L-1: the number of a step, or the two halves of a product."""

Spans = dict[tuple[int, int], Array]
"""An array of sizes for the product of steps i..j."""

INT32_MAX = 2**31 - 1


class ProductEstimate(NamedTuple):
    """Expected size and cost of a meta-path product."""

    nnz: int
    """Entries: connected pairs."""
    bytes: int
    """Most memory held at once: the result, intermediate products and working space."""
    flops: int
    """Multiplications over the whole chain; exact for a chain of two steps."""
    order: Order
    """The cheapest bracketing of the steps, numbered from 0: ``((0, 1), 2)``."""

    def __str__(self) -> str:
        return (
            f"about {self.nnz:,} pairs, {size_text(self.bytes)}, {self.flops:,} multiplications, "
            f"order {_order_text(self.order)}"
        )


def estimate_product(
    hg: Any, metapath: MetaPath | str, mode: Mode = "reach", rows: npt.ArrayLike | None = None
) -> ProductEstimate:
    """What :func:`dglmeta.metapath_product` would hold and do, without doing it.

    Parameters
    ----------
    hg : HeteroCSR or DGLGraph
    metapath : MetaPath or str
    mode, rows
        As for :func:`dglmeta.metapath_product`.

    Returns
    -------
    estimate : ProductEstimate
        Multiplications of neighbouring steps are exact. Numbers of distinct pairs assume that
        paths end on nodes independently: nodes that lead to the same places, as in real graphs,
        make the estimate too high; for two steps it is never below 0.63 of the truth.

    Raises
    ------
    SchemaError, ConfigError, DataError
        As for :func:`dglmeta.metapath_product`.

    Notes
    -----
    Cost O(steps * edges); bytes: 8 a node for every sub-chain.

    Examples
    --------
    >>> from dglmeta import HeteroCSR
    >>> rated = ("user", "rated", "item")
    >>> hg = HeteroCSR.from_edges({rated: ([0, 1, 1], [0, 0, 1])}, {"user": 2, "item": 2})
    >>> estimate = estimate_product(hg, "user-item-user-item")
    >>> estimate.order, estimate.flops
    ((0, (1, 2)), 9)
    """
    hg = as_csr(hg)
    path = read_metapath(hg, metapath)
    check_mode("estimate_product", mode)
    if rows is not None:
        rows = check_ids("estimate_product", rows, hg.n_nodes[path.source], path.source)
    return plan_chain(chain_of(hg, path, mode, rows), mode)


def plan_chain(chain: list[Sparse], mode: Mode) -> ProductEstimate:
    """The cheapest order of a chain and what it costs."""
    row_sizes, column_sizes = _row_sizes(chain), _column_sizes(chain)
    best: dict[tuple[int, int], tuple[float, Order]] = {(i, i): (0.0, i) for i in range(len(chain))}
    for length in range(1, len(chain)):
        for i in range(len(chain) - length):
            j = i + length
            splits = []
            for k in range(i, j):
                (left, left_order), (right, right_order) = best[i, k], best[k + 1, j]
                joining = float(column_sizes[i, k] @ row_sizes[k + 1, j])
                splits.append((left + right + joining, (left_order, right_order)))
            best[i, j] = min(splits, key=lambda split: split[0])
    flops, order = best[0, len(chain) - 1]
    nnz = {span: round(float(sizes.sum())) for span, sizes in row_sizes.items()}
    total = nnz[0, len(chain) - 1]
    return ProductEstimate(total, _peak_bytes(chain, order, nnz, mode), round(flops), order)


def check_budget(
    where: str, estimate: ProductEstimate, needed_bytes: int, budget_bytes: int | None
) -> None:
    """Raise BudgetError, with the estimate and three ways out, if the budget is too small."""
    if budget_bytes is None or needed_bytes <= budget_bytes:
        return
    raise BudgetError(
        f"{where}: expected to stay within budget_bytes={budget_bytes:,} "
        f"({size_text(budget_bytes)}), got an estimate of {size_text(needed_bytes)} ({estimate}). "
        f"Raise the budget; or ask for some source nodes only, with rows=; or do without the "
        f"product: sample_metapath_pairs and metapath_connected never build it."
    )


def size_text(n_bytes: float) -> str:
    """Bytes as a person reads them: ``'1.5 GiB'``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.3g} TiB"


def _row_sizes(chain: list[Sparse]) -> Spans:
    """Entries in each row of every sub-product."""
    sizes: Spans = {}
    for j, last in enumerate(chain):
        sizes[j, j] = np.diff(last.indptr).astype(np.float64)
        for i in range(j - 1, -1, -1):
            reached = np.append(0.0, np.cumsum(sizes[i + 1, j][chain[i].indices]))
            sizes[i, j] = _distinct(np.diff(reached[chain[i].indptr]), last.n_cols)
    return sizes


def _column_sizes(chain: list[Sparse]) -> Spans:
    """Entries in each column of every sub-product."""
    sizes: Spans = {}
    for i, first in enumerate(chain):
        arriving: Array | None = None
        for j in range(i, len(chain)):
            step = chain[j]
            if arriving is not None:
                arriving = np.repeat(arriving, np.diff(step.indptr))
            arriving = np.bincount(step.indices, arriving, step.n_cols).astype(np.float64)
            if j > i:
                arriving = _distinct(arriving, first.n_rows)
            sizes[i, j] = arriving
    return sizes


def _distinct(n_ends: Array, n: int) -> Array:
    """Expected number of different ones among ``n_ends`` independent draws from ``n``."""
    return -n * np.expm1(-n_ends / n) if n else np.zeros_like(n_ends)


def _peak_bytes(
    chain: list[Sparse], order: Order, nnz: dict[tuple[int, int], int], mode: Mode
) -> int:
    """Most bytes held at once while the chain is multiplied in this order."""
    value_bytes = 0 if mode == "reach" else 8

    def stored(i: int, j: int) -> int:
        index_bytes = 4 if chain[j].n_cols <= INT32_MAX else 8
        return (index_bytes + value_bytes) * nnz[i, j] + 8 * chain[i].n_rows

    def visit(node: Order) -> tuple[int, int, int, int]:
        """First and last step of a sub-chain, bytes it leaves, and its peak."""
        if isinstance(node, int):
            return node, node, 0, 0
        i, _, left, left_peak = visit(node[0])
        _, j, right, right_peak = visit(node[1])
        both = left + right + stored(i, j) + _working_bytes(chain[i].n_rows, chain[j].n_cols, mode)
        return i, j, stored(i, j), max(left_peak, left + right_peak, both)

    last = len(chain) - 1
    peak = visit(order)[3] or stored(0, last) + _working_bytes(
        chain[0].n_rows, chain[0].n_cols, mode
    )
    wide_indices = 8 * nnz[0, last] if nnz[0, last] > INT32_MAX else 0  # SciPy's, beyond int32
    result = stored(0, last) + 5 * chain[0].n_rows + nnz[0, last] + wide_indices
    transition_bytes = sum(0 if step.values is None else step.values.nbytes for step in chain)
    return max(peak, result) + transition_bytes


def _working_bytes(n_rows: int, n_cols: int, mode: Mode) -> int:
    """What the kernels use beside the product: counts by row, a stamp and a row by thread."""
    return 24 * n_rows + (8 if mode == "reach" else 16) * n_cols * get_num_threads()


def _order_text(order: Order) -> str:
    """Steps counted from 1: ``((1 2) 3)``."""
    if isinstance(order, int):
        return str(order + 1)
    return f"({_order_text(order[0])} {_order_text(order[1])})"
