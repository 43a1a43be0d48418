"""What each command of the command line does with its parsed arguments.

Each imports what it needs, so that ``--version`` and ``--help`` answer at once, and returns the
exit code.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import dglmeta
from dglmeta.errors import ConfigError
from dglmeta.flags import settings_parser
from dglmeta.system_names import system_class

__all__ = [
    "bench",
    "dataset_of",
    "demo",
    "doctor",
    "info",
    "labels",
    "print_metrics",
    "report",
    "reproduce",
    "train",
]


def doctor(arguments: argparse.Namespace) -> int:
    """Versions, threads, GPU and a short self-test."""
    from dglmeta.report.doctor import examine

    report = examine()
    print(json.dumps(report.facts, indent=2) if arguments.json else report)
    return 0 if report.healthy else 2


def info(arguments: argparse.Namespace) -> int:
    """Types, counts and meta-paths of a data set; of one of many graphs, their sizes."""
    from dglmeta.report.info import describe
    from dglmeta.report.info_graphs import describe_graphs

    ds = dglmeta.load_dataset(arguments.data, root=arguments.data_dir)
    report = describe_graphs(ds) if isinstance(ds, dglmeta.data.GraphDataset) else describe(ds)
    print(json.dumps(report.facts, indent=2) if arguments.json else report)
    return 0


def labels(arguments: argparse.Namespace) -> int:
    """A label store of pairs that meta-paths join, and others."""
    from tqdm import tqdm

    from dglmeta.labels.cluster import connect

    ds = dataset_of(arguments.data, arguments)
    budget = arguments.memory_budget
    if budget is not None and arguments.workers is not None:
        budget //= arguments.workers
    cluster = connect(arguments.scheduler) if arguments.scheduler else nullcontext()
    with cluster as executor, tqdm(unit="part", disable=arguments.dry_run or None) as bar:

        def show(done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.refresh()

        made = dglmeta.labels.generate(
            ds.csr,
            arguments.metapaths,
            arguments.out,
            positives=arguments.positives,
            negative_ratio=arguments.negative_ratio,
            seed=arguments.seed,
            budget_bytes=budget,
            executor=executor,
            workers=arguments.workers,
            resume=arguments.resume,
            progress=show,
            device=arguments.device,
            dry_run=arguments.dry_run,
        )
    if arguments.dry_run:
        print(made)
        return 0
    for path, n_rows, n_positives in zip(
        made.metapaths, made.n_rows, made.n_positives, strict=True
    ):
        print(f"{path}: {n_positives:,} positives, {n_rows - n_positives:,} negatives")
    print(f"wrote {arguments.out}")
    return 0


def train(arguments: argparse.Namespace) -> int:
    """Train a system, and say what came of it."""
    from dglmeta.systems.checks import check_device

    if arguments.resume and arguments.out is None:
        raise ConfigError("train: --resume needs --out, the run folder to continue.")
    check_device(arguments.device)
    system = system_class(arguments.system)
    config = _config(system, arguments)
    ds = dataset_of(arguments.data, arguments, many_graphs=system.many_graphs)
    for path in getattr(config, "metapaths", ()):
        dglmeta.MetaPath.parse(path, ds.csr.schema)
    result = system(config).fit(
        ds,
        seed=arguments.seed,
        split_seed=arguments.split_seed,
        out=arguments.out,
        resume=arguments.resume,
        device=arguments.device,
        precision=arguments.precision,
    )
    _print_record(result.record)
    if arguments.out is not None:
        print(f"wrote {arguments.out}")
    return 0


def _print_record(record: Mapping[str, Any]) -> None:
    """What a training run came to."""
    own = record.get("method") == record["system"]  # which then has a variant; no baseline has
    told = "variant" if own else "method"
    names = ("system", "encoder", "strategy", told, "protocol")
    kind = " ".join(record[name] for name in names if name in record)
    print(f"{kind} on {record['data']}, seed {record['seed']}")
    if record["system"] == "autolinc":
        _print_loss(record)
    print_metrics(record["metrics"])
    print(
        f"best epoch {record['best_epoch']} of {record['epochs']}, "
        f"{1e3 * record['seconds_per_step']['median']:.1f} ms a step, "
        f"{record['seconds_total']:.1f} s, peak {record['peak_rss_mib']:.0f} MiB"
    )


def _print_loss(record: Mapping[str, Any]) -> None:
    """The loss of a run, and how it was found if it was searched for."""
    print(f"loss {record['loss'].removeprefix('autolinc:')}")
    found = record.get("found", {})
    if "counts" in found:
        asked, trained = (found["counts"].get(name, 0) for name in ("asked", "trained"))
        print(f"found in {found['seconds']:.0f} s, among {asked:,} formulas, {trained:,} trained")


def print_metrics(metrics: Mapping[str, float]) -> None:
    """A line each."""
    width = max([12, *map(len, metrics)])
    for name, value in sorted(metrics.items()):
        print(f"  {name:<{width}} {value:.4f}")


def bench(arguments: argparse.Namespace) -> int:
    """Kernels against the rivals that are installed."""
    if arguments.device == "cuda":
        from dglmeta.bench.gpu.__main__ import main as run_on_gpu
        from dglmeta.systems.checks import check_device

        check_device("cuda")
        raw = [] if arguments.json is None else ["--json", str(arguments.json)]
        return run_on_gpu([arguments.group][: bool(arguments.group)] + raw)
    from dglmeta.bench.__main__ import run

    return run(arguments.group, arguments.json)


def demo(arguments: argparse.Namespace) -> int:
    """Auxiliary learning on a planted graph, with its control."""
    from dglmeta.reproduce.demo import run_demo

    notes = logging.getLogger("dglmeta")  # of the kernels, when they compile
    notes.addHandler(logging.StreamHandler())
    notes.setLevel(logging.INFO)
    print(run_demo(seeds=arguments.seeds, say=lambda line: print(line, file=sys.stderr)))
    return 0


def report(arguments: argparse.Namespace) -> int:
    """A page on some runs, with pictures."""
    from dglmeta.report.html import write_report

    page, *pictures = write_report(arguments.folders, arguments.out)
    print(f"wrote {page} and {len(pictures)} pictures in the runs' plots folders")
    return 0


def reproduce(arguments: argparse.Namespace) -> int:
    """A paper's table: ours beside the printed values."""
    from dglmeta.reproduce.command import reproduce as run

    table = run(
        arguments.table,
        rows=arguments.rows,
        columns=arguments.columns,
        seeds=arguments.seeds,
        quick=arguments.quick,
        out=arguments.out,
        data_dir=arguments.data_dir,
        device=arguments.device,
        jobs=arguments.jobs,
        known=arguments.known,
        say=lambda line: print(line, file=sys.stderr),
    )
    print(table)
    return 2 if table.failures else 0


def dataset_of(name: str, arguments: argparse.Namespace, *, many_graphs: bool = False) -> Any:
    """A data set, as one of many graphs or of a single one."""
    ds = dglmeta.load_dataset(name, root=arguments.data_dir)
    return ds if many_graphs else dglmeta.data.one_graph(ds)


def _config(system: type[Any], arguments: argparse.Namespace) -> Any:
    """Settings from, in rising order: defaults, the packaged file or --config, flags."""
    from dglmeta.train import config_from_dict, packaged_config, read_config_file

    kind = system.Config
    flags = vars(settings_parser(arguments.system, kind).parse_args(arguments.settings))
    if arguments.config is not None:
        values = read_config_file(arguments.config)
    else:
        telling = ("strategy", "encoder", "method", "variant")
        chosen = [flags.get(name, getattr(kind, name, "")) for name in telling]
        values = packaged_config(system.name, arguments.data, *chosen)
    return config_from_dict(kind, {**values, **flags})
