"""Trees of loss expressions, their tokens, and how they are written."""

from __future__ import annotations

import re
from typing import ClassVar, NamedTuple

__all__ = [
    "MOST_TOKENS",
    "OPERATORS",
    "TERMINALS",
    "Node",
    "as_tokens",
    "as_tree",
    "is_constant",
    "power",
    "write_infix",
    "write_latex",
]

OPERATORS = {
    "add": 2, "mul": 2, "neg": 1, "abs": 1, "inv": 1, "log": 1, "exp": 1, "tanh": 1, "square": 1,
    "sqrt": 1,
}  # fmt: skip
"""Operators and how many arguments each takes."""

TERMINALS = ("u", "y", "n")
"""Logits, one-hot labels, class counts."""

MOST_TOKENS = 256
"""Longer expressions are refused."""

HIGHEST_POWER = 8
"""Of those written with a circumflex."""

LARGEST = 3.4e38
"""Of numbers; float32 has none above."""

SUM, TERM, POWER, ATOM = range(4)
"""How tightly what is written holds together."""

_NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")


class Node(NamedTuple):
    """An expression as a tree."""

    op: str
    args: tuple[Node, ...] = ()


def is_constant(token: str) -> bool:
    """Whether a token is a number, such as ``2`` or ``0.5``, without a sign."""
    return _NUMBER.fullmatch(token) is not None and float(token) <= LARGEST


def as_tree(tokens: tuple[str, ...]) -> Node:
    """The tree of tokens in pre-order, which must be complete."""
    stack: list[Node] = []
    for token in reversed(tokens):
        stack.append(Node(token, tuple(stack.pop() for _ in range(OPERATORS.get(token, 0)))))
    return stack.pop()


def as_tokens(node: Node) -> tuple[str, ...]:
    """The tokens of a tree in pre-order."""
    return node.op, *(token for arg in node.args for token in as_tokens(arg))


def power(base: Node, exponent: int) -> Node:
    """``base ^ exponent`` of squares and, where the exponent is odd, products; at least 1."""
    if exponent == 1:
        return base
    if exponent % 2:
        return Node("mul", (power(base, exponent - 1), base))
    return Node("square", (power(base, exponent // 2),))


def _as_power(node: Node) -> tuple[Node, int]:
    """The base and exponent of which a node is the :func:`power`."""
    if node.op == "square":
        base, exponent = _as_power(node.args[0])
        return (base, 2 * exponent) if 2 * exponent <= HIGHEST_POWER else (node.args[0], 2)
    if node.op == "mul":
        base, exponent = _as_power(node.args[0])
        if exponent % 2 == 0 and exponent < HIGHEST_POWER and base == node.args[1]:
            return base, exponent + 1
    return node, 1


class _Infix:
    """Writes what :func:`dglmeta.tasks.parse_expression` reads back as the same tokens."""

    names: ClassVar[dict[str, str]] = {}
    times = "*"

    def write(self, node: Node, at_least: int = SUM) -> str:
        """The text, in brackets where it holds together less tightly than asked for."""
        text, level = self.text(node)
        return text if level >= at_least else self.bracket(text)

    def text(self, node: Node) -> tuple[str, int]:
        """The text and how tightly it holds together."""
        base, exponent = _as_power(node)
        if exponent > 1:
            return self.raised(base, exponent), POWER
        if node.op == "add":
            return self.sum(*node.args), SUM
        if node.op == "mul":
            return self.product(*node.args), TERM
        if node.op == "neg":
            return f"-{self.write(node.args[0], POWER)}", SUM
        if node.op == "inv":
            return self.fraction(Node("1"), node.args[0]), TERM
        if node.args:
            return self.call(node.op, node.args[0]), ATOM
        return self.names.get(node.op, node.op), ATOM

    def sum(self, left: Node, right: Node) -> str:
        """A sum, or a difference."""
        if right.op == "neg":
            return f"{self.write(left)} - {self.write(right.args[0], TERM)}"
        return f"{self.write(left)} + {self.write(right, TERM)}"

    def product(self, left: Node, right: Node) -> str:
        """A product, or a quotient; ``1/x`` is kept for ``inv``."""
        if right.op == "inv" and left.op != "1":
            return self.fraction(left, right.args[0])
        factor = self.call("inv", right.args[0]) if right.op == "inv" else self.write(right, POWER)
        return f"{self.write(left, TERM)}{self.times}{factor}"

    def bracket(self, text: str) -> str:
        """In round brackets."""
        return f"({text})"

    def raised(self, base: Node, exponent: int) -> str:
        """A power."""
        return f"{self.write(base, ATOM)}^{exponent}"

    def fraction(self, over: Node, under: Node) -> str:
        """A quotient."""
        return f"{self.write(over, TERM)}/{self.write(under, POWER)}"

    def call(self, op: str, arg: Node) -> str:
        """A function of one argument."""
        return f"|{self.write(arg)}|" if op == "abs" else f"{op}({self.write(arg)})"


class _Latex(_Infix):
    names: ClassVar[dict[str, str]] = {"u": r"\hat{y}", "n": "N"}
    times = r" \, "

    def bracket(self, text: str) -> str:
        return rf"\left({text}\right)"

    def raised(self, base: Node, exponent: int) -> str:
        if base.op in ("exp", "log", "tanh"):
            return rf"\{base.op}^{{{exponent}}}{self.bracket(self.write(base.args[0]))}"
        return f"{self.write(base, ATOM)}^{{{exponent}}}"

    def fraction(self, over: Node, under: Node) -> str:
        return rf"\frac{{{self.write(over)}}}{{{self.write(under)}}}"

    def call(self, op: str, arg: Node) -> str:
        if op == "abs":
            return rf"\left|{self.write(arg)}\right|"
        if op == "sqrt":
            return rf"\sqrt{{{self.write(arg)}}}"
        if op == "inv":
            return self.fraction(Node("1"), arg)
        return rf"\{op}{self.bracket(self.write(arg))}"


def write_infix(tokens: tuple[str, ...]) -> str:
    """A formula such as ``(y - n*u)^2``."""
    return _Infix().write(as_tree(tokens))


def write_latex(tokens: tuple[str, ...]) -> str:
    r"""A formula for print, with ``\hat{y}`` for u and ``N`` for n."""
    return _Latex().write(as_tree(tokens))
