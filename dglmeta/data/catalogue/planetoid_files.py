"""The catalogue's sets of Planetoid: their public files by checksum, and what is said of each."""

from __future__ import annotations

from pathlib import Path

from dglmeta.data.catalogue.entry import Entry, github
from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.files import DataFile
from dglmeta.data.formats.planetoid import file_names, read_planetoid

__all__ = ["PLANETOID"]

REPOSITORY = ("kimiyoung/planetoid", "af6abf468a772cc055bec88c52e4d6f51b7c37e3", "data")

CORA_SHA256 = (
    "23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab",
    "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a",
    "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543",
    "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1",
    "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad",
    "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71",
    "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d",
    "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875",
)
CITESEER_SHA256 = (
    "d20de19150741e555de0ed037195630fc194114ebc7fd72ced62810148aa22f6",
    "539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21",
    "2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668",
    "8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924",
    "55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce",
    "f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95",
    "d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7",
    "2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4",
)
"""Of the files of each set, not packed, in the order of ``file_names``."""


def _planetoid(name: str, sha256: tuple[str, ...], title: str, note: str) -> Entry:
    """A set of Planetoid, which all lie in one folder; without checksums it is not fetched."""

    def read(folder: Path) -> Dataset:
        return read_planetoid(folder, name)

    files = github(*REPOSITORY, dict(zip(file_names(name), sha256 or [""] * 8, strict=True)))
    if not sha256:
        files = tuple(
            DataFile(f.name, "", "", f"Fetch {f.url}, of which no checksum is known here,")
            for f in files
        )
    card = Card(
        title=title,
        source="github.com/kimiyoung/planetoid, data",
        licence="repository: MIT; the terms of the papers' texts are not stated there",
        citation="Yang et al., Revisiting semi-supervised learning with graph embeddings, ICML "
        "2016 (arXiv 1603.08861)",
        note=f"{note} Published split: 20 training nodes a class, 500 to validate, 1,000 to test.",
    )
    return Entry(read, "planetoid", files, card)


PLANETOID: dict[str, Entry] = {
    "cora": _planetoid(
        "cora",
        CORA_SHA256,
        "Cora: papers on machine learning and their citations",
        "2,708 papers in 7 classes with 1,433 words; 5,278 citations.",
    ),
    "citeseer": _planetoid(
        "citeseer",
        CITESEER_SHA256,
        "CiteSeer: papers on computer science and their citations",
        "3,327 papers in 6 classes with 3,703 words; 4,552 citations. 15 papers have neither words "
        "nor class.",
    ),
    "pubmed": _planetoid(
        "pubmed",
        (),
        "PubMed: papers on diabetes and their citations",
        "19,717 papers in 3 classes with 500 words.",
    ),
}
"""Every set of Planetoid by name."""
