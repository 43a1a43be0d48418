"""What the catalogue says about a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.files import DataFile
from dglmeta.data.graph_dataset import GraphDataset

__all__ = ["Entry", "github"]


@dataclass(frozen=True)
class Entry:
    """How a named data set is made.

    Parameters
    ----------
    read : callable
        ``read(folder, **options)``, or ``read(**options)`` if it needs no files, gives a Dataset or
        a GraphDataset.
    folder : str
        Its folder under the data folder; empty if it needs no files.
    files : tuple of DataFile
    card : Card or None
        None where the reader fills it in.
    metapaths : tuple of str
        Recommended auxiliary tasks; empty where the reader fills them in, and for many graphs.
    """

    read: Callable[..., Dataset | GraphDataset]
    folder: str = ""
    files: tuple[DataFile, ...] = ()
    card: Card | None = None
    metapaths: tuple[str, ...] = ()


def github(
    repository: str, commit: str, folder: str, sha256: dict[str, str]
) -> tuple[DataFile, ...]:
    """Files of one folder of a repository at a commit, each with its checksum."""
    base = f"https://raw.githubusercontent.com/{repository}/{commit}/{folder}"
    return tuple(DataFile(name, f"{base}/{name}", digest) for name, digest in sha256.items())
