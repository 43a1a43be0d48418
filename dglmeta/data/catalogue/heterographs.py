"""The catalogue's heterographs, and with the other files' entries all of it."""

from __future__ import annotations

from collections.abc import Callable

from dglmeta.data.catalogue.entry import Entry, github
from dglmeta.data.catalogue.graphs import GRAPHS
from dglmeta.data.catalogue.heco_files import HECO
from dglmeta.data.catalogue.planetoid_files import PLANETOID
from dglmeta.data.dataset import Card, Dataset
from dglmeta.data.files import DataFile
from dglmeta.data.formats.gtn import ACM, IMDB, GtnLayout, read_gtn_acm, read_gtn_imdb
from dglmeta.data.formats.ratings import read_kgat, read_lastfm, read_ripple
from dglmeta.data.synthetic.citations import toy_citations
from dglmeta.data.synthetic.heterographs import planted, toy
from dglmeta.data.synthetic.papers import toy_papers

__all__ = ["DATASETS"]


def _user_item(relation: str) -> str:
    """The meta-path of users and the items that share a relation's entity with what they rated."""
    return f"user-[rated]-item-[{relation}]-entity-[~{relation}]-item"


def _gtn(
    read: Callable[..., Dataset],
    layout: GtnLayout,
    sha256: str,
    metapaths: tuple[str, ...],
    **card: str,
) -> Entry:
    """A graph of GTN: one file, made from published pickles, which are not read here."""
    folder = layout.file.removesuffix(".npz")
    archive = f"{folder}.zip of github.com/cenyk1230/gtn-data"
    origin = f"Write the content of {archive} as dglmeta.data.read_gtn describes"
    about = Card(
        source=f"{archive}, without pickles",
        licence="none stated",
        citation="Yun et al., Graph Transformer Networks, NeurIPS 2019 (arXiv 1911.06455)",
        **card,
    )
    return Entry(read, folder, (DataFile(layout.file, "", sha256, origin),), about, metapaths)


DATASETS: dict[str, Entry] = {
    "toy": Entry(toy),
    "planted": Entry(planted),
    "lastfm": Entry(
        read_lastfm,
        "lastfm-music",
        github(
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
        github(
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
            note="Relations have numbers only. relation-5 joins a book to its series: at most one "
            "each, relation-6 is the same turned round, and the ISBNs that share a value are those "
            "of one series. relation-3 is taken for the genre, an inference: 59 values, up to 4 a "
            "book, and the other relation with few values, relation-7, has 2 items only.",
        ),
        (
            "user-[rated]-item-[relation-5]-entity-[~relation-5]-item-[~rated]-user",
            "item-[relation-3]-entity-[~relation-3]-item",
            "user-[rated]-item-[~rated]-user-[rated]-item",
            "user-[rated]-item-[~rated]-user",
            "item-[~rated]-user-[rated]-item",
        ),
    ),
    "acm": _gtn(
        read_gtn_acm,
        ACM,
        "0c82d29e58e210e76b5fcdb55a1d5202fd837a44d397ad4213ce449e319429cb",
        (
            "paper-author-paper",
            "paper-subject-paper",
            "author-paper-author",
            "paper-author-paper-subject-paper",
            "author-paper-subject-paper-author",
        ),
        title="ACM: papers, authors and subjects",
        note="Classes of papers: database, wireless communication, data mining. The published "
        "25,922 edges count both directions of a link; here each is one edge. Features of authors "
        "and subjects are those of any of their papers.",
    ),
    "imdb": _gtn(
        read_gtn_imdb,
        IMDB,
        "56cdd87fc0b9d104ce7304a248fb11a2382b22d5d7a84980c4b48808db0fe89b",
        (
            "movie-actor-movie",
            "movie-director-movie",
            "actor-movie-actor",
            "movie-actor-movie-director-movie",
            "actor-movie-director-movie-actor",
        ),
        title="IMDB: movies, directors and actors",
        note="Three classes of movies; 1,722 have none. The published 37,288 edges count both "
        "directions of a link; here each is one edge. 291 nodes have no feature.",
    ),
    "alibaba-ifashion": Entry(
        read_kgat,
        "alibaba-ifashion-partial",
        github(
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
        github(
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
    "toy-papers": Entry(toy_papers),
    **HECO,
    "toy-citations": Entry(toy_citations),
    **PLANETOID,
    **GRAPHS,
}
"""Every registered data set by name."""
