"""Flags: values as a person types them, and a flag for every setting of a system."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from dglmeta.errors import ConfigError

__all__ = ["Parser", "settings_parser", "size", "whole_number"]


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments, and say which help to read."""
        raise ConfigError(f"{message}. Type: {self.prog} --help")


def whole_number(least: int) -> Callable[[str], int]:
    """A reader of whole numbers that every random generator takes."""

    def read(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) < 2**63):
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {least} to 2**63 - 1, got {text!r}"
            )
        return int(text)

    return read


def size(text: str) -> int:
    """Bytes meant by ``1GiB``, ``500MB`` or a plain number."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b?)", text.strip().lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a size such as 1GiB or 500MB, got {text!r}")
    number, unit, binary = found.groups()
    power = "kmgt".index(unit) + 1 if unit else 0
    return int(float(number) * (1024 if binary else 1000) ** power)


def settings_parser(system: str, kind: type[Any]) -> Parser:
    """A flag for each field of a config dataclass; those not given stay away from the result."""
    prog = f"dglmeta train {system}"
    parser = Parser(prog=prog, usage=argparse.SUPPRESS, add_help=False, allow_abbrev=False)
    group = parser.add_argument_group(f"settings of {system}")
    told = _told_of_fields(kind)
    for field in dataclasses.fields(kind):
        form: dict[str, Any] = {"type": type(field.default)}
        if isinstance(field.default, bool):
            form = {"action": argparse.BooleanOptionalAction}
        elif isinstance(field.default, tuple):
            form = {"nargs": "*", "action": _Listed, "kind": _kind_of_values(str(field.type))}
        text = f"{told.get(field.name, '')} (default: {field.default})".replace("%", "%%")
        flag = "--" + field.name.replace("_", "-")
        group.add_argument(flag, default=argparse.SUPPRESS, help=text, **form)
    return parser


def _kind_of_values(annotation: str) -> type:
    """What the values of a tuple are, by how it is annotated."""
    return next((kind for kind in (int, float) if kind.__name__ in annotation), str)


class _Listed(argparse.Action):
    """Several values, apart or with commas between them."""

    def __init__(
        self, option_strings: Sequence[str], dest: str, *, kind: type, **options: Any
    ) -> None:
        super().__init__(option_strings, dest, **options)
        self.kind = kind

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Keep them as one list."""
        del parser, option_string
        texts = [text for value in values for text in value.split(",") if text]
        try:
            setattr(namespace, self.dest, [self.kind(text) for text in texts])
        except ValueError as error:
            wrong = str(error).rpartition(": ")[2]
            message = f"invalid {self.kind.__name__} value: {wrong}"
            raise argparse.ArgumentError(self, message) from None


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
