"""What a meta-path product will cost, and the order in which to multiply its steps.

A product of L matrices can be bracketed in many ways whose costs differ by orders of magnitude.
Dynamic programming over sub-chains finds the cheapest from what every multiplication takes: known
for single steps, and for longer sub-products estimated from a sample of their rows (``sizes``), or
only roughly where nothing but the order is asked for (``sketch``).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt

from dglmeta.errors import BudgetError
from dglmeta.graph import MetaPath, as_csr
from dglmeta.kernels.twins import to_host
from dglmeta.paths.chain import (
    Mode,
    Order,
    Sparse,
    chain_of,
    check_ids,
    check_mode,
    read_metapath,
)
from dglmeta.paths.memory import Memory
from dglmeta.paths.sizes import Sizes, measure_sizes
from dglmeta.paths.sketch import sketch_sizes

__all__ = [
    "Order",
    "ProductEstimate",
    "check_budget",
    "estimate_product",
    "measure_chain",
    "plan_chain",
    "plan_order",
    "plan_within",
    "size_text",
]


class ProductEstimate(NamedTuple):
    """Expected size and cost of a meta-path product."""

    nnz: int
    """Entries: connected pairs."""
    bytes: int
    """Most memory held at once: the result, intermediate products and working space, with sizes
    two standard errors above the expected. Under a smaller budget intermediate products are made by
    blocks of rows."""
    flops: int
    """Multiplications over the whole chain; exact for a chain of two steps."""
    order: Order
    """The cheapest bracketing of the steps, numbered from 0: ``((0, 1), 2)``."""
    relative_error: float
    """Standard error of ``nnz``, as a part of it; 0 where all rows were counted."""

    def __str__(self) -> str:
        error = f" (+-{self.relative_error:.0%})" if self.relative_error else ""
        return (
            f"about {self.nnz:,} pairs{error}, {size_text(self.bytes)}, "
            f"{self.flops:,} multiplications, order {_order_text(self.order)}"
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
        Multiplications of neighbouring steps are exact. Numbers of distinct pairs are exact for
        small graphs, else from a sample of rows, with its standard error.

    Raises
    ------
    SchemaError, ConfigError, DataError
        As for :func:`dglmeta.metapath_product`.

    Notes
    -----
    Deterministic. Cost: a pass over the edges for every sub-chain of two steps or more, and some
    milliseconds for its sample; bytes: 8 a node for every sub-chain, and a few MiB.

    Examples
    --------
    >>> from dglmeta import HeteroCSR
    >>> rated = ("user", "rated", "item")
    >>> hg = HeteroCSR.from_edges({rated: ([0, 1, 1], [0, 0, 1])}, {"user": 2, "item": 2})
    >>> estimate = estimate_product(hg, "user-item-user-item")
    >>> estimate.order, estimate.flops
    ((0, (1, 2)), 11)
    """
    hg = as_csr(hg).host  # of a graph on a GPU too: sizes are the same
    path = read_metapath(hg, metapath)
    check_mode("estimate_product", mode)
    if rows is not None:
        rows = check_ids("estimate_product", to_host(rows), hg.n_nodes[path.source], path.source)
    return plan_chain(chain_of(hg, path, mode, rows), mode)


def plan_chain(chain: list[Sparse], mode: Mode, most: int | None = None) -> ProductEstimate:
    """The cheapest order of a chain and what it costs, if at most so many entries are wanted."""
    return measure_chain(chain, mode, most)[0]


def plan_within(
    where: str, chain: list[Sparse], mode: Mode, most: int | None, budget_bytes: int
) -> tuple[Order, bool]:
    """An order that keeps to a budget, and whether to go through it by blocks of rows.

    The cheapest order at once, else the same by rows, else from left to right by rows.

    Raises
    ------
    BudgetError
        If none does.
    """
    estimate, memory = measure_chain(chain, mode, most)
    if estimate.bytes > budget_bytes and len(chain) > 2:
        from_left: Order = 0
        for step in range(1, len(chain)):
            from_left = (from_left, step)
        for order in (estimate.order, from_left):
            if memory.by_rows(order) <= budget_bytes:
                return order, True
    check_budget(where, estimate, estimate.bytes, budget_bytes)
    return estimate.order, False


def measure_chain(
    chain: list[Sparse], mode: Mode, most: int | None
) -> tuple[ProductEstimate, Memory]:
    """The estimate, and what it says on memory: sizes two standard errors above the expected."""
    last = len(chain) - 1
    sizes = measure_sizes(chain, mode)
    flops, order = _cheapest(sizes, last)
    nnz = sizes.entries[0, last]
    error = nnz.error / nnz.total if nnz.total else 0.0
    total = round(nnz.total)
    entries = {span: round(e.total + 2 * e.error) for span, e in sizes.entries.items()}
    if most is not None and most < entries[0, last]:
        total, entries[0, last], error = min(total, most), most, 0.0
    memory = Memory(chain, entries, mode)
    return ProductEstimate(total, memory.at_once(order), round(flops), order, error), memory


def plan_order(chain: list[Sparse], mode: Mode) -> Order:
    """The cheapest order alone; nothing is measured where there is only one."""
    last = len(chain) - 1
    if last < 2:
        return (0, 1) if last else 0
    return _cheapest(sketch_sizes(chain, mode), last)[1]


def _cheapest(sizes: Sizes, last: int) -> tuple[float, Order]:
    """Multiplications and bracketing of the fastest way to multiply steps 0..last."""
    best: dict[tuple[int, int], tuple[float, float, Order]] = {
        (i, i): (0.0, 0.0, i) for i in range(last + 1)
    }
    for length in range(1, last + 1):
        for i in range(last + 1 - length):
            j = i + length
            # Writing an entry takes the time of a multiplication: the memory is new.
            writing = sizes.entries[i, j].total if length < last else 0.0
            splits: list[tuple[float, float, Order]] = []
            for k in range(i, j):
                left, right = best[i, k], best[k + 1, j]
                work = left[0] + right[0] + sizes.work[i, k, j] + writing
                flops = left[1] + right[1] + sizes.flops[i, k, j].total
                splits.append((work, flops, (left[2], right[2])))
            best[i, j] = min(splits, key=lambda split: split[0])
    _, flops, order = best[0, last]
    return flops, order


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


def _order_text(order: Order) -> str:
    """Steps counted from 1: ``((1 2) 3)``."""
    if isinstance(order, int):
        return str(order + 1)
    return f"({_order_text(order[0])} {_order_text(order[1])})"
