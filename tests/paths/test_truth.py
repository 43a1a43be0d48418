"""Arrays of True are ordinary arrays, only smaller."""

from __future__ import annotations

import os

import numpy as np
import pytest

from dglmeta.paths import truth


@pytest.mark.parametrize("n", [0, 1, 5000, truth.MAPPED_FROM, truth.MAPPED_FROM + 12_345])
def test_all_are_true_and_can_be_written_without_touching_others(n):
    array, other = truth.all_true(n), truth.all_true(n)
    assert array.shape == (n,)
    assert array.dtype == np.bool_
    assert array.all()
    array[::3] = False
    assert array.sum() == n - len(array[::3])
    assert other.all()
    assert truth.all_true(n).all()


@pytest.mark.parametrize("refusal", ["memfd_create", "write"])
def test_a_system_that_refuses_gets_them_filled(monkeypatch, refusal):
    def refuse(*_):
        raise OSError("no")

    monkeypatch.setattr(os, refusal, refuse, raising=False)
    array = truth.all_true(truth.MAPPED_FROM)
    assert array.all()
    assert array.base is None


def test_a_system_without_the_call_gets_them_filled(monkeypatch):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert truth.all_true(truth.MAPPED_FROM).all()
