"""The doctor answers whatever is broken, and says what to type."""

import pytest

from dglmeta.report import doctor


def test_a_package_that_is_missing_is_advised(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package"))
    report = doctor.examine()
    assert report.facts["no-such-package"] is None
    assert "no-such-package is not installed: pip install no-such-package" in report.advice


def test_a_torch_that_does_not_import_is_a_fact_and_no_crash(monkeypatch):
    def broken():
        raise OSError("libtorch.so: bad ELF")

    monkeypatch.setattr(doctor, "_torch_facts", broken)
    report = doctor.examine()
    assert not report.healthy
    assert report.facts["self_test"]["error"] == "OSError: libtorch.so: bad ELF"
    assert "! the self-test failed" in str(report)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"torch_cuda": None, "gpu": None, "cupy": None}, []),
        ({"torch_cuda": "12.8", "gpu": "H", "cupy": "13.4", "cupy_cuda": "12.9"}, []),
        (
            {"torch_cuda": "13.0", "gpu": "H", "cupy": "13.4", "cupy_cuda": "12.9"},
            ["pip uninstall cupy-cuda12x, then pip install cupy-cuda13x"],
        ),
        ({"torch_cuda": "12.8", "gpu": "H", "cupy": None}, ["pip install cupy-cuda12x"]),
        ({"torch_cuda": "12.8", "gpu": None, "cupy": None}, ["nvidia-smi"]),
        ({}, []),
    ],
)
def test_wheels_that_do_not_fit_each_other_are_advised(facts, told):
    advice = list(doctor._wheels_apart(facts))
    assert len(advice) == len(told)
    assert all(part in line for part, line in zip(told, advice, strict=True))
