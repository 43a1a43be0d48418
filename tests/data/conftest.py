"""Small data sets, written to a folder where a test can damage them."""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """``write({name: content})``: a folder with these files; None leaves one out."""

    def make(files: Mapping[str, str | bytes | None], *, packed: bool = False) -> Path:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            if content is None:
                continue
            data = content.encode() if isinstance(content, str) else content
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(data) if packed else data)
        return folder

    return make


OF_PYTHON_2 = {
    "numpy._core.multiarray": "numpy.core.multiarray",
    "scipy.sparse._csr": "scipy.sparse.csr",
    "builtins": "__builtin__",
}


class _Python2(pickle._Pickler):
    """Writes as Python 2 did: one kind of string, and the names of then."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, text: str | bytes) -> None:
        data = text.encode("latin1") if isinstance(text, str) else text
        self.write(b"T" + len(data).to_bytes(4, "little") + data)
        self.memoize(text)

    def save_global(self, thing: Any, name: str | None = None) -> None:
        module = OF_PYTHON_2.get(thing.__module__, thing.__module__)
        self.write(f"c{module}\n{name or thing.__qualname__}\n".encode())
        self.memoize(thing)

    dispatch[str] = dispatch[bytes] = save_string
    dispatch[FunctionType] = save_global


@pytest.fixture
def python2() -> Callable[[Any], bytes]:
    """``python2(value)``: a pickle of arrays, sparse rows or lists in the form of Python 2."""

    def make(value: Any) -> bytes:
        file = io.BytesIO()
        _Python2(file, 2).dump(value)
        return file.getvalue()

    return make
