"""``python -m dglmeta.bench.picture FILE.json ...``: a picture beside each file of measurements.

A panel a case, a bar an engine, as long as its median time over that of dglmeta, on a log scale.
Needs matplotlib: ``pip install 'dglmeta[report]'``.
"""

from __future__ import annotations

import argparse
import json
import math
import textwrap
from pathlib import Path

from dglmeta.bench.__main__ import OURS, by_case

PANELS_A_ROW = 3


def main() -> None:
    """Draw every file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    for file in parser.parse_args().files:
        draw(file, file.with_suffix(".png"))
        print(f"wrote {file.with_suffix('.png')}")


def draw(measurements: Path, picture: Path) -> None:
    """Draw the cases of a JSON file written by ``dglmeta bench --json``."""
    from matplotlib.figure import Figure

    medians = {
        case: {engine: row["stats"]["median"] for engine, row in engines.items()}
        for case, engines in by_case(json.loads(measurements.read_text())["benchmarks"]).items()
    }
    compared = {case: m for case, m in medians.items() if OURS in m and len(m) > 1}
    n_rows = max(1, math.ceil(len(compared) / PANELS_A_ROW))
    height = 0.7 + 0.25 * max((len(m) for m in compared.values()), default=1)
    figure = Figure(figsize=(4.6 * PANELS_A_ROW, height * n_rows), layout="constrained")
    for k, (case, times) in enumerate(compared.items()):
        _panel(figure.add_subplot(n_rows, PANELS_A_ROW, k + 1), case, times)
    figure.suptitle(f"{measurements.stem}: median time over that of {OURS}", fontsize=11)
    figure.savefig(picture, dpi=110)


def _panel(axes, case: str, times: dict[str, float]) -> None:
    engines = sorted(times, key=times.__getitem__, reverse=True)
    ratios = [times[engine] / times[OURS] for engine in engines]
    colours = ["#c2410c" if engine == OURS else "#94a3b8" for engine in engines]
    axes.barh(engines, ratios, color=colours, left=0)
    axes.set_xscale("log")
    axes.set_xlim(min(0.5, 0.8 * min(ratios)), 3 * max(ratios))
    for place, ratio in enumerate(ratios):
        axes.text(ratio, place, f" {ratio:.2g}", va="center", fontsize=8)
    title = textwrap.fill(f"{case} ({1e3 * times[OURS]:,.3g} ms)", 56)
    axes.set_title(title, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.set_xticks([], minor=True)  # the numbers at the bars say it all
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)


if __name__ == "__main__":
    main()
