"""Pickles that Python 2 wrote, read for the numbers in them: nothing that they name is run."""

from __future__ import annotations

import gzip
import io
import pickle
import pickletools
import re
import warnings
import zlib
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from dglmeta.data.formats.archives import ALWAYS_ALLOWED, MOST_RATIO, MOST_UNPACKED
from dglmeta.data.formats.arrays import UNREADABLE
from dglmeta.data.formats.tables import read_bytes
from dglmeta.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Pickle", "read_packed"]

Array = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]

DAMAGED = (*UNREADABLE, pickle.UnpicklingError, AttributeError, LookupError, ArithmeticError,
           MemoryError)  # fmt: skip
"""What ``pickle`` raises about files that are none, or are cut or changed."""

NUMBER = re.compile("[fiu][248]|[biu]1")
"""How a pickle writes the types of numbers an array may have."""


def read_packed(path: Path) -> bytes:
    """The content of a file that may be gzipped, bounded as an archive's: see ``archives``.

    Raises
    ------
    DataError
        If it cannot be read, is gzipped and damaged, or unpacks to too much.
    """
    if path.suffix != ".gz":
        return read_bytes(path)
    packed = path.stat().st_size
    limit = min(MOST_UNPACKED, max(ALWAYS_ALLOWED, MOST_RATIO * packed))
    try:
        with gzip.open(path) as file:
            data = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: expected a whole gzip file, got a damaged one ({error}). Fetch it again."
        ) from None
    if len(data) > limit:
        raise DataError(
            f"{path}: expected at most {limit:,} bytes unpacked from {packed:,}, got more. Fetch "
            f"it again from where you trust, or unpack it yourself."
        )
    return data


@dataclass(frozen=True)
class Pickle:
    r"""What a pickle holds, checked when asked for in one of three forms.

    A pickle may name any function to call. Here NumPy's arrays, SciPy's sparse matrices in
    compressed rows, ``defaultdict`` and ``list`` are the only names it may have, and each stands
    for a class of this module that keeps its arguments; arrays are made of those once checked.

    Parameters
    ----------
    path : Path
        For messages.
    value : object
    n_bytes : int
        Size of the pickle, which bounds what is made of it.

    Examples
    --------
    >>> graph = b"(dp0\nI0\n(lp1\nI1\naI2\nas."
    >>> Pickle.loads(Path("graph"), graph).neighbours()
    (array([0, 0]), array([1, 2]))
    >>> Pickle.loads(Path("graph"), b"cos\nsystem\n(S'ls'\ntR.")
    Traceback (most recent call last):
    dglmeta.errors.DataError: graph: expected a pickle of arrays, sparse rows or lists, got one that
    names 'os.system', which is not loaded. Fetch it again from where you trust.
    """

    path: Path
    value: Any
    n_bytes: int

    @classmethod
    def read(cls, path: Path) -> Pickle:
        """The content of a file, which may be gzipped."""
        return cls.loads(path, read_packed(path))

    @classmethod
    def loads(cls, path: Path, data: bytes) -> Pickle:
        """The content of a pickle.

        Raises
        ------
        DataError
            If it is damaged or names another class or function; ``path`` is for the message.
        """
        try:
            with warnings.catch_warnings(action="ignore"):  # of odd escapes in damaged text
                _check_memo(data)
                value = _Unpickler(path, data).load()
        except DataError:
            raise
        except DAMAGED as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
            raise DataError(
                f"{path}: expected a whole pickle, got a damaged one ({reason}). Fetch it again."
            ) from None
        return cls(path, value, len(data))

    def array(self) -> Array:
        """The array it holds, of any shape and type of number; read-only."""
        return self._array(self.value)

    def rows(self) -> csr_array:
        """The sparse matrix it holds, of shape (n_rows, n_columns)."""
        from scipy.sparse import csr_array

        match self.value:
            case _Matrix(state={"_shape": shape, "data": data, "indices": ids, "indptr": starts}):
                pieces = [self._array(piece) for piece in (data, ids, starts)]
            case _:
                self._refuse("a sparse matrix in compressed rows", _kind(self.value))
        if any(piece.dtype.kind not in "iu" for piece in pieces[1:]):
            self._refuse("integers as column ids and starts of rows", "others")
        try:
            matrix = csr_array(tuple(pieces), shape=shape)
            matrix.check_format(full_check=True)
        except (ValueError, TypeError, ArithmeticError, MemoryError) as error:
            self._refuse("a sparse matrix in compressed rows", f"a wrong one ({error})")
        return matrix

    def neighbours(self) -> tuple[Ids, Ids]:
        """Source and destination, (n_edges,) each, of the edges in a dict of lists of neighbours.

        Keys without neighbours are left out.
        """
        lists = self.value
        if not isinstance(lists, dict) or not all(type(v) is list for v in lists.values()):
            self._refuse("a dict of lists", _kind(lists))
        sizes = [len(v) for v in lists.values()]
        if sum(sizes) > self.n_bytes:
            self._refuse("a list of its own for each node", "one list many times")
        keys, ids = list(lists), list(chain.from_iterable(lists.values()))
        if not all(type(i) is int and 0 <= i < 2**31 for i in chain(keys, ids)):
            self._refuse("nodes as integers from 0 to 2,147,483,647", "others")
        return np.repeat(np.array(keys, np.int64), sizes), np.array(ids, np.int64)

    def _array(self, value: object) -> Array:
        match value:
            case _Array(
                state=(
                    _, tuple() as shape, _DType(args=(str(number), *_), state=(_, str(order), *_)),
                    fortran, str(raw),
                )
            ) if NUMBER.fullmatch(number) and order in {"<", ">", "|", "="}:  # fmt: skip
                pass
            case _:
                self._refuse("an array of numbers", _kind(value))
        try:
            values = np.frombuffer(raw.encode("latin1"), np.dtype(order + number))
            values = values.reshape(shape, order="F" if fortran else "C")
        except (ValueError, TypeError, ArithmeticError) as error:
            self._refuse("as many numbers as the array's shape says", f"others ({error})")
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def _refuse(self, expected: str, got: str) -> NoReturn:
        raise DataError(f"{self.path}: expected {expected}, got {got[:200]}. Fetch it again.")


def _kind(value: object) -> str:
    """The type alone of what is found, which may be long."""
    return f"an object of type {type(value).__name__.strip('_')}"


class _Recorded:
    """In place of what a pickle asks for: how it was to be made."""

    args: tuple[Any, ...] = ()
    state: Any = None

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Recorded):
    pass


class _DType(_Recorded):
    pass


class _Matrix(_Recorded):
    pass


class _Lists(dict[Any, Any]):
    """In place of a ``defaultdict``, whose factory is not kept."""

    def __init__(self, *args: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a state for a dict")


KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Recorded,
    ("numpy", "dtype"): _DType,
    ("scipy.sparse.csr", "csr_matrix"): _Matrix,
    ("collections", "defaultdict"): _Lists,
    ("__builtin__", "list"): _Recorded,
}
"""Names of Python 2, and what is made in place of each."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__(io.BytesIO(data), fix_imports=False, encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name; called for every name in a pickle."""
        if (module, name) in KNOWN:
            return KNOWN[module, name]
        raise DataError(
            f"{self._path}: expected a pickle of arrays, sparse rows or lists, got one that names "
            f"{f'{module}.{name}'[:100]!r}, which is not loaded. Fetch it again from where you "
            f"trust."
        )


def _check_memo(data: bytes) -> None:
    """Refuse numbers of remembered objects that no honest pickle has: memory is made for all."""
    for step, number, _ in pickletools.genops(data):
        if step.name in {"PUT", "LONG_BINPUT"} and int(number or 0) > len(data):
            raise pickle.UnpicklingError(f"object number {number} in {len(data)} bytes")
