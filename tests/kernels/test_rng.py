"""The counter-based random numbers are those of the published mathematics, and uniform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dglmeta.kernels import reference, rng
from dglmeta.kernels.gpu import rng as gpu_rng

words = st.integers(0, 2**64 - 1).map(np.uint64)
counters = st.integers(-(2**63), 2**63 - 1)


def test_draws_are_those_of_splitmix64():
    # The generator's published outputs for the state 1234567.
    drawn = [rng.random_uint64(np.uint64(1234567), draw) for draw in range(3)]
    assert drawn == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(seed=counters, block=counters, row=counters, draw=st.integers(0, 2**40))
def test_streams_and_draws_equal_the_oracle(seed, block, row, draw):
    key = np.uint64(rng.stream(seed, block, row))
    assert key == reference.stream(seed, block, row)
    assert rng.random_uint64(key, draw) == reference.random_uint64(int(key), draw)


@given(bits=words, n=st.integers(0, 2**63 - 1))
def test_random_below_is_the_high_word_of_the_product(bits, n):
    assert rng.random_below(bits, n) == reference.random_below(int(bits), n)


@given(bits=words)
def test_random_unit_equals_the_oracle_and_stays_below_one(bits):
    assert rng.random_unit(bits) == reference.random_unit(int(bits))
    assert 0 <= rng.random_unit(bits) < 1


@given(seed=counters, rows=st.lists(counters, max_size=5), draw=st.integers(0, 100))
def test_an_array_of_draws_equals_single_draws(seed, rows, draw):
    expected = [reference.random_uint64(reference.stream(seed, 3, r), draw) for r in rows]
    drawn = rng.random_array(seed, 3, np.array(rows, np.int64), draw)
    assert drawn.tolist() == expected


def draw_at(seed: int = 1, block: int = 2, row: int = 3, draw: int = 0) -> int:
    return rng.random_uint64(np.uint64(rng.stream(seed, block, row)), draw)


@pytest.mark.parametrize("along", ["seed", "block", "row", "draw"])
def test_numbers_are_uniform_along_every_counter(along):
    bits = np.array([draw_at(**{along: k}) for k in range(20_000)], np.uint64)
    for shift in (0, 28, 56):
        octets = (bits >> np.uint64(shift)).astype(np.uint8)
        assert stats.chisquare(np.bincount(octets, minlength=256)).pvalue > 1e-3


def test_neighbouring_rows_are_uncorrelated():
    units = rng.random_array(0, 0, np.arange(100_000)) / 2**64
    for lag in (1, 2, 64):
        assert abs(np.corrcoef(units[lag:], units[:-lag])[0, 1]) < 0.012  # 3.8 sigma


def test_derived_seeds_differ_by_labels_and_stay_non_negative():
    labels = [(), (0,), (1,), (0, 1), (1, 0)]
    seeds = [rng.derive_seed(seed, *some) for seed in (-1, 0, 1) for some in labels]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


@given(seed=counters, block=counters, rows=st.lists(counters, max_size=5), draw=st.integers(0, 9))
def test_bits_on_a_device_are_those_of_the_host(cuda, seed, block, rows, draw):
    rows = np.array(rows, np.int64)
    there = gpu_rng.random_array(seed, block, cuda.asarray(rows), draw)
    assert np.array_equal(there.get(), rng.random_array(seed, block, rows, draw))
