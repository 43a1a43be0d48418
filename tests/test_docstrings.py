"""Examples in the docstrings of ``kernels/`` and ``bench/``, run under their installed names.

pytest would collect them by folder and import ``kernels/`` a second time, as ``kernels``; Numba
would then cache machine code that belongs to a module no other process can find.
"""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WITH_EXAMPLES = [
    file.relative_to(ROOT)
    for folder in ("kernels", "bench")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if ">>> " in file.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("file", WITH_EXAMPLES, ids=str)
def test_every_example_runs_and_answers_as_printed(file: Path) -> None:
    module = import_module(".".join(("dglmeta", *file.with_suffix("").parts)))
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
    assert result.attempted == (ROOT / file).read_text(encoding="utf-8").count(">>> ")
