"""Formulas read into loss expressions."""

from __future__ import annotations

import re
from typing import NamedTuple

from dglmeta.errors import ConfigError
from dglmeta.tasks.expression.compiled import Expression
from dglmeta.tasks.expression.text import (
    HIGHEST_POWER,
    MOST_TOKENS,
    OPERATORS,
    TERMINALS,
    Node,
    as_tokens,
    is_constant,
    power,
)

__all__ = ["parse_expression"]

MOST_NESTED = 50
"""Brackets and signs within one another."""

FUNCTIONS = {name for name, n_args in OPERATORS.items() if n_args == 1}

SPELLINGS = {"ŷ": "u", "y\u0302": "u", "N": "n", "−": "-", "·": "*"}  # noqa: RUF001
"""What is read as something else: signs as they stand in print."""

_LEXEME = re.compile(r"\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?|y\u0302|[^\W\d_]+|\S)")


class Lexeme(NamedTuple):
    """A word or sign of a formula."""

    text: str
    column: int
    """From 1."""


def parse_expression(text: str) -> Expression:
    """The expression of a formula.

    Parameters
    ----------
    text : str
        Of ``u`` (or ŷ), ``y``, ``n`` (or N) and numbers; ``+ - * /``, powers ``^2`` to ``^8``,
        brackets, bars ``|u|``, and the functions abs, exp, inv, log, neg, sqrt, square and tanh.
        ``a/b`` is a times ``inv(b)``, ``1/b`` is ``inv(b)``, ``a - b`` is a plus the negative of b,
        powers are squares and products. A minus sign binds more tightly than ``*`` and less than
        ``^``.

    Raises
    ------
    ConfigError
        If the text is no such formula, with the column where it ceases to be one.

    Examples
    --------
    >>> parse_expression("(y - n*u)^2").tokens
    ('square', 'add', 'y', 'neg', 'mul', 'n', 'u')
    >>> parse_expression("u + * y")
    Traceback (most recent call last):
    dglmeta.errors.ConfigError: parse_expression: expected u, y, n, a number, a function or a
    bracket, got '*' at column 5 of 'u + * y'. Correct the formula there.
    """
    reader = _Reader(text)
    node = reader.sum()
    if reader.ahead != "":
        raise reader.error("an operator or the end")
    tokens = as_tokens(node)
    if len(tokens) > MOST_TOKENS:
        raise ConfigError(
            f"parse_expression: expected at most {MOST_TOKENS} tokens, got {len(tokens)} of "
            f"'{text[:40]}...'. Shorten the formula."
        )
    return Expression(tokens)


def _lexemes(text: str) -> list[Lexeme]:
    return [
        Lexeme(SPELLINGS.get(found[1], found[1]), found.start(1) + 1)
        for found in _LEXEME.finditer(text)
    ]


class _Reader:
    """Recursive descent; each method reads what its name says."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lexemes = [*_lexemes(text), Lexeme("", len(text) + 1)]
        self.place = self.depth = 0

    @property
    def ahead(self) -> str:
        """The next word or sign; empty at the end."""
        return self.lexemes[self.place].text

    def error(self, expected: str) -> ConfigError:
        """What was expected where the reader stands."""
        column = self.lexemes[self.place].column
        got = repr(self.ahead) if self.ahead else "the end"
        return ConfigError(
            f"parse_expression: expected {expected}, got {got} at column {column} of "
            f"'{self.text}'. Correct the formula there."
        )

    def skip(self, *signs: str) -> str:
        """The next sign if it is one of these, which is then read; else nothing."""
        found = self.ahead
        if found not in signs:
            return ""
        self.place += 1
        return found

    def sum(self) -> Node:
        left = self.product()
        while sign := self.skip("+", "-"):
            right = self.product()
            left = Node("add", (left, right if sign == "+" else Node("neg", (right,))))
        return left

    def product(self) -> Node:
        left = self.signed()
        while sign := self.skip("*", "/"):
            right = self.signed()
            if sign == "*":
                left = Node("mul", (left, right))
            else:
                inverse = Node("inv", (right,))
                left = inverse if left == Node("1") else Node("mul", (left, inverse))
        return left

    def signed(self) -> Node:
        if not self.skip("-"):
            return self.raised()
        self.deeper()
        negative = Node("neg", (self.signed(),))
        self.depth -= 1
        return negative

    def raised(self) -> Node:
        base = self.atom()
        while self.skip("^"):
            if self.ahead not in map(str, range(2, HIGHEST_POWER + 1)):
                raise self.error(f"a power from 2 to {HIGHEST_POWER}")
            base = power(base, int(self.ahead))
            self.place += 1
            if len(as_tokens(base)) > MOST_TOKENS:
                raise self.error(f"at most {MOST_TOKENS} tokens before this place")
        return base

    def atom(self) -> Node:
        word = self.ahead
        if word in TERMINALS or is_constant(word):
            self.place += 1
            return Node(word)
        if self.skip("("):
            return self.until(")")
        if self.skip("|"):
            return Node("abs", (self.until("|"),))
        if self.skip(*FUNCTIONS):
            if not self.skip("("):
                raise self.error(f"'(' after {word}")
            return Node(word, (self.until(")"),))
        raise self.error("u, y, n, a number, a function or a bracket")

    def until(self, close: str) -> Node:
        """A sum and the bracket that closes it."""
        self.deeper()
        inside = self.sum()
        if not self.skip(close):
            raise self.error(f"an operator or '{close}'")
        self.depth -= 1
        return inside

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MOST_NESTED:
            raise self.error(f"at most {MOST_NESTED} brackets and signs within one another")
