"""Text tables, plain or gzipped, read whole or refused with the line that is wrong."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from dglmeta.errors import DataError

__all__ = ["TextTable", "find_file", "number_by_first_seen", "parse_csv", "read_bytes"]

Ids = npt.NDArray[np.int64]

KINDS = {"int64": "a whole number", "double": "a number", "bool": "true or false"}


@dataclass(frozen=True, eq=False)
class TextTable:
    """The columns of a text table, and which line of which file each row came from.

    Parameters
    ----------
    path : Path
    columns : pyarrow.Table
    first_line : int
        Line of the file, counted from 1, that row 0 stands on.
    """

    path: Path
    columns: pa.Table
    first_line: int

    @classmethod
    def read(
        cls,
        folder: Path,
        name: str,
        columns: Mapping[str, pa.DataType],
        *,
        header: bool = False,
    ) -> TextTable:
        """Read ``folder/name`` or ``folder/name.gz``: tab separated, no quotes, no gaps.

        Parameters
        ----------
        folder : Path
        name : str
            File name without ``.gz``.
        columns : dict of str to pyarrow type
            Names and types of the columns; all must be there.
        header : bool
            Whether line 1 is a header, which must then name the columns.

        Raises
        ------
        DataError
            If the file is missing, empty or damaged, or a line does not fit the columns.
        """
        path = find_file(folder, name)
        if path is None:
            raise DataError(
                f"{folder}: expected {name} or {name}.gz, got neither. Put the file there."
            )
        data = read_bytes(path).rstrip(b"\r\n")
        if header:
            _check_header(path, data, list(columns))
        table = parse_csv(path, data, columns, header=header, delimiter="\t")
        return cls(path, table, 2 if header else 1)

    def ints(self, name: str) -> Ids:
        """A column as an (n_rows,) int64 array."""
        return np.asarray(self.columns[name]).astype(np.int64, copy=False)

    def require(self, ok: npt.NDArray[np.bool_], name: str, expected: str) -> None:
        """Refuse the table if a row is not ``ok``.

        Raises
        ------
        DataError
            Naming file, line, column and value of the first such row.
        """
        if not ok.all():
            row = int(np.argmin(ok))
            value = self.columns[name][row].as_py()
            raise DataError(
                f"{self.path}, line {row + self.first_line}: expected {expected} as {name}, "
                f"got {value!r}. Correct the line, or fetch the file again."
            )

    def require_distinct(self, name: str) -> None:
        """Refuse the table if a value of the column occurs twice.

        Raises
        ------
        DataError
            Naming the line of the second occurrence.
        """
        codes, values = number_by_first_seen(self.columns[name])
        if len(values) != len(codes):
            first = np.zeros(len(codes), bool)
            first[np.unique(codes, return_index=True)[1]] = True
            self.require(first, name, "a value that did not occur before")


def find_file(folder: Path, name: str) -> Path | None:
    """``folder/name``, or ``folder/name.gz``, or None: the first that is there."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None


def read_bytes(path: Path) -> bytes:
    """The unpacked content of a file that may be gzipped.

    Raises
    ------
    DataError
        If it cannot be read, or is gzipped and ends early or is damaged.
    """
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as file:
            return file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: expected a whole gzip file, got a damaged one ({error}). Fetch it again."
        ) from None
    except OSError as error:
        raise DataError(f"{path}: expected a readable file, got {error}. Correct it.") from None


def parse_csv(
    path: Path,
    data: bytes,
    columns: Mapping[str, pa.DataType],
    *,
    header: bool,
    delimiter: str = ",",
    quotes: bool = False,
) -> pa.Table:
    """Parse a whole text table; a line that does not fit is refused by its number.

    Parameters
    ----------
    path : Path
        What to call the table in errors.
    data : bytes
        UTF-8 text.
    columns : dict of str to pyarrow type
        Without ``quotes``, all columns and no empty cells. With them the file is a user's own: the
        header names the columns, types not given here are inferred, empty cells are null.
    header : bool
        Whether line 1 is a header.
    delimiter : str
        One character.
    quotes : bool
        Whether cells may be quoted.

    Raises
    ------
    DataError
        Naming file and line.
    """
    if data.count(b"\n") + bool(data) <= header:
        raise DataError(f"{path}: expected at least one row, got none. Fetch or write it again.")
    names = None if quotes else list(columns)
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(data),
            # In one thread Arrow knows the number of the line it refuses.
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False,
                column_names=names,
                skip_rows=1 if header and names else 0,
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quotes else False,
                newlines_in_values=quotes,
                ignore_empty_lines=False,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=columns, null_values=None if quotes else []
            ),
        )
    except pa.ArrowInvalid as error:
        raise _explain(path, str(error), names) from None


def number_by_first_seen(column: pa.ChunkedArray | pa.Array) -> tuple[Ids, pa.Array]:
    """The values of a column numbered 0, 1, ... in order of first appearance.

    Returns
    -------
    codes : (n_rows,) int64
        Number of each row's value.
    values : (n_values,) pyarrow array
        The value each number stands for.

    Examples
    --------
    >>> codes, values = number_by_first_seen(pa.array(["b", "a", "b"]))
    >>> codes, values.to_pylist()
    (array([0, 1, 0]), ['b', 'a'])
    """
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = whole.dictionary_encode()
    return np.asarray(encoded.indices).astype(np.int64), encoded.dictionary


def _check_header(path: Path, data: bytes, names: list[str]) -> None:
    found = data.split(b"\n", 1)[0].decode("utf-8", "replace").strip().split("\t")
    if data and found != names:
        raise DataError(
            f"{path}, line 1: expected the header {' '.join(names)}, got {' '.join(found)[:80]!r}. "
            f"Add the line, or fetch the file again."
        )


def _explain(path: Path, message: str, names: list[str] | None) -> DataError:
    """Arrow's complaint in the words of this package, with file and line."""
    if bad := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message):
        row, expected, got = bad.groups()
        listed = f" ({', '.join(names)})" if names else ""
        return DataError(
            f"{path}, line {row}: expected {expected} columns{listed}, got {got}. "
            f"Correct the line, or fetch the file again."
        )
    if bad := re.search(r"column #(\d+): Row #(\d+): .*? to (\w+): .*?value '(.*)'", message):
        column, row, kind, value = bad.groups()
        name = names[int(column)] if names else f"column {int(column) + 1}"
        return DataError(
            f"{path}, line {row}: expected {KINDS.get(kind, kind)} as {name}, got {value[:40]!r}. "
            f"Correct the line, or fetch the file again."
        )
    complaint = message.splitlines()[0]
    return DataError(f"{path}: expected a table, got one that cannot be read: {complaint}.")


def as_text(values: pa.Array) -> npt.NDArray[Any]:
    """A pyarrow text array as a NumPy array of fixed-width text."""
    return np.asarray(values.to_pylist(), dtype=np.str_)
