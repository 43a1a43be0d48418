"""One form for loss expressions that are the same by the plainest laws of algebra."""

from __future__ import annotations

from collections import Counter

from dglmeta.tasks.expression.compiled import Expression
from dglmeta.tasks.expression.text import Node, as_tokens, as_tree, power

__all__ = ["canonical"]

Term = tuple[tuple[str, ...], bool, Node]
"""Of a sum: its tokens, whether it is taken away, and the term without its sign."""

NEVER_NEGATIVE = ("abs", "square", "exp", "y", "n")


def canonical(expression: Expression) -> Expression:
    """The form that stands for an expression and all that are the same by these laws.

    Sums and products commute and associate; signs move out of products, tanh and sums, and vanish
    before another sign and within abs and square; abs vanishes within square and about what is
    never negative; a product of equal factors is a power, and powers of products are products of
    powers.

    Parameters
    ----------
    expression : Expression

    Returns
    -------
    form : Expression
        The same for all of these, and itself its own form. Not always the shortest: ``y - u`` is
        ``-(u - y)``.

    Raises
    ------
    ConfigError
        If the form has more than 256 tokens, which takes an expression of some hundred.

    Notes
    -----
    The laws hold for real numbers; in float32 sums and products of several members may differ in
    the last bit, and where ``1 + 1e-12`` stands for 1, or in an overflow, by more. Not seen:
    distributive laws, cancelled terms (``u - u``), laws of inv, log, exp and sqrt (whose guards
    break them), repeated terms (``u + u``), sums of numbers, and that ``y^2 = y``.

    Examples
    --------
    >>> from dglmeta.tasks.expression.parse import parse_expression
    >>> canonical(parse_expression("(y - n*u)^2")).infix
    '(n*u - y)^2'
    >>> canonical(parse_expression("(u*n - y)*(-(y - u*n))")).infix
    '(n*u - y)^2'
    """
    return Expression(as_tokens(_form(as_tree(expression.tokens))))


def _form(node: Node) -> Node:
    args = tuple(_form(arg) for arg in node.args)
    if node.op in ("add", "neg"):
        return _sum([term for arg in args for term in _terms(arg, node.op == "neg")])
    if node.op in ("mul", "square"):
        return _product([*args], 2 if node.op == "square" else 1)
    if node.op == "abs":
        inside = _unsigned(args[0])[1]
        return inside if inside.op in NEVER_NEGATIVE else Node("abs", (inside,))
    if node.op == "tanh":
        negative, inside = _unsigned(args[0])
        return _signed(negative, Node("tanh", (inside,)))
    return Node(node.op, args)


def _unsigned(node: Node) -> tuple[bool, Node]:
    """Whether a sign stands before a form, and the form without it."""
    return (True, node.args[0]) if node.op == "neg" else (False, node)


def _signed(negative: bool, node: Node) -> Node:
    return Node("neg", (node,)) if negative else node


def _chain(op: str, nodes: list[Node]) -> Node:
    chained = nodes[0]
    for node in nodes[1:]:
        chained = Node(op, (chained, node))
    return chained


def _terms(node: Node, negative: bool) -> list[Term]:
    """What a form adds up, each taken away if all of it is."""
    flipped, inside = _unsigned(node)
    if inside.op == "add":
        return [term for arg in inside.args for term in _terms(arg, negative ^ flipped)]
    return [(as_tokens(inside), negative ^ flipped, inside)]


def _sum(terms: list[Term]) -> Node:
    """Terms in order; of these and their negatives those that come first."""
    plain = sorted(terms)
    flipped = sorted((tokens, not negative, node) for tokens, negative, node in terms)
    negative = flipped < plain
    chosen = flipped if negative else plain
    return _signed(negative, _chain("add", [_signed(sign, node) for _, sign, node in chosen]))


def _factors(node: Node, exponent: int = 1) -> Counter[Node]:
    """The powers of what a form multiplies."""
    if node.op == "mul":
        return _factors(node.args[0], exponent) + _factors(node.args[1], exponent)
    if node.op == "square":
        return _factors(node.args[0], 2 * exponent)
    return Counter({node: exponent})


def _product(args: list[Node], exponent: int = 1) -> Node:
    """Factors in order, each raised to the power that it has."""
    signs, parts = zip(*map(_unsigned, args), strict=True)
    exponents = sum((_factors(part, exponent) for part in parts), Counter())
    while even := [f for f, k in exponents.items() if f.op == "abs" and k % 2 == 0]:
        for factor in even:
            exponents += _factors(factor.args[0], exponents.pop(factor))
    return _signed(sum(signs) * exponent % 2 == 1, _powers(exponents))


def _powers(exponents: Counter[Node]) -> Node:
    if all(k % 2 == 0 for k in exponents.values()):
        halves = Counter({factor: k // 2 for factor, k in exponents.items()})
        return Node("square", (_powers(halves),))
    ordered = sorted(exponents, key=as_tokens)
    return _chain("mul", [power(factor, exponents[factor]) for factor in ordered])
