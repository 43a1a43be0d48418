"""Loss functions as short expressions of logits, one-hot labels and class counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.errors import ConfigError, DataError
from dglmeta.kernels.cpu.expression import CODES, EPS
from dglmeta.tasks.expression.text import (
    MOST_TOKENS,
    OPERATORS,
    TERMINALS,
    is_constant,
    write_infix,
    write_latex,
)

__all__ = [
    "OPERATORS",
    "TERMINALS",
    "Expression",
    "compile_expressions",
    "expression_loss",
    "expression_values",
]


@dataclass(frozen=True)
class Expression:
    """An elementwise loss as tokens in pre-order, each operator before its arguments.

    Parameters
    ----------
    tokens : tuple of str
        Of :data:`OPERATORS` (``add`` and ``mul`` take two arguments, the others one), of
        :data:`TERMINALS` (``u`` logits, ``y`` one-hot labels, ``n`` class counts) and of
        non-negative numbers such as ``"2"``; at most 256.

    Raises
    ------
    ConfigError
        If a token is unknown, one is missing, or some are left over.

    References
    ----------
    AutoLINC, ICML 2024, grammar of section 4; numbers are in losses of AutoLoss-Zero only.

    Examples
    --------
    >>> loss = Expression(("square", "add", "y", "neg", "mul", "n", "u"))
    >>> loss.infix, loss.length
    ('(y - n*u)^2', 7)
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        _check(self.tokens)

    @property
    def length(self) -> int:
        """How many tokens there are, terminals and numbers included."""
        return len(self.tokens)

    @property
    def infix(self) -> str:
        """A formula that :func:`~dglmeta.tasks.expression_parse.parse_expression` reads back."""
        return write_infix(self.tokens)

    @property
    def latex(self) -> str:
        r"""A formula for print: ``\hat{y}`` for the logits, ``N`` for the counts."""
        return write_latex(self.tokens)

    def __str__(self) -> str:
        return self.infix


def _check(tokens: tuple[str, ...]) -> None:
    n_open = 1
    for place, token in enumerate(tokens):
        if n_open == 0:
            raise ConfigError(
                f"Expression: expected no token after token {place}, got {token!r} in {tokens}. "
                "Take it away, or put an operator first."
            )
        if token not in OPERATORS and token not in TERMINALS and not is_constant(token):
            raise ConfigError(
                f"Expression: expected {', '.join([*OPERATORS, *TERMINALS])} or a number, got "
                f"{token!r} as token {place + 1} of {tokens}. Correct it."
            )
        n_open += OPERATORS.get(token, 0) - 1
    if n_open:
        raise ConfigError(
            f"Expression: expected {n_open} more argument{'s' * (n_open > 1)}, got the end of "
            f"{tokens}. Add what is missing."
        )
    if len(tokens) > MOST_TOKENS:
        raise ConfigError(
            f"Expression: expected at most {MOST_TOKENS} tokens, got {len(tokens)}. Shorten it."
        )


def _sign(x: Tensor) -> Tensor:
    """1 for what is at least 0, else -1."""
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


def _log(x: Tensor) -> Tensor:
    sign = _sign(x)
    return sign * torch.log(sign * x + EPS)


def _sqrt(x: Tensor) -> Tensor:
    sign = _sign(x)
    return sign * torch.sqrt(sign * x + EPS)


_FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "mul": torch.mul,
    "neg": torch.neg,
    "abs": torch.abs,
    "inv": lambda x: torch.reciprocal(x + EPS),
    "log": _log,
    "exp": torch.exp,
    "tanh": torch.tanh,
    "square": torch.square,
    "sqrt": _sqrt,
}


def expression_values(expression: Expression, u: Tensor, y: Tensor, n: Tensor) -> Tensor:
    """The expression, element by element; shapes are broadcast.

    Guarded: ``inv x = 1 / (x + eps)``, ``log x = s(x) ln(|x| + eps)``, ``sqrt x = s(x) sqrt(|x| +
    eps)`` with ``eps = 1e-12`` and ``s(0) = 1``. In float32, for which the published losses are
    made, ``1 + eps == 1``; in float64 some of them have other values.

    Parameters
    ----------
    expression : Expression
    u, y, n : tensors of one floating dtype
        Logits, one-hot labels, class counts.

    Notes
    -----
    Differentiable any number of times, under ``torch.func`` too. A part without u is a constant,
    whatever its slope. The slope of ``abs`` is 0 at 0.

    Examples
    --------
    >>> loss = Expression(("mul", "u", "inv", "n"))
    >>> expression_values(loss, torch.tensor([3.0, 4.0]), torch.tensor(1.0), torch.tensor(2.0))
    tensor([1.5000, 2.0000])
    """
    leaves = {"u": u, "y": y, "n": n}
    stack: list[Tensor] = []
    for token in reversed(expression.tokens):
        if token in OPERATORS:
            stack.append(_FUNCTIONS[token](*(stack.pop() for _ in range(OPERATORS[token]))))
        elif token in leaves:
            stack.append(leaves[token])
        else:
            stack.append(torch.full((), float(token), dtype=u.dtype, device=u.device))
    return stack.pop().expand(np.broadcast_shapes(u.shape, y.shape, n.shape))


def expression_loss(
    expression: Expression, logits: Tensor, label: Tensor, counts: Tensor
) -> Tensor:
    """(n,) losses of samples: an expression's mean over the classes.

    Parameters
    ----------
    expression : Expression
    logits : (n, K) float32
        Other floating dtypes are served, but see :func:`expression_values`.
    label : (n,) int64
        In [0, K); a label out of range counts as a row of zeros.
    counts : (K,)
        Labelled training nodes a class, not their shares.

    Raises
    ------
    DataError
        If shapes do not fit.

    Notes
    -----
    Differentiable any number of times, under ``torch.func`` and ``vmap`` too. Cost O(n K length).

    References
    ----------
    AutoLINC, ICML 2024; the mean of the result over n is the loss. The guards are recovered: of
    the usual ones only these let all published losses classify rightly.

    Examples
    --------
    >>> loss = Expression(("square", "add", "y", "neg", "mul", "n", "u"))
    >>> expression_loss(loss, torch.zeros(1, 4), torch.tensor([2]), torch.tensor([9, 9, 2, 2]))
    tensor([0.2500])
    """
    n, n_classes = _shape(logits, label, counts)
    classes = torch.arange(n_classes, device=logits.device)
    y = (label[:, None] == classes).to(logits.dtype)  # (n, K)
    n_each = counts.to(logits.dtype)
    return expression_values(expression, logits, y, n_each).expand(n, n_classes).mean(dim=1)


def _shape(logits: Tensor, label: Tensor, counts: Tensor) -> tuple[int, int]:
    if logits.ndim != 2 or label.shape != logits.shape[:1] or counts.shape != logits.shape[1:]:
        raise DataError(
            "expression_loss: expected logits (n, K), label (n,) and counts (K,), got shapes "
            f"{tuple(logits.shape)}, {tuple(label.shape)} and {tuple(counts.shape)}. Pass one "
            "label a row and one count a column."
        )
    n, n_classes = logits.shape
    return n, n_classes


def compile_expressions(
    expressions: Sequence[Expression],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Programs for :func:`dglmeta.kernels.cpu.expression.evaluate_expressions`.

    Tokens in pre-order, read backwards, are those of the mirrored tree in post-order; sums and
    products are the same either way round, to the bit.

    Parameters
    ----------
    expressions : sequence of Expression

    Returns
    -------
    programs : (B, L) int8
        L is the length of the longest.
    constants : (B, L) float32

    Examples
    --------
    >>> programs, constants = compile_expressions([Expression(("add", "u", "2"))])
    >>> programs.tolist(), constants.tolist()
    ([[1, 2, 5]], [[2.0, 0.0, 0.0]])
    """
    shape = len(expressions), max((e.length for e in expressions), default=0)
    programs, constants = np.zeros(shape, np.int8), np.zeros(shape, np.float32)
    other = CODES["constant"]
    for b, expression in enumerate(expressions):
        codes = [CODES.get(token, other) for token in reversed(expression.tokens)]
        programs[b, : len(codes)] = codes
        if other in codes:
            for at, token in enumerate(reversed(expression.tokens)):
                if codes[at] == other:
                    constants[b, at] = float(token)
    return programs, constants
