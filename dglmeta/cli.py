"""The command line: ``dglmeta`` or ``python -m dglmeta``.

A command is a function of the parsed arguments; it imports what it needs, so that ``--version`` and
``--help`` answer at once. Wrong input ends in one line on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import dglmeta
from dglmeta.errors import ConfigError, DglmetaError
from dglmeta.flags import Parser, settings_parser, size, whole_number

__all__ = ["main"]

SYSTEMS = {"selar": "SELAR"}
"""Class in dglmeta.systems by name on the command line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process when absent.

    Returns
    -------
    code : int
        0 when done, 2 when the input was wrong or a file could not be read or written, 130 when
        interrupted.
    """
    try:
        arguments, rest = _parser().parse_known_args(argv)
        arguments.settings = rest
        if rest and not arguments.takes_settings:
            Parser(prog=f"dglmeta {arguments.command}").error(f"unknown {' '.join(rest)}")
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads us, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except DglmetaError as error:
        return _complain(str(error), 2)
    except OSError as error:
        return _complain(f"expected to read and write files, got {error}. Check the disk.", 2)
    except KeyboardInterrupt:
        return _complain("interrupted. A run with --out continues with --resume.", 130)
    return code


def _complain(text: str, code: int) -> int:
    print(f"dglmeta: {' '.join(text.split())}", file=sys.stderr)
    return code


def _parser() -> Parser:
    parser = Parser(
        prog="dglmeta",
        description="Auxiliary and meta learning on large heterogeneous graphs.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dglmeta {dglmeta.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str, **options: Any
    ) -> Parser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False, **options)
        sub.set_defaults(run=run, takes_settings=False)
        return sub

    def reads_data(sub: Parser) -> None:
        sub.add_argument("--data-dir", type=Path, help="folder of the data sets")

    def computes(sub: Parser) -> None:
        reads_data(sub)
        sub.add_argument("--device", default="cpu", choices=("cpu", "cuda"))

    sub = command("doctor", _doctor, "versions, threads, GPU and a short self-test")
    sub.add_argument("--json", action="store_true")

    sub = command("info", _info, "types, counts, degrees, memory and meta-paths of a data set")
    sub.add_argument("data", metavar="DATA", help="a registered name or a folder of tables")
    reads_data(sub)
    sub.add_argument("--json", action="store_true")

    sub = command("labels", _labels, "pairs that meta-paths join, and others, to a folder")
    sub.add_argument("data", metavar="DATA", help="a registered name or a folder of tables")
    sub.add_argument("--metapath", metavar="P", action="append", required=True, dest="metapaths",
                     help="such as user-item-user; give the flag once for each")  # fmt: skip
    sub.add_argument("--out", metavar="DIR", type=Path, required=True, help="the label store")
    sub.add_argument("--positives", metavar="N", type=whole_number(1),
                     help="so many drawn for each meta-path; all pairs when absent")  # fmt: skip
    sub.add_argument("--negative-ratio", metavar="R", type=float, default=1.0,
                     help="negatives for each positive (default: 1)")  # fmt: skip
    sub.add_argument("--memory-budget", metavar="SIZE", type=size,
                     help="refuse what needs more beside the graph, such as 1GiB")  # fmt: skip
    who = sub.add_mutually_exclusive_group()
    who.add_argument("--workers", metavar="N", type=whole_number(1), help="processes")
    who.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster")
    sub.add_argument("--seed", metavar="S", type=whole_number(0), default=0)
    sub.add_argument("--dry-run", action="store_true", help="only say what is to be expected")
    sub.add_argument("--resume", action="store_true", help="keep what is whole in --out")
    computes(sub)

    sub = command("train", _train, "train a system; its settings are flags too", add_help=False)
    sub.set_defaults(takes_settings=True)
    sub.add_argument("system", choices=sorted(SYSTEMS))
    sub.add_argument("--data", required=True, help="a registered name or a folder of tables")
    sub.add_argument("--config", type=Path, help="settings as TOML; flags override it")
    sub.add_argument("--out", type=Path, help="run folder; a run that is in it is replaced")
    seed = whole_number(0)
    sub.add_argument("--seed", type=seed, default=0, help="initialisation and draws")
    sub.add_argument("--split-seed", type=seed, default=0, help="the split")
    sub.add_argument("--resume", action="store_true", help="continue the run in --out")
    sub.add_argument("--precision", default="highest", choices=("highest", "high"),
                     help="of dense products; high is TF32 on a GPU")  # fmt: skip
    computes(sub)
    sub.add_argument("-h", "--help", action=_TrainHelp, help="this, and the system's settings")

    sub = command("evaluate", _evaluate, "metrics of a finished run, computed afresh")
    sub.add_argument("folder", metavar="RUN", type=Path)
    sub.add_argument("--split", default="test", choices=("valid", "test"))
    sub.add_argument("--json", action="store_true")
    computes(sub)

    sub = command("embed", _embed, "node embeddings of a finished run")
    sub.add_argument("folder", metavar="RUN", type=Path)
    sub.add_argument("--out", type=Path, required=True, help="FILE.npz or FILE.parquet")
    computes(sub)

    sub = command("bench", _bench, "kernels against the rivals that are installed")
    sub.add_argument("group", nargs="?", default="", help="part of a benchmark's name")
    sub.add_argument("--json", type=Path, metavar="FILE", help="raw measurements")
    sub.add_argument("--device", default="cpu", choices=("cpu", "cuda"))

    sub = command("demo", _demo, "auxiliary learning on a planted graph, with its control")
    sub.add_argument("--seeds", type=whole_number(1), default=3, help="runs of each kind")
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


def _labels(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from dglmeta.labels.cluster import connect

    ds = dglmeta.load_dataset(arguments.data, root=arguments.data_dir)
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


def _train(arguments: argparse.Namespace) -> int:
    from dglmeta.systems.base import check_device

    if arguments.resume and arguments.out is None:
        raise ConfigError("train: --resume needs --out, the run folder to continue.")
    check_device(arguments.device)
    system = _system(arguments.system)
    config = _config(system.Config, arguments)
    ds = dglmeta.load_dataset(arguments.data, root=arguments.data_dir)
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
    kind = " ".join(record[k] for k in ("system", "encoder", "strategy", "protocol") if k in record)
    print(f"{kind} on {record['data']}, seed {record['seed']}")
    _print_metrics(record["metrics"])
    print(
        f"best epoch {record['best_epoch']} of {record['epochs']}, "
        f"{1e3 * record['seconds_per_step']['median']:.1f} ms a step, "
        f"{record['seconds_total']:.1f} s, peak {record['peak_rss_mib']:.0f} MiB"
    )


def _print_metrics(metrics: Mapping[str, float]) -> None:
    for name, value in sorted(metrics.items()):
        print(f"  {name:<12} {value:.4f}")


def _evaluate(arguments: argparse.Namespace) -> int:
    metrics = _load_run(arguments).evaluate(arguments.split)
    if arguments.json:
        print(json.dumps(metrics))
    else:
        _print_metrics(metrics)
    return 0


def _embed(arguments: argparse.Namespace) -> int:
    from dglmeta.report.export import check_embeddings_path, write_embeddings

    check_embeddings_path(arguments.out)
    embeddings = _load_run(arguments).embed()
    write_embeddings(arguments.out, embeddings)
    shapes = ", ".join(f"{name} {z.shape[0]} x {z.shape[1]}" for name, z in embeddings.items())
    print(f"wrote {arguments.out}: {shapes}")
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    if arguments.device == "cuda":
        from dglmeta.bench.gpu.__main__ import main as run_on_gpu
        from dglmeta.systems.base import check_device

        check_device("cuda")
        raw = [] if arguments.json is None else ["--json", str(arguments.json)]
        return run_on_gpu([arguments.group][: bool(arguments.group)] + raw)
    from dglmeta.bench.__main__ import run

    return run(arguments.group, arguments.json)


def _demo(arguments: argparse.Namespace) -> int:
    from dglmeta.reproduce.demo import run_demo

    notes = logging.getLogger("dglmeta")  # of the kernels, when they compile
    notes.addHandler(logging.StreamHandler())
    notes.setLevel(logging.INFO)
    print(run_demo(seeds=arguments.seeds, say=lambda line: print(line, file=sys.stderr)))
    return 0


def _system(name: str) -> Any:
    """A system class by its command-line name."""
    if name not in SYSTEMS:
        raise ConfigError(f"expected a system among {', '.join(SYSTEMS)}, got {name!r}.")
    return getattr(dglmeta.systems, SYSTEMS[name])


def _load_run(arguments: argparse.Namespace) -> Any:
    """The result of a finished run, with its best state."""
    from dglmeta.systems.base import check_device
    from dglmeta.train import RunFolder, config_from_dict

    check_device(arguments.device)
    run = RunFolder(arguments.folder, write=False)
    begun = run.read_config()
    system = _system(begun["system"])
    config = config_from_dict(system.Config, begun["config"])
    ds = dglmeta.load_dataset(begun["data"], root=arguments.data_dir)
    return system(config).load(ds, run, device=arguments.device)


def _config(kind: type[Any], arguments: argparse.Namespace) -> Any:
    """Settings from, in rising order: defaults, the packaged file or --config, flags."""
    from dglmeta.train import config_from_dict, packaged_config, read_config_file

    flags = vars(settings_parser(arguments.system, kind).parse_args(arguments.settings))
    if arguments.config is not None:
        values = read_config_file(arguments.config)
    else:
        chosen = [flags.get(name, getattr(kind, name, "")) for name in ("strategy", "encoder")]
        values = packaged_config(arguments.system, arguments.data, *chosen)
    return config_from_dict(kind, {**values, **flags})


class _TrainHelp(argparse.Action):
    """Help on ``train``, and on the settings of the system if one is named."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Print and leave."""
        del values, option_string
        parser.print_help()
        if namespace.system is None:
            print("\nA system's own settings: dglmeta train SYSTEM --help")
        else:
            settings = settings_parser(namespace.system, _system(namespace.system).Config)
            print("\n" + settings.format_help().strip())
        parser.exit()
