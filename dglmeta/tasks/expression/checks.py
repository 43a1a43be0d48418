"""Whether a loss expression is worth training with, told from its values alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dglmeta.errors import DataError
from dglmeta.kernels.cpu.expression import evaluate_expressions
from dglmeta.tasks.expression.compiled import Expression, compile_expressions
from dglmeta.tasks.expression.text import TERMINALS

__all__ = [
    "Targets",
    "gradient_signature",
    "is_legal",
    "minimiser_gap",
    "minimisers",
    "separates",
    "which_separate",
]

Floats = npt.NDArray[np.float32]
Programs = tuple[npt.NDArray[np.int8], Floats]

N_PROBES = 64

BITS = 17
"""Kept of each slope: five digits."""

AT_ONCE = 1024
"""Expressions evaluated together."""

WIDEST = 30.0
"""Logits are looked at from minus this to this."""

N_LOGITS = 241
N_HALVINGS = 20
"""Of the interval about the least value on the grid."""

MARGIN = 1e-5
"""Targets nearer than this are one."""


def is_legal(expression: Expression) -> bool:
    """Whether it has logits, labels and counts.

    Examples
    --------
    >>> is_legal(Expression(("add", "u", "y"))), is_legal(Expression(("add", "u", "mul", "y", "n")))
    (False, True)
    """
    return {*TERMINALS}.issubset(expression.tokens)


def gradient_signature(expressions: Sequence[Expression]) -> list[bytes | None]:
    """Keys of slopes in the logits: equal for losses that train alike.

    The slope at 64 fixed triples (u, y, n), |u| from 0.01 to 8, y 0 or 1, n from 1 to 100, divided
    by its largest magnitude: positive multiples have the same key, which is exact for optimisers
    that do not see the scale of gradients (Adam but for its epsilon, without weight decay).

    Parameters
    ----------
    expressions : sequence of Expression

    Returns
    -------
    keys : list of 16 bytes, or None
        None where a value or slope is not finite at a triple, or the slope is 0 at all.

    Notes
    -----
    Slopes keep 17 bits, about five digits. Of two forms of one function that round differently
    some have different keys: equal keys are to be trusted, different ones are not proof. About 10
    microseconds an expression.

    References
    ----------
    AutoLINC, ICML 2024, equality check; probes and digits are defaults chosen here.

    Examples
    --------
    >>> from dglmeta.tasks.expression.parse import parse_expression as parse
    >>> one, two, other = gradient_signature([*map(parse, ("u*u", "2*u^2 + n", "u^2*n"))])
    >>> one == two, one == other, gradient_signature([parse("exp(exp(u*n))")])
    (True, False, [None])
    """
    u, y, n = _probes()
    keys: list[bytes | None] = []
    for some in _parts(expressions):
        value, slope = evaluate_expressions(*compile_expressions(some), u, y, n)
        fine = np.isfinite(value).all(axis=(1, 2)) & np.isfinite(slope).all(axis=(1, 2))
        largest = abs(slope).max(axis=(1, 2), initial=0, where=np.isfinite(slope))
        rows = _rounded(slope[:, 0].astype(np.float64), largest)
        good = (fine & (largest > 0)).tolist()
        keys += [
            blake2b(row.tobytes(), digest_size=16).digest() if ok else None
            for row, ok in zip(rows, good, strict=True)
        ]
    return keys


def _rounded(slope: npt.NDArray[np.float64], largest: Floats) -> npt.NDArray[np.float64]:
    """Rows over their largest magnitude, in few bits; what will not be used is 0."""
    scaled = np.where(np.isfinite(slope), slope, 0) / np.where(largest > 0, largest, 1)[:, None]
    mantissa, exponent = np.frexp(scaled)
    rounded: npt.NDArray[np.float64] = np.ldexp(np.rint(np.ldexp(mantissa, BITS)), exponent - BITS)
    return rounded + 0.0  # no negative zeros


@cache
def _probes() -> tuple[Floats, Floats, Floats]:
    """Logits (1, 1, 64), y (1, 64), n (64,), each spread evenly by multiples of an irrational."""
    at = np.arange(1, N_PROBES + 1)
    size = 0.01 * 800 ** (at * (np.sqrt(5) - 1) / 2 % 1)
    u = np.where(at % 4 < 2, size, -size)
    n = np.rint(100 ** (at * np.sqrt(2) % 1))
    return u[None, None].astype(np.float32), (at % 2)[None].astype(np.float32), n.astype(np.float32)


class Targets(NamedTuple):
    """Logits at which a loss is least, for the largest and the smallest class."""

    majority_own: float
    """Where y = 1, n the count of the largest class."""
    majority_other: float
    """Where y = 0."""
    minority_own: float
    """Where y = 1, n the count of the smallest class."""
    minority_other: float
    """Where y = 0."""


def minimiser_gap(expression: Expression, counts: Sequence[float]) -> Targets:
    """The logits that a loss drives to, within [-30, 30].

    Parameters
    ----------
    expression : Expression
    counts : (K,)
        Of classes, of which the largest and the smallest are looked at.

    Examples
    --------
    >>> from dglmeta.tasks.expression.named import named_loss
    >>> [round(target, 3) for target in minimiser_gap(named_loss("B"), (20, 20, 2))]
    [0.05, 0.0, 0.5, 0.0]
    """
    return Targets(*minimisers([expression], counts)[0].tolist())


def separates(expression: Expression, counts: Sequence[float]) -> bool:
    """As :func:`which_separate`, for one loss.

    Examples
    --------
    >>> from dglmeta.tasks.expression.named import named_loss
    >>> separates(named_loss("B"), (20, 2)), separates(named_loss("table6-pubmed"), (20, 2))
    (True, True)
    """
    return bool(which_separate([expression], counts)[0])


def which_separate(
    expressions: Sequence[Expression], counts: Sequence[float]
) -> npt.NDArray[np.bool_]:
    """(B,) whether logits at the least loss classify nodes of large and of small classes rightly.

    They do where the target of a node's own class, large or small, lies above those of both kinds
    of other classes by more than 1e-5.

    Parameters
    ----------
    expressions : sequence of B Expression
    counts : (K,)

    Notes
    -----
    About 20 microseconds an expression. A filter before training: losses that fall for ever end at
    a bound, and such are in print.

    References
    ----------
    AutoLINC, ICML 2024, has no such check; a default chosen here, which all its losses of table 2
    pass.

    Examples
    --------
    >>> from dglmeta.tasks.expression.named import named_loss
    >>> which_separate([named_loss("B"), named_loss("autolinc:(u + y*n)^2")], (20, 2)).tolist()
    [True, False]
    """
    targets = minimisers(expressions, counts)
    own, other = targets[:, [0, 2]], targets[:, [1, 3]]
    passed: npt.NDArray[np.bool_] = own.min(axis=1) > other.max(axis=1) + MARGIN
    return passed


def minimisers(expressions: Sequence[Expression], counts: Sequence[float]) -> Floats:
    """(B, 4) float32: the :class:`Targets` of many losses.

    The least of 241 values, denser near 0, and of equal ones that nearest to 0, whence logits
    start; then halved on the sign of the slope. Values that are not finite count as greatest.

    Parameters
    ----------
    expressions : sequence of B Expression
    counts : (K,)

    Raises
    ------
    DataError
        If there are no counts, or one is not positive.
    """
    n_each = np.asarray(counts, np.float32)
    if len(n_each) == 0 or not (np.isfinite(n_each) & (n_each > 0)).all():
        raise DataError(
            f"minimisers: expected positive counts of classes, got {list(counts)}. Give the number "
            "of labelled nodes of each class."
        )
    y, n = np.array([1, 0, 1, 0], np.float32), np.repeat([n_each.max(), n_each.min()], 2)
    found = [_least(compile_expressions(some), y, n) for some in _parts(expressions)]
    return np.concatenate([np.zeros((0, 4), np.float32), *found])


def _least(programs: Programs, y: Floats, n: Floats) -> Floats:
    grid = WIDEST * np.sinh(np.linspace(-6, 6, N_LOGITS, dtype=np.float32)) / np.sinh(6)
    u = np.repeat(grid.astype(np.float32)[None, :, None], 4, axis=2)
    value, _ = evaluate_expressions(*programs, u, np.tile(y, (N_LOGITS, 1)), n)
    outward = np.argsort(abs(grid), kind="stable")
    by_size = np.where(np.isfinite(value), value, np.inf)[:, outward]
    at = outward[by_size.argmin(axis=1)]  # (B, 4)
    ends = (at - 1).clip(min=0), (at + 1).clip(max=N_LOGITS - 1)
    low, high = (u[0, end, 0] for end in ends)
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2
        _, slope = evaluate_expressions(*programs, middle[:, None], y[None], n)
        low, high = (
            np.where(slope[:, 0] > 0, low, middle), np.where(slope[:, 0] < 0, high, middle)
        )  # fmt: skip
    halved: Floats = (low + high) / 2
    return halved


def _parts(expressions: Sequence[Expression]) -> list[Sequence[Expression]]:
    return [expressions[i : i + AT_ONCE] for i in range(0, len(expressions), AT_ONCE)]
