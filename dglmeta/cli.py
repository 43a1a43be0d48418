"""The command line: ``dglmeta`` or ``python -m dglmeta``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dglmeta
from dglmeta.errors import ConfigError, DataError, DglmetaError

__all__ = ["main"]

SYSTEMS = {"selar": "SELAR"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process when absent.

    Returns
    -------
    code : int
        0 when done, 2 when the input was wrong, 130 when interrupted.
    """
    arguments, rest = _parser().parse_known_args(argv)
    run: Callable[..., int] = arguments.run
    try:
        if arguments.takes_fields:
            return run(arguments, rest)
        if rest:
            raise ConfigError(
                f"{arguments.command}: unknown arguments {' '.join(rest)}. "
                f"`dglmeta {arguments.command} --help` lists what there is."
            )
        return run(arguments)
    except DglmetaError as error:
        print(f"dglmeta: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dglmeta: interrupted. A run with --out continues with --resume.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dglmeta",
        description="Auxiliary and meta learning on large heterogeneous graphs.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dglmeta {dglmeta.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(run=run, takes_fields=False)
        return sub

    def computes(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--data-dir", type=Path, help="folder of the data sets")
        sub.add_argument("--device", default="cpu", choices=("cpu", "cuda"))

    sub = command("doctor", _doctor, "versions, threads, GPU and a short self-test")
    sub.add_argument("--json", action="store_true")

    sub = command("info", _info, "types, counts, degrees, memory and meta-paths of a data set")
    sub.add_argument("data")
    sub.add_argument("--data-dir", type=Path, help="folder of the data sets")
    sub.add_argument("--json", action="store_true")

    sub = command("train", _train, "train a system; its settings are flags too")
    sub.set_defaults(takes_fields=True)
    sub.add_argument("system", choices=sorted(SYSTEMS))
    sub.add_argument("--data", required=True, help="a registered name or a folder of tables")
    sub.add_argument("--config", type=Path, help="settings as TOML; flags override it")
    sub.add_argument("--out", type=Path, help="run folder")
    sub.add_argument("--seed", type=int, default=0, help="initialisation and draws")
    sub.add_argument("--split-seed", type=int, default=0)
    sub.add_argument("--resume", action="store_true", help="continue the run in --out")
    computes(sub)

    sub = command("evaluate", _evaluate, "metrics of a finished run, computed afresh")
    sub.add_argument("folder", metavar="RUN", type=Path)
    sub.add_argument("--split", default="test", choices=("valid", "test"))
    sub.add_argument("--json", action="store_true")
    computes(sub)

    sub = command("embed", _embed, "node embeddings of a finished run")
    sub.add_argument("folder", metavar="RUN", type=Path)
    sub.add_argument("--out", type=Path, required=True, help="FILE.npz or FILE.parquet")
    computes(sub)

    sub = command("demo", _demo, "auxiliary learning on a planted graph, with its control")
    sub.add_argument("--seeds", type=int, default=3)
    return parser


def _doctor(arguments: argparse.Namespace) -> int:
    from dglmeta.report.doctor import examine

    report = examine()
    print(json.dumps(report.facts, indent=2) if arguments.json else report)
    return 0 if report.healthy else 2


def _info(arguments: argparse.Namespace) -> int:
    from dglmeta.report.info import describe

    report = describe(dglmeta.load_dataset(arguments.data, root=arguments.data_dir))
    print(json.dumps(report.facts, indent=2) if arguments.json else report)
    return 0


def _train(arguments: argparse.Namespace, fields: Sequence[str]) -> int:
    if arguments.resume and arguments.out is None:
        raise ConfigError("train: --resume needs --out, the run folder to continue.")
    system = _system(arguments.system)
    config = _config(system.Config, arguments, fields)
    ds = dglmeta.load_dataset(arguments.data, root=arguments.data_dir)
    result = system(config).fit(
        ds,
        seed=arguments.seed,
        split_seed=arguments.split_seed,
        out=arguments.out,
        resume=arguments.resume,
        device=arguments.device,
    )
    record = result.record
    settings = " ".join(str(record[k]) for k in ("encoder", "strategy", "protocol"))
    print(f"{record['system']} {settings} on {record['data']}, seed {record['seed']}")
    _print_metrics(result.metrics)
    print(
        f"best epoch {record['best_epoch']} of {record['epochs']}, "
        f"{1e3 * record['seconds_per_step']['median']:.1f} ms a step, "
        f"{record['seconds_total']:.1f} s, peak {record['peak_rss_mib']:.0f} MiB"
    )
    if arguments.out is not None:
        print(f"wrote {arguments.out}")
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    metrics = _load_run(arguments).evaluate(arguments.split)
    if arguments.json:
        print(json.dumps(metrics))
    else:
        _print_metrics(metrics)
    return 0


def _embed(arguments: argparse.Namespace) -> int:
    from dglmeta.report.export import write_embeddings

    embeddings = _load_run(arguments).embed()
    write_embeddings(arguments.out, embeddings)
    shapes = ", ".join(f"{name} {z.shape[0]} x {z.shape[1]}" for name, z in embeddings.items())
    print(f"wrote {arguments.out}: {shapes}")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from dglmeta.reproduce.demo import run_demo

    print(run_demo(seeds=arguments.seeds, say=lambda line: print(line, file=sys.stderr)))
    return 0


def _system(name: str) -> Any:
    """A system class by its command-line name."""
    return getattr(dglmeta.systems, SYSTEMS[name])


def _config(kind: type[Any], arguments: argparse.Namespace, fields: Sequence[str]) -> Any:
    """Settings from, in rising order: defaults, the packaged file, --config, flags."""
    import tyro

    from dglmeta.train import config_from_dict, packaged_config, read_config_file

    if arguments.config is not None:
        values = read_config_file(arguments.config)
    else:
        values = packaged_config(arguments.system, arguments.data)
    flags = ["--" + f.name.replace("_", "-") for f in dataclasses.fields(kind)]
    given = [f.split("=")[0].replace("_", "-") for f in fields if f.startswith("--")]
    unknown = [f for f in given if f not in flags and f != "--help"]
    if unknown:
        raise ConfigError(
            f"train {arguments.system}: unknown flags {' '.join(unknown)}. "
            f"Its settings are {' '.join(flags)}."
        )
    return tyro.cli(kind, args=list(fields), default=config_from_dict(kind, values))


def _load_run(arguments: argparse.Namespace) -> Any:
    """The result of a finished run, with its best state."""
    from dglmeta.systems.base import check_device
    from dglmeta.train import RunFolder, config_from_dict

    check_device(arguments.device)
    if not arguments.folder.is_dir():
        raise DataError(
            f"{arguments.command}: expected a run folder, got {arguments.folder}, which is not "
            f"there. Give what `dglmeta train --out` wrote."
        )
    run = RunFolder(arguments.folder)
    begun = run.read_config()
    system = _system(begun["system"])
    ds = dglmeta.load_dataset(begun["data"], root=arguments.data_dir)
    return system(config_from_dict(system.Config, begun["config"])).load(ds, run)


def _print_metrics(metrics: Any) -> None:
    for name, value in sorted(metrics.items()):
        print(f"  {name:<12} {value:.4f}")
