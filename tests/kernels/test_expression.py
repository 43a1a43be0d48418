"""Programs of expressions give the values and slopes of their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.kernels import reference
from dglmeta.kernels.cpu.expression import CODES, evaluate_expressions

LEAVES, JOINS = ("constant", "u", "y", "n"), ("add", "mul")
EXACT = ("neg", "abs", "inv", "square", "sqrt")  # and joins: rounded rightly on any machine
ROUGH = ("log", "exp", "tanh")


def random_program(rng, length, functions):
    """Postfix names, at most as many as given."""
    names, depth = [], 0
    while True:
        left = length - len(names)
        kinds = (
            [LEAVES] * (left > depth)
            + [JOINS] * (depth > 1)
            + [functions] * (depth > 0 and left >= depth)
        )
        kind = kinds[rng.integers(len(kinds))]
        names.append(kind[rng.integers(len(kind))])
        depth += (kind is LEAVES) - (kind is JOINS)
        if depth == 1 and (left == 1 or rng.random() < 0.2):
            return names


def numbers(programs):
    length = max(map(len, programs)) + 1
    return np.array([[*(CODES[c] for c in p), *[0] * (length - len(p))] for p in programs], np.int8)


def inputs(n_programs, length, n=3, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    u = (3 * rng.normal(size=(n_programs, n, n_classes))).astype(np.float32)
    u[:, 0, 0] = 0
    y = np.eye(n_classes, dtype=np.float32)[rng.integers(0, n_classes, n)]
    counts = rng.integers(1, 30, n_classes).astype(np.float32)
    return rng.random((n_programs, length)).astype(np.float32) * 3, u, y, counts


@pytest.fixture(scope="module")
def kernel(twin):
    return twin("expression").evaluate_expressions


@pytest.fixture(scope="module")
def evaluate(kernel):
    """Value and slope of one program at one place."""

    def call(*names, u, y=0.0, n=1.0):
        arrays = (np.full((1, 1, 1), u), np.full((1, 1), y), np.full(1, n))
        program = numbers([names])
        found = kernel(
            program, np.zeros(program.shape, np.float32), *(a.astype(np.float32) for a in arrays)
        )
        return tuple(float(part.item()) for part in found)

    return call


@given(seed=st.integers(0, 10**6), n=st.integers(1, 4), length=st.integers(1, 14))
def test_it_equals_the_oracle_to_the_bit_where_arithmetic_is_exact(kernel, seed, n, length):
    rng = np.random.default_rng(seed)
    programs = numbers([random_program(rng, length, EXACT) for _ in range(5)])
    arrays = inputs(*programs.shape, n, seed=seed)
    with np.errstate(all="ignore"):
        expected = reference.evaluate_expressions(programs, *arrays)
    for got, wanted in zip(kernel(programs, *arrays), expected, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("n", [1, 5])
def test_it_equals_the_oracle_with_functions_that_are_rounded(kernel, n):
    rng = np.random.default_rng(0)
    programs = numbers([random_program(rng, 10, EXACT + ROUGH) for _ in range(2000)])
    arrays = inputs(*programs.shape, n)
    with np.errstate(all="ignore"):
        expected = reference.evaluate_expressions(programs, *arrays)
    for got, wanted in zip(kernel(programs, *arrays), expected, strict=True):
        close = np.isclose(got, wanted, rtol=1e-4, atol=1e-6, equal_nan=True)
        assert close.mean() > 0.995  # the rest lie behind differences of like numbers


@pytest.mark.parametrize("name", ROUGH)
def test_functions_are_right_to_a_few_bits(kernel, name):
    u = np.linspace(-9, 9, 999, dtype=np.float32).reshape(1, 333, 3)
    y = np.zeros((333, 3), np.float32)
    program = numbers([["u", name]])
    got = kernel(program, np.zeros((1, 3), np.float32), u, y, np.ones(3, np.float32))
    x = u.astype(np.float64)
    value, slope = {
        "log": (np.sign(x) * np.log(abs(x) + 1e-12), 1 / (abs(x) + 1e-12)),
        "exp": (np.exp(x), np.exp(x)),
        "tanh": (np.tanh(x), 1 - np.tanh(x) ** 2),
    }[name]
    zero = x == 0
    value[zero] = {"log": np.log(1e-12), "exp": 1, "tanh": 0}[name]
    np.testing.assert_allclose(got[0], value, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got[1], slope, rtol=1e-5, atol=5e-7)


def test_guards_are_those_that_were_recovered(evaluate):
    assert evaluate("u", "log", u=0) == (pytest.approx(np.log(1e-12)), pytest.approx(1e12))
    assert evaluate("u", "neg", "log", u=0)[0] == pytest.approx(np.log(1e-12))
    assert evaluate("u", "sqrt", u=0) == (pytest.approx(1e-6), pytest.approx(5e5))
    assert evaluate("u", "sqrt", u=-4) == (-2, 0.25)
    assert evaluate("u", "inv", u=0)[0] == pytest.approx(1e12)
    assert evaluate("u", "abs", u=0) == (0, 0)
    assert evaluate("u", "log", u=1) == (0, 1)  # 1 + 1e-12 is 1


def test_a_part_without_logits_has_no_slope_even_where_its_operators_have_none(evaluate):
    assert evaluate("n", "exp", "inv", "u", "add", u=3, n=1000) == (3, 1)
    assert evaluate("y", "sqrt", "inv", "square", "square", "square", "inv", "u", "add", u=2) == (
        2,
        1,
    )
    value, slope = evaluate("n", "exp", "u", "tanh", "add", u=2, n=1000)
    assert value == np.inf
    assert slope == pytest.approx(1 - np.tanh(2) ** 2)
    assert evaluate("y", "n", "add", u=2, n=3) == (3, 0)
    assert evaluate("n", "exp", u=2, n=1000) == (np.inf, 0)


@given(seed=st.integers(0, 999))
def test_elements_do_not_depend_on_how_many_there_are(kernel, seed):
    """More rows than are worked on at once, and parts kept by pairs or by elements."""
    rng = np.random.default_rng(seed)
    programs = numbers([random_program(rng, 9, EXACT + ROUGH) for _ in range(3)])
    constants, u, y, counts = inputs(*programs.shape, n=211, n_classes=5, seed=seed)
    whole = kernel(programs, constants, u, y, counts)
    for row in (0, 101, 210):
        one = kernel(programs, constants, u[:, [row]].copy(), y[[row]], counts)
        for got, wanted in zip(one, whole, strict=True):
            np.testing.assert_array_equal(got[:, 0], wanted[:, row])


def test_logits_may_be_the_same_for_all_and_labels_any_numbers(kernel):
    programs = numbers([["u", "y", "mul"], ["u", "y", "add"]])
    constants, u, y, counts = inputs(1, programs.shape[1], n=5)
    y = y + np.float32(0.5)
    got = kernel(programs, constants.repeat(2, 0), u, y, counts)
    np.testing.assert_array_equal(got[0], np.stack([u[0] * y, u[0] + y]))
    np.testing.assert_array_equal(got[1], np.stack([y, np.ones_like(y)]))


def test_it_gives_the_same_bits_in_any_number_of_threads(in_threads):
    rng = np.random.default_rng(0)
    programs = numbers([random_program(rng, 10, EXACT + ROUGH) for _ in range(20)])
    arrays = inputs(*programs.shape, n=300, n_classes=7)
    one, two = (in_threads(k, lambda: evaluate_expressions(programs, *arrays)) for k in (1, 2))
    for got, wanted in zip(one, two, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_arrays_that_may_not_be_written_are_welcome_and_none_is_written():
    programs = numbers([["u", "square", "n", "mul"]])
    arrays = (programs, *inputs(*programs.shape))
    for array in arrays:
        array.flags.writeable = False
    value, _ = evaluate_expressions(*arrays)
    np.testing.assert_array_equal(value, arrays[2] ** 2 * arrays[4])


def test_no_programs_and_no_rows_give_nothing(kernel):
    programs = numbers([["u"]])
    constants, u, y, counts = inputs(*programs.shape)
    assert kernel(programs[:0], constants[:0], u, y, counts)[0].shape == (0, 3, 4)
    assert kernel(programs, constants, u[:, :0], y[:0], counts)[1].shape == (1, 0, 4)
