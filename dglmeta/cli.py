"""The command line: ``dglmeta`` or ``python -m dglmeta``.

A command is a function of the parsed arguments; it imports what it needs, so that ``--version`` and
``--help`` answer at once. Wrong input ends in one line on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import dglmeta
from dglmeta.errors import ConfigError, DglmetaError

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
            _Parser(prog=f"dglmeta {arguments.command}").error(f"unknown {' '.join(rest)}")
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


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. Type: {self.prog} --help")


def _parser() -> _Parser:
    parser = _Parser(
        prog="dglmeta",
        description="Auxiliary and meta learning on large heterogeneous graphs.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dglmeta {dglmeta.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str, **options: Any
    ) -> _Parser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False, **options)
        sub.set_defaults(run=run, takes_settings=False)
        return sub

    def reads_data(sub: _Parser) -> None:
        sub.add_argument("--data-dir", type=Path, help="folder of the data sets")

    def computes(sub: _Parser) -> None:
        reads_data(sub)
        sub.add_argument("--device", default="cpu", choices=("cpu", "cuda"))

    sub = command("doctor", _doctor, "versions, threads, GPU and a short self-test")
    sub.add_argument("--json", action="store_true")

    sub = command("info", _info, "types, counts, degrees, memory and meta-paths of a data set")
    sub.add_argument("data", metavar="DATA", help="a registered name or a folder of tables")
    reads_data(sub)
    sub.add_argument("--json", action="store_true")

    sub = command("train", _train, "train a system; its settings are flags too", add_help=False)
    sub.set_defaults(takes_settings=True)
    sub.add_argument("system", choices=sorted(SYSTEMS))
    sub.add_argument("--data", required=True, help="a registered name or a folder of tables")
    sub.add_argument("--config", type=Path, help="settings as TOML; flags override it")
    sub.add_argument("--out", type=Path, help="run folder; a run that is in it is replaced")
    seed = _whole_number(0)
    sub.add_argument("--seed", type=seed, default=0, help="initialisation and draws")
    sub.add_argument("--split-seed", type=seed, default=0, help="the split")
    sub.add_argument("--resume", action="store_true", help="continue the run in --out")
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

    sub = command("demo", _demo, "auxiliary learning on a planted graph, with its control")
    sub.add_argument("--seeds", type=_whole_number(1), default=3, help="runs of each kind")
    return parser


def _whole_number(least: int) -> Callable[[str], int]:
    """A reader of whole numbers that every random generator takes."""

    def read(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) < 2**63):
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {least} to 2**63 - 1, got {text!r}"
            )
        return int(text)

    return read


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


def _demo(arguments: argparse.Namespace) -> int:
    from dglmeta.reproduce.demo import run_demo

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
    return system(config).load(dglmeta.load_dataset(begun["data"], root=arguments.data_dir), run)


def _config(kind: type[Any], arguments: argparse.Namespace) -> Any:
    """Settings from, in rising order: defaults, the packaged file or --config, flags."""
    from dglmeta.train import config_from_dict, packaged_config, read_config_file

    flags = vars(_settings_parser(arguments.system, kind).parse_args(arguments.settings))
    if arguments.config is not None:
        values = read_config_file(arguments.config)
    else:
        strategy = flags.get("strategy", getattr(kind, "strategy", ""))
        values = packaged_config(arguments.system, arguments.data, strategy)
    return config_from_dict(kind, {**values, **flags})


def _settings_parser(system: str, kind: type[Any]) -> _Parser:
    """A flag for each field of a config dataclass; those not given stay away from the result."""
    prog = f"dglmeta train {system}"
    parser = _Parser(prog=prog, usage=argparse.SUPPRESS, add_help=False, allow_abbrev=False)
    group = parser.add_argument_group(f"settings of {system}")
    told = _told_of_fields(kind)
    for field in dataclasses.fields(kind):
        form: dict[str, Any] = {"type": type(field.default)}
        if isinstance(field.default, bool):
            form = {"action": argparse.BooleanOptionalAction}
        elif isinstance(field.default, tuple):
            form = {"nargs": "*"}
        text = f"{told.get(field.name, '')} (default: {field.default})".replace("%", "%%")
        flag = "--" + field.name.replace("_", "-")
        group.add_argument(flag, default=argparse.SUPPRESS, help=text, **form)
    return parser


def _told_of_fields(kind: type[Any]) -> dict[str, str]:
    """What a config's docstring says of each field: its choices and its meaning."""
    told: dict[str, str] = {}
    names: list[str] = []
    for line in inspect.cleandoc(kind.__doc__ or "").splitlines():
        if line.startswith("    "):
            told |= {name: f"{told[name]} {line.strip()}".strip() for name in names}
        elif " : " in line:
            together, _, form = line.partition(" : ")
            names = together.split(", ")
            told |= dict.fromkeys(names, form if form.startswith("{") else "")
    return told


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
            settings = _settings_parser(namespace.system, _system(namespace.system).Config)
            print("\n" + settings.format_help().strip())
        parser.exit()
