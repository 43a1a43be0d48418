"""The ceiling of all other groups: a copy of four gigabytes within the device's memory."""

from __future__ import annotations

from dglmeta.bench.gpu.bench import Bench


def run(bench: Bench) -> None:
    sets = bench.copied()
    case = "device to device, bytes read and written"
    bench.time(case, "copy", bench.xp.copyto, sets, n_bytes=2 * sets[0][0].nbytes)
