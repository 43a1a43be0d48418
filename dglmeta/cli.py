"""The command line: ``dglmeta`` or ``python -m dglmeta``.

What a command does is in :mod:`dglmeta.commands`. Wrong input ends in one line on stderr and exit
code 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dglmeta
from dglmeta import commands, run_commands
from dglmeta.errors import DglmetaError
from dglmeta.flags import Parser, settings_parser, size, whole_number
from dglmeta.reproduce import TABLES
from dglmeta.system_names import SYSTEMS, system_class

__all__ = ["main"]


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
    arguments = None
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
        again = arguments is not None and arguments.command == "reproduce"
        with_out = "A run with --out continues with --resume."
        how = "The same command continues." if again else with_out
        return _complain(f"interrupted. {how}", 130)
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
    known = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str, **options: Any
    ) -> Parser:
        sub = known.add_parser(name, help=text, description=text, allow_abbrev=False, **options)
        sub.set_defaults(run=run, takes_settings=False)
        return sub

    def reads_data(sub: Parser) -> None:
        sub.add_argument("--data-dir", type=Path, help="folder of the data sets")

    def computes(sub: Parser) -> None:
        reads_data(sub)
        sub.add_argument("--device", default="cpu", choices=("cpu", "cuda"))

    def reads_run(sub: Parser) -> None:
        sub.add_argument("folder", metavar="RUN", type=Path)
        sub.add_argument("--system", metavar="FILE.py:CLASS",
                         help="where the system is, if it is your own")  # fmt: skip

    sub = command("doctor", commands.doctor, "versions, threads, GPU and a short self-test")
    sub.add_argument("--json", action="store_true")

    sub = command(
        "info", commands.info, "types, counts, degrees, memory and meta-paths of a data set"
    )
    sub.add_argument("data", metavar="DATA", help="a registered name or a folder of tables")
    reads_data(sub)
    sub.add_argument("--json", action="store_true")

    sub = command("labels", commands.labels, "pairs that meta-paths join, and others, to a folder")
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

    sub = command(
        "train", commands.train, "train a system; its settings are flags too", add_help=False
    )
    sub.set_defaults(takes_settings=True)
    sub.add_argument("system", metavar="SYSTEM", type=_system,
                     help=f"{', '.join(SYSTEMS)}, or your own: FILE.py:CLASS")  # fmt: skip
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

    sub = command("evaluate", run_commands.evaluate, "metrics of a finished run, computed afresh")
    reads_run(sub)
    sub.add_argument("--split", default="test", choices=("valid", "test"))
    sub.add_argument("--json", action="store_true")
    computes(sub)

    sub = command("embed", run_commands.embed, "node embeddings of a finished run")
    reads_run(sub)
    sub.add_argument("--out", type=Path, required=True, help="FILE.npz or FILE.parquet")
    sub.add_argument("--picture", type=Path, metavar="FILE.png",
                     help="embeddings of labelled nodes in the plane, by t-SNE")  # fmt: skip
    computes(sub)

    sub = command(
        "adapt",
        run_commands.adapt,
        "the likeliest links of a new graph, by a run of meta-graph",
        epilog="All edges of the graph are known. The encoder descends on them from what the run "
        "learned, then pairs of nodes without an edge are ranked. The file has the columns src, "
        "dst, logit and probability, the likeliest first; src and dst are the ids of your own "
        "tables where they have any, else numbers of nodes. The probability is that of a link "
        "among as many links as other pairs, and so is far too high among all pairs.",
    )
    sub.add_argument("folder", metavar="RUN", type=Path, help="what train meta-graph --out wrote")
    sub.add_argument("--data", required=True,
                     help="a registered name, or a folder of tables with one node type and one "
                     "edge type; with the features the run was trained on")  # fmt: skip
    sub.add_argument("--graph", metavar="NUMBER", type=whole_number(0), default=0,
                     help="which of a data set of many graphs (default: 0)")  # fmt: skip
    sub.add_argument("--steps", metavar="K", type=whole_number(0),
                     help="of gradient descent (default: the median of what was best for the "
                     "run's test graphs)")  # fmt: skip
    sub.add_argument("--top", metavar="N", type=whole_number(1),
                     help="pairs to write (default: 10 for each node)")  # fmt: skip
    sub.add_argument("--out", metavar="FILE", type=Path, required=True,
                     help="FILE.csv or FILE.parquet")  # fmt: skip
    reads_data(sub)

    sub = command("report", commands.report, "a page with pictures of how runs went")
    sub.add_argument("folders", metavar="RUN", type=Path, nargs="+")
    sub.add_argument("--out", metavar="PAGE", type=Path, default=Path("report.html"))

    sub = command("reproduce", commands.reproduce, "a paper's table, ours beside the printed one")
    sub.add_argument("table", metavar="TABLE", choices=TABLES, help=", ".join(TABLES))
    sub.add_argument("--rows", metavar="ROW,ROW", type=lambda text: text.split(","),
                     help="such as lastfm/gcn,lastfm/gat; all when absent")  # fmt: skip
    sub.add_argument("--columns", metavar="COLUMN,COLUMN", type=lambda text: text.split(","),
                     help="such as vanilla,selar or meta-graph,maml; all when absent")  # fmt: skip
    sub.add_argument("--seeds", metavar="N", type=whole_number(1), help="runs of each kind")
    sub.add_argument("--quick", action="store_true", help="a few epochs, to see that it works")
    sub.add_argument("--jobs", metavar="N", type=whole_number(1), default=1, help="processes")
    sub.add_argument("--known", metavar="FILE", type=Path,
                     help="an earlier TABLE.json, whose runs are not run again")  # fmt: skip
    sub.add_argument("--out", metavar="DIR", type=Path, default=Path("reproduce"))
    computes(sub)

    sub = command("bench", commands.bench, "kernels against the rivals that are installed")
    sub.add_argument("group", nargs="?", default="", help="part of a benchmark's name")
    sub.add_argument("--json", type=Path, metavar="FILE", help="raw measurements")
    sub.add_argument("--device", default="cpu", choices=("cpu", "cuda"))

    sub = command("demo", commands.demo, "auxiliary learning on a planted graph, with its control")
    sub.add_argument("--seeds", type=whole_number(1), default=3, help="runs of each kind")
    return parser


def _system(name: str) -> str:
    """A name on the command line, of one of ours or of a file or module with another."""
    if name not in SYSTEMS and ":" not in name:
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(SYSTEMS)}, or FILE.py:CLASS for your own, got {name!r}"
        )
    return name


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
            settings = settings_parser(namespace.system, system_class(namespace.system).Config)
            print("\n" + settings.format_help().strip())
        parser.exit()
