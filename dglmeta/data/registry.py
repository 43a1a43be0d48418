"""The data sets dglmeta knows by name. To add one is to add an entry here."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.files import DataFile, locate
from dglmeta.data.files import verify as verify_files
from dglmeta.data.folder import read_folder
from dglmeta.data.folder_schema import SCHEMA_FILE
from dglmeta.data.readers import read_kgat, read_lastfm, read_ripple
from dglmeta.data.synthetic import planted, toy
from dglmeta.errors import ConfigError, DataError

__all__ = ["DATASETS", "Entry", "load_dataset"]


@dataclass(frozen=True)
class Entry:
    """How a named data set is made.

    Parameters
    ----------
    read : callable
        ``read(folder, **options) -> Dataset``, or ``read(**options)`` if it needs no files.
    folder : str
        Its folder under the data folder; empty if it needs no files.
    files : tuple of DataFile
    card : Card or None
        None where the reader fills it in.
    metapaths : tuple of str
        Recommended auxiliary tasks; empty where the reader fills them in.
    """

    read: Callable[..., Dataset]
    folder: str = ""
    files: tuple[DataFile, ...] = ()
    card: Card | None = None
    metapaths: tuple[str, ...] = ()


def _github(
    repository: str, commit: str, folder: str, sha256: dict[str, str]
) -> tuple[DataFile, ...]:
    """Files of one folder of a repository at a commit, each with its checksum."""
    base = f"https://raw.githubusercontent.com/{repository}/{commit}/{folder}"
    return tuple(DataFile(name, f"{base}/{name}", digest) for name, digest in sha256.items())


def _user_item(relation: str) -> str:
    """The meta-path of users and the items that share a relation's entity with what they rated."""
    return f"user-[rated]-item-[{relation}]-entity-[~{relation}]-item"


DATASETS: dict[str, Entry] = {
    "toy": Entry(toy),
    "planted": Entry(planted),
    "lastfm": Entry(
        read_lastfm,
        "lastfm-music",
        _github(
            "hwwang55/KGNN-LS",
            "3afd76361b623e9e38b822861c79bcd61dae41aa",
            "data/music",
            {
                "user_artists.dat": (
                    "254272fa721c3935e8be286d28c051b206844307128698ab4eaa41d483379416"
                ),
                "item_index2entity_id.txt": (
                    "f9693bdde538f755d09b9931b0be662a98965e538658a00c2050912c0adf487b"
                ),
                "kg.txt": "f62bbc8f717c9f68e66dff6faeaa71025092acc11a0f1b4878b953eb05f946a9",
            },
        ),
        Card(
            title="Last-FM (music) with a knowledge graph",
            source="github.com/hwwang55/KGNN-LS, data/music",
            licence="repository: MIT; the ratings are the HetRec 2011 Last.FM set, whose terms "
            "are not stated there",
            citation="Wang et al., KGNN-LS, KDD 2019 (arXiv 1905.04413)",
            note="Every artist played is a positive; as many unrated items a user are negatives.",
        ),
        (
            _user_item("film.actor.film"),
            _user_item("film.person_or_entity_appearing_in_film.film"),
            _user_item("music.musician.instruments_played"),
            "user-[rated]-item-[~rated]-user-[rated]-item",
            _user_item("music.artist.origin"),
        ),
    ),
    "book-crossing": Entry(
        read_ripple,
        "book-crossing",
        _github(
            "weifeng-ai/SARC",
            "5dddf8003c066ab73084b859011c559b0e4f111d",
            "data/book",
            {
                "item_index2entity_id.txt": (
                    "923eae9ed0c253e3f45076288ef7f18c19801ee441bb4bb2866c766019a266e3"
                ),
                "kg_final.txt": "60a4a2c2e6f101fbbd5763c72be3ed4f565498e7f6c8660eb19fe598dc7158b2",
                "ratings_final.txt": (
                    "a2dbed819fe3691fb0c5f58bd0ba018ad493339c1270d331e1c5f52cffe3df37"
                ),
            },
        ),
        Card(
            title="Book-Crossing with a knowledge graph",
            source="github.com/weifeng-ai/SARC, data/book; upstream github.com/hwwang55/RippleNet",
            licence="upstream repository: MIT; the ratings' terms are not stated there",
            citation="Wang et al., RippleNet, CIKM 2018 (arXiv 1803.03467)",
            note="Relations have numbers only. By their shape (an inference) relation-5 joins a "
            "book to its series and relation-3 to its genre.",
        ),
        (
            "user-[rated]-item-[relation-5]-entity-[~relation-5]-item-[~rated]-user",
            "item-[relation-3]-entity-[~relation-3]-item",
            "user-[rated]-item-[~rated]-user-[rated]-item",
            "user-[rated]-item-[~rated]-user",
            "item-[~rated]-user-[rated]-item",
        ),
    ),
    "alibaba-ifashion": Entry(
        read_kgat,
        "alibaba-ifashion-partial",
        _github(
            "huangtinglin/Knowledge_Graph_based_Intent_Network",
            "0e4351716d4999b3f00715f764f0afe18048cf62",
            "data/alibaba-fashion",
            {
                "kg_final.txt": "8a44700fd76efe438ac3d8f6ae9a3ee1e117c70d82c1d8a2d20766fa6686489e",
                "test.txt": "2517d969a1e2f812e12b04093252e12ae3d308df77e898f2b17deefe4c0ee15f",
            },
        ),
        Card(
            title="Alibaba-iFashion: clicks on outfits with a knowledge graph",
            source="github.com/huangtinglin/Knowledge_Graph_based_Intent_Network, "
            "data/alibaba-fashion",
            licence="none stated",
            citation="Huang et al., KGIN, WWW 2021 (arXiv 2102.07057)",
            note="The test part of the published interactions, for scale: no benchmark split. Put "
            "train.txt beside it for all of them. Relations have numbers only.",
        ),
        (
            "user-[rated]-item-[~rated]-user-[rated]-item",
            "item-[~rated]-user-[rated]-item",
            "user-[rated]-item-[~rated]-user",
            _user_item("relation-0"),
            "item-[relation-0]-entity-[~relation-0]-item",
        ),
    ),
    "amazon-book": Entry(
        read_kgat,
        "amazon-book-kgat",
        _github(
            "xiangwang1223/knowledge_graph_attention_network",
            "c03737be46ac26a0b5431efe149828e982ffbbfb",
            "Data/amazon-book",
            {
                "train.txt": "4d10106bb06a77e11df660429903c0067aeb85b86431807836b0d8b7edc30c38",
                "test.txt": "f47eff9d35fb95c07d74251a991478a84095ce6c5969b0dafcb4afe99fc716ec",
            },
        ),
        Card(
            title="Amazon-book purchases, without the knowledge graph",
            source="github.com/xiangwang1223/knowledge_graph_attention_network, Data/amazon-book",
            licence="repository: MIT; the ratings' terms are not stated there",
            citation="Wang et al., KGAT, KDD 2019 (arXiv 1905.07854)",
            note="Published train and test interactions together; put kg_final.txt beside them "
            "for the knowledge graph.",
        ),
        (
            "user-[rated]-item-[~rated]-user-[rated]-item",
            "user-[rated]-item-[~rated]-user",
            "item-[~rated]-user-[rated]-item",
        ),
    ),
}
"""Every registered data set by name."""


def load_dataset(
    name: str | Path, root: str | Path | None = None, *, verify: bool = False, **options: Any
) -> Dataset:
    """A data set by name, or the one in a folder of the user's own tables.

    Parameters
    ----------
    name : str or path
        A name of :data:`DATASETS`, or a folder with ``schema.toml`` (see :func:`read_folder`).
    root : path, optional
        Where to look first for the folders of data sets; then ``$DGLMETA_DATA``, then the user's
        cache, into which what is missing is fetched.
    verify : bool
        Compare the files found with the known sha256 of the public ones.
    **options
        Passed to the reader or generator, such as ``seed`` or ``shuffle_path``.

    Raises
    ------
    DataError
        If the name is unknown, or a file is missing and cannot be fetched, or is damaged.
    ConfigError
        If the data set takes no such option.

    Examples
    --------
    >>> ds = load_dataset("toy")
    >>> ds.csr.n_nodes
    {'user': 8, 'item': 8, 'tag': 4}
    """
    if name not in DATASETS:
        if Path(name).is_dir():
            return _call(read_folder, str(name), Path(name), **options)
        raise _unknown(str(name))
    entry = DATASETS[str(name)]
    if not entry.folder:
        return _call(entry.read, str(name), **options)
    folder = locate(entry.folder, entry.files, root)
    if verify:
        verify_files(folder, entry.files)
    ds = _call(entry.read, str(name), folder, **options)
    return replace(
        ds,
        name=str(name),
        card=entry.card or ds.card,
        metapaths=entry.metapaths or ds.metapaths,
    )


def _call(read: Callable[..., Dataset], name: str, *args: Any, **options: Any) -> Dataset:
    """Call a reader; an option it does not have is a ConfigError."""
    parameters = inspect.signature(read).parameters
    unknown = [o for o in options if o not in parameters]
    if unknown:
        known = [p for p in parameters if p != "folder"]
        raise ConfigError(
            f"load_dataset({name!r}): expected options among {known}, got {unknown}. Correct it."
        )
    return read(*args, **options)


def _unknown(name: str) -> DataError:
    close = difflib.get_close_matches(name, DATASETS, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return DataError(
        f"load_dataset: expected a folder with {SCHEMA_FILE} or one of {', '.join(DATASETS)}, "
        f"got {name!r}. {hint}Give one of these."
    )
