"""Losses in print, found by AutoLINC and by its rivals, under names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from dglmeta.errors import ConfigError
from dglmeta.tasks.expression.compiled import Expression
from dglmeta.tasks.expression.parse import parse_expression

__all__ = ["NAMED_LOSSES", "PUBLISHED_FOR", "named_loss"]

PREFIX = "autolinc:"

_SEARCHED = {
    "A": "exp(tanh(u - y/n)^2)",
    "B": "(y - n*u)^2",
    "C": "u + (u - y/n)^2",
    "D": "tanh(u - y/n)^2",
    "E": "(tanh(y)/n - tanh(u))^2",
    "F": "(exp(-(y/n))^2 + u)^2",
    "G": "tanh(tanh(u - y/n))^2",
    "H": "(u - 1/(log(tanh(y)) + n))^2",
    "I": "(n*u - tanh(y))*u",
    "J": "(u + n + log(log(1/sqrt(y))))^2",
    "K": "(u + sqrt(sqrt(n*log(y)^2)))^2",
    "L": "log((y - u)^2 + log(n))",
    "M": "|u - y + tanh(n)^2|",
    "N": "(u + (n + log(log(1/sqrt(y)))))^2",
    "O": "u*(u + n + log(-log(y)))",
}

_JOINT = {
    "table6-cora": "tanh(y/n - u)^2",
    "table6-citeseer": "(2*u - y/n)^2",
    "table6-pubmed": "n*u^4 - u*y",
}

_BY_ENCODER = {
    "table12": {
        "gcn": ("u*((u - y)*n + u)", "(y - n*u^3)^2", "u + 1/exp(n*u*y)"),
        "gat": ("n + (y + sqrt(-u))^2", "n*(y - u)^4", "u + y*exp(n*|u|^2)"),
        "sage": ("n*|u - tanh(u + y)|", "n*tanh(tanh(y^2 - u))^2", "|u|/(n*sqrt(u + y))"),
    },
    "1h": {
        "gcn": ("(tanh(n*u) - y)^2", "(y - n*u)^2", "n*u^2 - y*u"),
        "gat": ("sqrt(u)*(u - y/n)", "u^2 - y*u/n", "y*exp(-(u*(y + n)))"),
        "sage": ("(tanh(n*u) + sqrt(-y))^2", "n*u^2 - y*u", "n*u^2 - y*u"),
    },
    "zero-a": {
        "gcn": (
            "((u + log(y))*(tanh(1) + u + y))^2",
            "tanh(tanh(-u)) + tanh(sqrt(u + y))",
            "|1 + y|*(u - y)*u^8",
        ),
        "gat": (
            "tanh(sqrt(u) + y) + (|u|*exp(y))^2",
            "(y^2 - y)*((-y)*sqrt(y))*log(log(1))/exp(1)",
            "((y + 1)*u)^2 + (exp(1) + sqrt(y))",
        ),
        "sage": (
            "((tanh(u) + u^2) - 2*y)^2",
            "y + sqrt(u + y) + exp(sqrt(-u))",
            "|y*u - 2|",
        ),
    },
    "zero-b": {
        "gcn": (
            "(exp(y)*u^2 + tanh(u))*(y*|n| + y + n + u)",
            "tanh((u - y)*(n + 2*u))",
            "(-sqrt(y))*(tanh(u) + u) + (log(n) + n)*u^2",
        ),
        "gat": (
            "(tanh(exp(u)) + 2*y*u)*(n + y + u)*u",
            "sqrt(u + n)*tanh(u) + u^2*y*sqrt(n)",
            "1/(n*tanh(u) + u + 1/y)",
        ),
        "sage": (
            "2*u*(tanh(n*u) - y + tanh(u))",
            "|u| + u + (y + u)*y*u + 2*n*sqrt(exp(u))",
            "u^4*n*tanh(u) - tanh(y*u)",
        ),
    },
}

_CITATION = ("cora", "citeseer", "pubmed")

NAMED_LOSSES: Mapping[str, str] = MappingProxyType(
    _SEARCHED
    | _JOINT
    | {
        f"{source}-{encoder}-{data}": text
        for source, by_encoder in _BY_ENCODER.items()
        for encoder, texts in by_encoder.items()
        for data, text in zip(_CITATION, texts, strict=True)
    }
)
"""Formulas by name. ``A`` to ``O``: table 2, each searched for one data set and encoder, see
:data:`PUBLISHED_FOR`. ``table6-<data>``: one loss for three encoders.
``table12-<encoder>-<data>``: beside GraphSHA. ``1h-<encoder>-<data>``: one hour's search, table 13.
``zero-a-<encoder>-<data>`` and ``zero-b-...``: found by AutoLoss-Zero in two ways; some are not
legal in AutoLINC's grammar, one has no logits."""

_DATA = (*_CITATION, "amazon-computers", "amazon-photo")

PUBLISHED_FOR: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        (data, encoder): name
        for encoder, names in (("gcn", "ABCJK"), ("gat", "DEFLM"), ("sage", "GHINO"))
        for data, name in zip(_DATA, names, strict=True)
    }
)
"""By (data set, encoder), the loss of table 2 that was searched for it."""


@cache
def named_loss(name: str) -> Expression:
    """A published loss by its name, or any loss by its formula.

    Parameters
    ----------
    name : str
        A key of :data:`NAMED_LOSSES`, with or without ``autolinc:`` before it; or a formula as
        for :func:`~dglmeta.tasks.expression_parse.parse_expression` after ``autolinc:``. Where both
        are possible, ``autolinc:N``, the name goes first.

    Raises
    ------
    ConfigError
        If there is no such name, with those that there are, or the formula is none.

    References
    ----------
    AutoLINC, ICML 2024, tables 2, 6, 12, 13 and those of AutoLoss-Zero. F is printed with
    ``exp(-2y/n)``, which fits the longest expression allowed only as ``exp(-y/n)^2``. N is J but
    for brackets; both are here as printed.

    Examples
    --------
    >>> named_loss("autolinc:B").infix, named_loss("1h-gcn-citeseer").infix
    ('(y - n*u)^2', '(y - n*u)^2')
    >>> named_loss("autolinc:u*(n*u - y)").infix
    'u*(n*u - y)'
    """
    bare = name.removeprefix(PREFIX).strip()
    if bare in NAMED_LOSSES:
        return parse_expression(NAMED_LOSSES[bare])
    known = f"Losses are {', '.join(NAMED_LOSSES)}; or give a formula, '{PREFIX}(y - n*u)^2'."
    if not name.startswith(PREFIX):
        raise ConfigError(f"named_loss: expected the name of a loss, got '{name}'. {known}")
    try:
        return parse_expression(bare)
    except ConfigError as error:
        raise ConfigError(
            f"named_loss: expected a name or a formula after '{PREFIX}', got '{bare}': {error} "
            f"{known}"
        ) from None
