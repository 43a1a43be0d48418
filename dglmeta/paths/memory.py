"""Memory that multiplying a chain takes: at once, or by blocks of rows."""

from __future__ import annotations

from typing import NamedTuple

from dglmeta.kernels.cpu.inorder import BLOCK_ENTRIES
from dglmeta.kernels.cpu.pool import BLOCKS_PER_THREAD, get_num_threads
from dglmeta.paths import stream
from dglmeta.paths.chain import Mode, Order, Sparse
from dglmeta.paths.truth import MAPPED_FROM, N_MAPPINGS

__all__ = ["Memory", "right_factors"]

INT32_MAX = 2**31 - 1


class Memory(NamedTuple):
    """The numbers of entries of a chain's sub-products, and the bytes that follow from them."""

    chain: list[Sparse]
    entries: dict[tuple[int, int], int]
    """(i, j): entries of the product of steps i..j."""
    mode: Mode

    def at_once(self, order: Order) -> int:
        """Most bytes held while the chain is multiplied in this order."""
        last = len(self.chain) - 1
        peak = self._visit(order)[2] if last else self._stored(0, 0) + self._working(0, 0)
        return max(peak, self._result()) + self._transitions()

    def by_rows(self, order: Order) -> int:
        """The same, if only some rows at a time go through the left factors of this order."""
        held = peak = 0
        for factor in right_factors(order):
            i, j, building = self._visit(factor)
            peak = max(peak, held + building)
            held += self._stored(i, j) if i < j else 0
        last = len(self.chain) - 1
        n_blocks = len(right_factors(order)) + 1
        blocks = n_blocks * stream.BLOCK_ENTRIES * self._entry_bytes(last)
        working = max(self._working(0, j, stream.BLOCK_ENTRIES) for j in range(last + 1))
        return max(peak, held + blocks + working + self._result()) + self._transitions()

    @property
    def entry_bytes(self) -> int:
        """Bytes of one entry of the whole product."""
        return self._entry_bytes(len(self.chain) - 1)

    def beside_blocks(self, order: Order) -> int:
        """Bytes of the right factors of this order, and of the edges' probabilities.

        What is held while blocks of rows go through them and leave for elsewhere.
        """
        held = sum(
            self._stored(i, j) for i, j, _ in map(self._visit, right_factors(order)) if i < j
        )
        return held + self._transitions()

    def _visit(self, node: Order) -> tuple[int, int, int]:
        """First and last step of a sub-chain, and the peak of multiplying it."""
        if isinstance(node, int):
            return node, node, 0
        i, k, left_peak = self._visit(node[0])
        _, j, right_peak = self._visit(node[1])
        left = self._stored(i, k) if i < k else 0  # single steps are there already
        right = self._stored(k + 1, j) if k + 1 < j else 0
        both = left + right + self._stored(i, j) + self._working(i, j)
        return i, j, max(left_peak, left + right_peak, both)

    def _stored(self, i: int, j: int) -> int:
        return self._entry_bytes(j) * self.entries[i, j] + 8 * self.chain[i].n_rows

    def _entry_bytes(self, j: int) -> int:
        """Bytes of one entry of a product that ends with step j."""
        index_bytes = 4 if self.chain[j].n_cols <= INT32_MAX else 8
        return index_bytes + (0 if self.mode == "reach" else 8)

    def _working(self, i: int, j: int, most: int | None = None) -> int:
        """What kernels use beside the product of i..j, or so many of its entries at a time."""
        n_threads, n_cols, nnz = get_num_threads(), self.chain[j].n_cols, self.entries[i, j]
        nnz = nnz if most is None else min(nnz, most)
        block = min(BLOCK_ENTRIES, nnz // (BLOCKS_PER_THREAD * n_threads)) + min(n_cols, nnz)
        a_thread = (4 if self.mode == "reach" else 12) * n_cols + block * self._entry_bytes(j)
        return 48 * self.chain[i].n_rows + n_threads * a_thread

    def _result(self) -> int:
        """The SciPy matrix."""
        last = len(self.chain) - 1
        n_rows, nnz = self.chain[0].n_rows, self.entries[0, last]
        truth = nnz // N_MAPPINGS if nnz >= MAPPED_FROM else nnz
        wide_indices = 8 * nnz if nnz > INT32_MAX else 0  # SciPy's indptr and indices are of a kind
        trues = truth if self.mode == "reach" else 0
        return self._stored(0, last) + 5 * n_rows + trues + wide_indices

    def _transitions(self) -> int:
        """Probabilities of the edges, in mode "walk"."""
        return sum(0 if step.values is None else step.values.nbytes for step in self.chain)


def right_factors(order: Order) -> list[Order]:
    """The factors that the first step is multiplied by, one after the other."""
    factors: list[Order] = []
    while not isinstance(order, int):
        order, right = order
        factors.insert(0, right)
    return factors
