"""A run of the benchmarks: where it computes, what it has measured, and how that is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dglmeta.bench.gpu.timing import Clock, Sets, WallClock, time_calls
from dglmeta.bench.graphs import graph
from dglmeta.graph import HeteroCSR

__all__ = ["OURS", "Bench", "is_ours", "table"]

OURS = "dglmeta"
COPY_BYTES = 1 << 32
N_SETS = 3
"""Sets of inputs that take turns."""


@dataclass
class Bench:
    """Measures calls and keeps the rows.

    Parameters
    ----------
    xp, sparse : module
        CuPy and ``cupyx.scipy.sparse``.
    device : str
        What torch calls the device.
    clock : Clock
    quick : bool
        A small graph and few repeats, to see whether all of it runs.
    """

    xp: Any
    sparse: Any
    device: str
    clock: Clock
    quick: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)
    group: str = ""

    @property
    def most(self) -> int:
        """Timed calls of a case."""
        return 3 if self.quick else 30

    def size(self, name: str) -> str:
        """The graph taken for one of a size."""
        return "small" if self.quick else name

    def graph(self, size: str) -> HeteroCSR:
        """A graph on the host; made once, in up to some minutes, for all groups and later runs."""
        return graph(self.size(size))

    @cached_property
    def copy_gb_per_s(self) -> float:
        """Bytes read and written by a copy within the device's memory, in 10^9 a second."""
        sets = self.copied()
        times = time_calls(self.clock, self.xp.copyto, sets, self.most)
        return 2 * sets[0][0].nbytes / times.median_ms / 1e6

    def copied(self) -> list[tuple[Any, Any]]:
        """Where to and where from: four gigabytes of random numbers."""
        n = COPY_BYTES >> (6 if self.quick else 0)
        source = self.xp.random.default_rng(0).random(n // 8)
        return [(self.xp.empty_like(source), source)]

    def time(
        self,
        case: str,
        who: str,
        call: Callable[..., Any],
        sets: Sets = ((),),
        *,
        n_bytes: float | None = None,
        check: Callable[[Any], Any] | None = None,
        most: int | None = None,
        wall: bool = False,
        **extra: Any,
    ) -> None:
        """Check what a call gives for the first inputs, time it, and keep the row.

        A rival that fails leaves its error in the row; what fails of ours is raised.

        Parameters
        ----------
        case, who : str
            Rows of one case are compared; those of dglmeta begin with ``OURS``.
        n_bytes : float, optional
            Bytes that the call must move, to compare with what a copy moves.
        check : callable, optional
            Raises if the result is wrong.
        wall : bool
            Time by the host's clock: for calls that wait for the device in between.
        **extra
            Further columns.
        """
        row = {"group": self.group, "case": case, "who": who, **extra}
        clock = WallClock(self.clock.wait) if wall else self.clock
        try:
            result = call(*sets[0])
            if check is not None:
                check(result)
            del result
            row |= time_calls(clock, call, sets, most or self.most)._asdict()
        except Exception as error:  # whatever a library makes of a case is its result
            if is_ours(who):
                raise
            row["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        else:
            if n_bytes is not None:
                row |= self._rates(n_bytes, row["median_ms"])
        self.rows.append(row)
        self.free()

    def free(self) -> None:
        """Give back the memory that CuPy and torch keep for later."""
        import torch

        self.clock.wait()
        if hasattr(self.xp, "get_default_memory_pool"):
            self.xp.get_default_memory_pool().free_all_blocks()
        torch.cuda.empty_cache()

    def _rates(self, n_bytes: float, median_ms: float) -> dict[str, Any]:
        gb_per_s = n_bytes / median_ms / 1e6
        of_copy = gb_per_s / self.copy_gb_per_s
        return {"bytes": int(n_bytes), "gb_per_s": gb_per_s, "of_copy": of_copy}


def is_ours(who: str) -> bool:
    """Whether a row is of dglmeta on the device, and not on the host."""
    return who.startswith(OURS)


def table(rows: list[dict[str, Any]]) -> str:
    """Case after case, a line for each of those compared, the quickest first."""
    cases: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        cases.setdefault((row["group"], row["case"]), []).append(row)
    lines = []
    for (group, case), compared in cases.items():
        lines.append(f"{group}: {case}")
        lines += [_line(row) for row in sorted(compared, key=_order)]
        lines += _ratio(compared)
    return "\n".join(lines)


def _order(row: dict[str, Any]) -> float:
    return row.get("median_ms", float("inf"))


def _line(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"  {row['who']:<34}{row['error']}"
    line = f"  {row['who']:<34}{row['median_ms']:11.3f} ms  {row['p10']:.3f}-{row['p90']:.3f}"
    if "gb_per_s" in row:
        line += f"  {row['gb_per_s']:,.0f} GB/s, {row['of_copy']:.2f} of a copy"
    if "grown_mib" in row:
        line += f"  {row['grown_mib']:,.0f} MiB"
    return line


def _ratio(compared: list[dict[str, Any]]) -> list[str]:
    ours = [_order(row) for row in compared if is_ours(row["who"])]
    rivals = [_order(row) for row in compared if not is_ours(row["who"]) and "error" not in row]
    if not ours or not rivals:
        return []
    return [f"  -> {min(ours) / min(rivals):.2f} of the quickest rival's time"]
