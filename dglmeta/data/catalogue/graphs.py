"""The catalogue's data sets of many graphs, and single graphs without node types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dglmeta.data.catalogue.entry import Entry, github
from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.egos import read_amazon_computers_egos
from dglmeta.data.files import DataFile
from dglmeta.data.formats.npz import COMPUTERS, PHOTO, read_amazon_computers, read_amazon_photo
from dglmeta.data.formats.ohmnet import BRAIN, edge_list, read_ohmnet
from dglmeta.data.formats.ppi import FILES, read_ppi
from dglmeta.data.formats.tu import check_tu_name, read_tu
from dglmeta.data.graph_dataset import GraphDataset
from dglmeta.data.synthetic.graphs import toy_graphs

__all__ = ["GRAPHS", "tu_entry"]

TU_FOLDER = "tudataset"
TU_PAGE = "https://www.chrsmrrs.com/graphkerneldatasets"
TU_PAPER = "Morris et al., TUDataset, 2020 (arXiv 2007.08663)"

BRAIN_SHA256 = (
    "288ef1d5d33afeaa4d1c0f3fe1ca5bf8723e9fcb50aaf25fb2320d532319e72f",
    "9bf5b4bdb4d0d1ac32d32568b77897d0b92b6f08d4257a28c7116ad8d35d546c",
    "37fe661b35568c73641acb42d6f33c1a94dacdea2bed809ee3d6546ace02d4c5",
    "fe4a9e3dbb0ad030d93ae5d8e060026f379e85f2890cd7b4bb77f5d1ece18e4b",
    "1fe28834627044e3b8e1794cc0f54a4d3e22b93121b4f4775b5d20020da27079",
    "bb345c810f916968772431ab47768dc5dddfe22d30db229f9afeaa20d4f14f5d",
    "f4f52cba575d5ccf75959d8afa28b76d9b727c9b1bb4f71e79e8f1cb7ded5f64",
    "22c665d7496f01218a3f4e73561a126b0421edbb0ea19a601d40408042d22467",
    "16505aa096e9ae2f3a61f1795e66dae406a4e23abf8f2ab99230bad39677d60d",
)
"""Of the edge lists of ``BRAIN``, in its order."""


def _tu(name: str, sha256: str, title: str, note: str) -> Entry:
    """A data set of TUDataset, which all lie in one folder."""

    def read(folder: Path) -> GraphDataset:
        return read_tu(folder, name)

    files = github(
        "bknyaz/graph_nn",
        "72eaa1c6bd70a90fde772ad4a21049ccd6bc97a2",
        "data",
        {f"{name}.zip": sha256},
    )
    card = Card(
        title=title,
        source="github.com/bknyaz/graph_nn, data; TUDataset as first published, not cleaned",
        licence="none stated",
        citation=TU_PAPER,
        note=f"{note} Loops are dropped, an edge counts once.",
    )
    return Entry(read, TU_FOLDER, files, card)


def tu_entry(name: str, *, unpacked: bool = False) -> Entry:
    """Any set of TUDataset: that of the catalogue, or what has the name in the public collection.

    Parameters
    ----------
    name : str
        As in the collection, such as ``MUTAG``.
    unpacked : bool
        Whether it is a folder of files in place of an archive.

    Raises
    ------
    DataError
        If the name is no plain one.
    """
    check_tu_name(name)
    file = f"{name}/{name}_A.txt" if unpacked else f"{name}.zip"
    known = [entry for entry in GRAPHS.values() if entry.folder == TU_FOLDER]
    for entry in known:
        if entry.files[0].name == file:
            return entry

    def read(folder: Path) -> GraphDataset:
        return read_tu(folder, name)

    url = f"{TU_PAGE}/{name}.zip"
    origin = f"Fetch {url}, of which no checksum is known here,"
    card = Card(
        title=f"{name} of TUDataset",
        source=url,
        licence="none stated",
        citation=TU_PAPER,
        note="Loops are dropped, an edge counts once.",
    )
    return Entry(read, TU_FOLDER, (DataFile(file, "", "", origin),), card)


def _amazon(
    read: Callable[..., Dataset | GraphDataset],
    file: str,
    original: str,
    sha256: str,
    title: str,
    note: str,
) -> Entry:
    """A graph of Amazon's products, from a file made of a published one that has pickles."""
    origin = (
        f"Write {original} of github.com/EdisonLeeeee/GraphData, datasets, as "
        f"dglmeta.data.read_npz_graph describes"
    )
    card = Card(
        title=title,
        source=f"{original} of github.com/EdisonLeeeee/GraphData, without pickles",
        licence="repository: MIT; the terms of Amazon's data are not stated there",
        citation="Shchur et al., Pitfalls of graph neural network evaluation, 2018 "
        "(arXiv 1811.05868)",
        note=note,
    )
    return Entry(read, "amazon", (DataFile(file, "", sha256, origin),), card)


COMPUTERS_SHA256 = "e3a78127c122ce4a6a1bd6effb2112ec2b0ad1f795f5bd98bee206772777ca5e"

GRAPHS: dict[str, Entry] = {
    "toy-graphs": Entry(toy_graphs),
    "firstmm": _tu(
        "FIRSTMM_DB",
        "3d8f77e94155c16522fecb3a2cc5dc1726a1ee803e303223a9c2982fb24fa1b8",
        "FIRSTMM_DB: point clouds of household objects",
        "41 graphs in 11 classes; features are the 5 labels of nodes, which say what part of the "
        "object a point is on.",
    ),
    "enzymes": _tu(
        "ENZYMES",
        "0ca7125d7978788346fc6ba5c3cc643b6122153b304220c2230bcb09f99f8ffb",
        "ENZYMES: proteins as graphs of secondary structure",
        "600 graphs in 6 classes of 100; features are the 3 labels of nodes.",
    ),
    "proteins": _tu(
        "PROTEINS",
        "fe9d19741637486ea1fd285bf669fce0b117e10b03cdd379f6a5e6197fc830ae",
        "PROTEINS: enzymes and others as graphs of secondary structure",
        "1,113 graphs in 2 classes; features are the 3 labels of nodes.",
    ),
    "dhfr": _tu(
        "DHFR",
        "a1c59162c453c81ee008d8f4bc4acc6f9464004317b48dfef3ee5b243e3ed8b1",
        "DHFR: molecules that inhibit dihydrofolate reductase or not",
        "756 graphs in 2 classes; features are the 9 labels of nodes.",
    ),
    "cox2": _tu(
        "COX2",
        "82e7287b19a29b8150b5fae374ca09fe6e8b91fa71993fb7eaa31e4566b2eddd",
        "COX2: molecules that inhibit cyclooxygenase-2 or not",
        "467 graphs in 2 classes; features are the 8 labels of nodes.",
    ),
    "ohmnet-brain": Entry(
        read_ohmnet,
        "ppi-ohmnet-brain",
        github(
            "mims-harvard/ohmnet",
            "9622df51f7ad63b384014f1124fcf604b505c799",
            "data",
            {edge_list(t): sha256 for t, sha256 in zip(BRAIN, BRAIN_SHA256, strict=True)},
        ),
        Card(
            title="OhmNet: interactions of proteins in nine tissues of the brain",
            source="github.com/mims-harvard/ohmnet, data",
            licence="repository: MIT",
            citation="Zitnik and Leskovec, Predicting multicellular function through multi-layer "
            "tissue networks, 2017 (arXiv 1707.04638)",
            note="Not the 24 graphs of ppi, though of the same origin. No features: tissues share "
            "more than nine tenths of their edges, so the gene must not be one. Loops are dropped.",
        ),
    ),
    "ppi": Entry(
        read_ppi,
        "ppi",
        tuple(DataFile(f, "", "", "Unpack https://data.dgl.ai/dataset/ppi.zip") for f in FILES),
        Card(
            title="PPI: interactions of proteins in 24 human tissues",
            source="data.dgl.ai/dataset/ppi.zip",
            licence="none stated",
            citation="Hamilton et al., GraphSAGE, NeurIPS 2017 (arXiv 1706.02216)",
            note="Published split of the graphs: 20, 2 and 2. Rows of features are normalised.",
        ),
    ),
    "amazon-computers": _amazon(
        read_amazon_computers,
        COMPUTERS,
        "amazon_cs.npz",
        COMPUTERS_SHA256,
        "Amazon computers: products often bought together",
        "13,752 products in 10 classes with 767 words of reviews. The split is random.",
    ),
    "amazon-photo": _amazon(
        read_amazon_photo,
        PHOTO,
        "amazon_photo.npz",
        "2b8d158fa1483bca508de5025cf31c17cf15e63600e294c547e6dc87f3189fe0",
        "Amazon photo: products often bought together",
        "7,650 products in 8 classes with 745 words of reviews. The split is random.",
    ),
    "amazon-computers-egos": _amazon(
        read_amazon_computers_egos,
        COMPUTERS,
        "amazon_cs.npz",
        COMPUTERS_SHA256,
        "Amazon computers: two hops around 40 products of the 5-core",
        "Up to 300 nodes each, 201 on average, and no node in two. With disjoint=False, cap=1600 "
        "they have 999 on average, and about nine tenths of a graph's edges are in others too.",
    ),
}
"""Every data set of many graphs, and single graphs without node types, by name."""
