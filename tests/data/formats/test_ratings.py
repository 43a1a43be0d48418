"""The public formats: what is read from them, and what is said about damaged files."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.sparse import csr_array

from dglmeta.data import load_dataset, read_kgat, read_lastfm, read_ripple
from dglmeta.errors import DataError
from dglmeta.graph import MetaPath

RATED = ("user", "rated", "item")

# Artist 99 is no item; user 7 comes first, so it is user 0; entity 951 comes before 952.
LASTFM = {
    "item_index2entity_id.txt": "51\t900\n52\t901\n53\t902\n",
    "user_artists.dat": (
        "userID\tartistID\tweight\n7\t51\t3\n7\t99\t8\n5\t52\t1\n7\t53\t2\n5\t51\t9\n"
    ),
    "kg.txt": "951\tactor\t902\n900\tgenre\t952\n901\tgenre\t951\n900\tgenre\t901\n",
}
BOOK = {
    "item_index2entity_id.txt": "0001X\t0\n0002\t1\n0003\t2\n",
    "ratings_final.txt": "0\t0\t1\n0\t1\t0\n1\t2\t1\n1\t0\t0\n",
    "kg_final.txt": "0\t0\t3\n1\t0\t3\n4\t1\t2\n",
}
# User 2 has no items; pair (0, 1) is in both files; items are 0 to 3, so entity 4 is the first.
KGAT = {
    "train.txt": "0 1 3\n1 0\n2\n",
    "test.txt": "1 2\n0 1\n",
    "kg_final.txt": "0 0 4\n1 0 4\n5 2 4\n",
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_lastfm_numbers_users_items_and_entities_as_published(write, packed):
    hg = read_lastfm(write(LASTFM, packed=packed)).csr
    assert hg.n_nodes == {"user": 2, "item": 3, "entity": 2}
    edges = {t: tuple(ends.tolist() for ends in adj.coo()) for t, adj in hg.adjacencies.items()}
    assert edges == {
        RATED: ([0, 1, 0, 1], [0, 1, 2, 0]),
        ("entity", "actor", "item"): ([0], [2]),
        ("item", "genre", "item"): ([0], [1]),
        ("item", "genre", "entity"): ([0, 1], [1, 0]),
    }
    ids = {name: data["id"].tolist() for name, data in hg.node_data.items()}
    assert ids == {"user": [7, 5], "item": [51, 52, 53], "entity": [951, 952]}


def test_a_rating_given_twice_is_one_positive(write):
    twice = LASTFM["user_artists.dat"] + "7\t51\t4\n"
    hg = read_lastfm(write(LASTFM | {"user_artists.dat": twice})).csr
    assert hg.n_edges[RATED] == 4


def test_lastfm_negatives_depend_on_the_seed_alone(write):
    more_items = "".join(f"{artist}\t{artist}\n" for artist in range(51, 80))
    folder = write(LASTFM | {"item_index2entity_id.txt": more_items})
    first, again = (read_lastfm(folder, seed=3).candidates for _ in range(2))
    np.testing.assert_array_equal(first, again)
    seen = {read_lastfm(folder, seed=s).candidates.tobytes() for s in range(20)}
    assert len(seen) > 1


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_ripple_splits_relations_by_the_types_of_their_ends(write, packed):
    ds = read_ripple(write(BOOK, packed=packed))
    assert ds.csr.n_nodes == {"user": 2, "item": 3, "entity": 2}
    assert ds.csr.n_edges == {
        RATED: 2,
        ("item", "relation-0", "entity"): 2,
        ("entity", "relation-1", "item"): 1,
    }
    assert ds.candidates.tolist() == [[0, 1], [1, 0]]
    assert ds.csr.node_data["item"]["id"].tolist() == ["0001X", "0002", "0003"]


def test_windows_line_ends_and_a_blank_last_line_are_welcome(write):
    files = {name: text.replace("\n", "\r\n") + "\r\n" for name, text in BOOK.items()}
    assert read_ripple(write(files)).csr.n_nodes == {"user": 2, "item": 3, "entity": 2}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("kg.txt", None, "expected kg.txt or kg.txt.gz, got neither"),
        ("kg.txt", "", "kg.txt: expected at least one row, got none"),
        ("kg.txt", "1\ta\t2\n3\tb\n", "kg.txt, line 2: expected 3 columns (head, relation, tail)"),
        ("kg.txt", "1\ta\t2\n\n3\tb\t4\n", "line 2: expected a whole number as head, got ''"),
        ("kg.txt", "1\ta\t2\nx\tb\t4\n", "line 2: expected a whole number as head, got 'x'"),
        ("kg.txt", "1\ta\t-2\n", "kg.txt, line 1: expected an id >= 0 as tail, got -2"),
        ("kg.txt", "1\ta\t99999999999999999999\n", "line 1: expected a whole number as tail"),
        ("user_artists.dat", "", "user_artists.dat: expected at least one row, got none"),
        ("user_artists.dat", "userID\tartistID\tweight\n", "expected at least one row, got none"),
        ("user_artists.dat", "7\t51\t3\n", "line 1: expected the header userID artistID weight"),
        (
            "user_artists.dat",
            "userID\tartistID\tweight\n7\t51\t3\n7\t52\tmany\n",
            "user_artists.dat, line 3: expected a number as weight, got 'many'",
        ),
        (
            "user_artists.dat",
            "userID\tartistID\tweight\n7\t51\tnan\n",
            "line 2: expected a finite number as weight, got nan",
        ),
        (
            "user_artists.dat",
            "userID\tartistID\tweight\n7\t98\t3\n",
            "expected at least one positive rating, got none",
        ),
        (
            "item_index2entity_id.txt",
            "51\t900\n52\t901\n51\t902\n",
            "line 3: expected a value that did not occur before as artistID, got 51",
        ),
        (
            "item_index2entity_id.txt",
            "51\t900\n52\t900\n",
            "line 2: expected a value that did not occur before as entity, got 900",
        ),
    ],
)
def test_a_damaged_lastfm_file_is_refused_by_file_and_line(write, name, content, says):
    folder = write(LASTFM | {name: content})
    with pytest.raises(DataError, match=re.escape(says)) as caught:
        read_lastfm(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("item_index2entity_id.txt", "a\t0\n\nb\t1\n", "line 2: expected an id as id, got ''"),
        (
            "item_index2entity_id.txt",
            "a\t0\na\t1\n",
            "line 2: expected a value that did not occur before as id, got 'a'",
        ),
        ("ratings_final.txt", "0\t0\t1\n0\t3\t0\n", "line 2: expected an id from 0 to 2 as item"),
        ("ratings_final.txt", "0\t0\t1\n5\t1\t0\n", "line 2: expected an id from 0 to 1 as user"),
        ("ratings_final.txt", "0\t0\t1\n0\t1\t2\n", "line 2: expected 0 or 1 as label, got 2"),
        ("ratings_final.txt", "0\t0\t0\n", "expected at least one positive rating, got none"),
        ("ratings_final.txt", "0\t0\tyes\n", "line 1: expected a whole number as label"),
        ("ratings_final.txt", "0\t0\t1\t7\n", "line 1: expected 3 columns (user, item, label)"),
        ("kg_final.txt", "0\t0\t3\n1\t0\t70\n", "line 2: expected an id from 0 to 4 as tail"),
        ("kg_final.txt", "0\t0\t3\n1\t9\t3\n", "line 2: expected an id from 0 to 1 as relation"),
        ("kg_final.txt", "-1\t0\t3\n", "line 1: expected an id from 0 to"),
    ],
)
def test_a_damaged_ripple_file_is_refused_by_file_and_line(write, name, content, says):
    folder = write(BOOK | {name: content})
    with pytest.raises(DataError, match=re.escape(says)) as caught:
        read_ripple(folder)
    assert str(folder / name) in str(caught.value)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_kgat_reads_lists_of_items_and_the_knowledge_graph(write, packed):
    ds = read_kgat(write(KGAT, packed=packed))
    assert ds.csr.n_nodes == {"user": 2, "item": 4, "entity": 2}
    edges = {t: tuple(ends.tolist() for ends in adj.coo()) for t, adj in ds.csr.adjacencies.items()}
    assert edges == {
        RATED: ([0, 0, 1, 1], [1, 3, 0, 2]),
        ("item", "relation-0", "entity"): ([0, 1], [0, 0]),
        ("entity", "relation-2", "entity"): ([1], [0]),
    }
    assert ds.target == RATED


def test_kgat_takes_the_files_there_are(write):
    hg = read_kgat(write({"test.txt": "0 2 1\r\n1 0\r\n"})).csr
    assert hg.n_nodes == {"user": 2, "item": 3}
    assert hg.n_edges == {RATED: 3}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"train.txt": None, "test.txt": None}, "expected train.txt or test.txt"),
        ({"train.txt": "", "test.txt": ""}, "expected at least one user with an item, got none"),
        ({"train.txt": "0\n1\n", "test.txt": None}, "expected at least one user with an item"),
        ({"train.txt": "0 1\n1 -2\n"}, "train.txt, line 2: expected ids from 0 to 999999999"),
        ({"test.txt": "0 1\n\n1 2.5\n"}, "test.txt, line 3: expected ids from 0 to 999999999"),
        ({"test.txt": "0 12345678901\n"}, "test.txt, line 1: expected ids from 0 to 999999999"),
        ({"kg_final.txt": "0 0 4\n1 0\n"}, "kg_final.txt, line 2: expected 3 columns"),
        ({"kg_final.txt": "0 0 4\n1 0 x\n"}, "line 2: expected a whole number as tail, got 'x'"),
        ({"kg_final.txt": "0 7 4\n"}, "line 1: expected an id from 0 to 0 as relation, got 7"),
        ({"kg_final.txt": "-1 0 4\n"}, "line 1: expected an id from 0 to 999999999 as head"),
        ({"kg_final.txt": ""}, "kg_final.txt: expected at least one row, got none"),
    ],
)
def test_a_damaged_kgat_file_is_refused_by_file_and_line(write, files, says):
    folder = write(KGAT | files)
    with pytest.raises(DataError, match=re.escape(says)) as caught:
        read_kgat(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:12],
        lambda data: data[:-8] + b"\0" * 8,
        lambda data: data[:15] + b"\xff\xff\xff\xff" + data[19:],
        lambda data: b"not gzip at all",
    ],
    ids=["half", "header only", "wrong checksum", "garbled", "not gzip"],
)
def test_a_damaged_gzip_is_refused(write, damage):
    folder = write(LASTFM, packed=True)
    path = folder / "kg.txt.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"kg.txt.gz: expected a whole gzip file, got a damaged"):
        read_lastfm(folder)


def test_the_line_of_an_error_far_into_a_file_is_right(write):
    lines = ["1\ta\t2"] * 300_000
    lines[234_567] = "1\ta\ttwo"
    folder = write(LASTFM | {"kg.txt": "\n".join(lines)})
    with pytest.raises(DataError, match="line 234568: expected a whole number as tail, got 'two'"):
        read_lastfm(folder)


def test_bytes_that_are_no_utf8_are_refused_with_the_file(write):
    folder = write(LASTFM | {"kg.txt": b"1\t\xff\xfe\t2\n"})
    with pytest.raises(DataError, match="kg.txt"):
        read_lastfm(folder)


def test_lastfm_has_the_published_counts(data_dir):
    ds = load_dataset("lastfm", root=data_dir, verify=True)
    assert ds.csr.n_nodes == {"user": 1872, "item": 3846, "entity": 9366 - 3846}
    assert len({relation for _, relation, _ in ds.csr.schema.edge_types} - {"rated"}) == 60
    assert len(ds.csr.schema.edge_types) == 1 + 63
    assert sum(ds.csr.n_edges.values()) == 15_518 + 21_173
    assert ds.csr.n_edges[RATED] == len(ds.candidates) == 21_173
    assert ds.csr.adjacency(RATED).to_scipy().max() == 1  # no rating twice


def test_lastfm_has_as_many_negatives_a_user_as_positives(data_dir):
    ds = load_dataset("lastfm", root=data_dir)
    rated = ds.csr.adjacency(RATED)
    counts = np.bincount(ds.candidates[:, 0], minlength=rated.n_src)
    np.testing.assert_array_equal(counts, rated.out_degrees)
    assert len(np.unique(ds.candidates, axis=0)) == len(ds.candidates)
    assert not rated.to_scipy()[ds.candidates[:, 0], ds.candidates[:, 1]].any()


def test_the_five_metapaths_of_lastfm_join_the_published_numbers_of_pairs(data_dir):
    ds = load_dataset("lastfm", root=data_dir)
    n_pairs = []
    for text in ds.metapaths:
        product = None
        for step in MetaPath.parse(text, ds.csr.schema).steps:
            factor = ds.csr.step_adjacency(*step).to_scipy().astype(bool)
            product = factor if product is None else csr_array(product @ factor)
        n_pairs.append(product.nnz)
    assert n_pairs == [22_940, 21_992, 18_998, 2_157_880, 357_415]


def test_book_crossing_has_the_published_counts(data_dir):
    ds = load_dataset("book-crossing", root=data_dir, verify=True)
    assert ds.csr.n_nodes == {"user": 17_860, "item": 14_967, "entity": 77_903 - 14_967}
    assert len({relation for _, relation, _ in ds.csr.schema.edge_types} - {"rated"}) == 25
    assert sum(ds.csr.n_edges.values()) == 151_500 + 69_873
    assert 2 * sum(ds.csr.n_edges.values()) == 442_746  # as SELAR counts, and 52 types:
    assert 2 * len({relation for _, relation, _ in ds.csr.schema.edge_types}) == 52
    assert ds.csr.n_edges[RATED] == len(ds.candidates) == 69_873
    in_degrees = ds.csr.adjacency(RATED).in_degrees
    assert np.count_nonzero(in_degrees) == 14_910
    favourite = in_degrees.argmax()
    assert in_degrees[favourite] == 2_502
    assert ds.csr.node_data["item"]["id"][favourite] == "0971880107"


def relation(ds, number):
    """Ends of all edges of a relation of the knowledge graph, items before entities."""
    ends = []
    for (source, name, target), adj in ds.csr.adjacencies.items():
        if name == f"relation-{number}":
            shift = [ds.csr.n_nodes["item"] * (t == "entity") for t in (source, target)]
            ends.append(np.stack([adj.coo()[k].astype(np.int64) + shift[k] for k in (0, 1)]))
    return np.concatenate(ends, axis=1)


def test_what_book_crossing_calls_relation_5_is_a_series(data_dir):
    ds = load_dataset("book-crossing", root=data_dir)
    there, back = relation(ds, 5), relation(ds, 6)
    assert len(np.unique(there[0])) == len(there[0]) == 944  # at most one a book
    assert {*zip(*there[::-1].tolist(), strict=True)} < {*zip(*back.tolist(), strict=True)}
    isbn = ds.csr.node_data["item"]["id"]
    item, series = ds.csr.adjacency(("item", "relation-5", "entity")).coo()
    of = dict(zip(isbn[item].tolist(), series.tolist(), strict=True))
    wheel_of_time = ["0812517725", "0812513738", "0812550307", "0812550285", "0812550293"]
    assert len({of[number] for number in wheel_of_time}) == 1
    tintin = [number for number in of if of[number] == of["0316358428"]]
    assert len(tintin) == 16
    assert all(number.startswith("0316358") for number in tintin)


def test_what_book_crossing_calls_relation_3_is_the_only_one_shaped_like_a_genre(data_dir):
    ds = load_dataset("book-crossing", root=data_dir)
    few = {}
    for number in range(10):
        source, target = relation(ds, number)
        if len(np.unique(target)) < 100 and len(target) > 200:
            few[number] = len(np.unique(source[source < ds.csr.n_nodes["item"]]))
    assert few == {3: 669, 7: 2}


def test_the_metapaths_of_book_crossing_are_the_five_of_selar(data_dir):
    ds = load_dataset("book-crossing", root=data_dir)
    series = "item-[relation-5]-entity-[~relation-5]-item"
    assert [str(MetaPath.parse(text, ds.csr.schema)) for text in ds.metapaths] == [
        f"user-[rated]-{series}-[~rated]-user",
        series.replace("5", "3"),
        "user-[rated]-item-[~rated]-user-[rated]-item",
        "user-[rated]-item-[~rated]-user",
        "item-[~rated]-user-[rated]-item",
    ]


def test_alibaba_ifashion_has_the_counts_of_its_files(data_dir):
    ds = load_dataset("alibaba-ifashion", root=data_dir, verify=True)
    assert ds.csr.n_nodes == {"user": 114_737, "item": 30_040, "entity": 59_156}
    assert len({relation for _, relation, _ in ds.csr.schema.edge_types} - {"rated"}) == 51
    assert sum(ds.csr.n_edges.values()) == 279_155 + 400_583
    assert ds.csr.n_edges[RATED] == 400_583
    assert np.count_nonzero(ds.csr.adjacency(RATED).in_degrees) == 28_101


def test_amazon_book_has_the_counts_of_its_files(data_dir):
    ds = load_dataset("amazon-book", root=data_dir, verify=True)
    assert ds.csr.n_nodes == {"user": 70_679, "item": 24_915}
    assert ds.csr.n_edges == {RATED: 652_514 + 193_920}


def test_a_truncated_copy_of_lastfm_is_refused(data_dir, tmp_path):
    for source in (data_dir / "lastfm-music").glob("*.gz"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "user_artists.dat.gz").write_bytes(
        (data_dir / "lastfm-music" / "user_artists.dat.gz").read_bytes()[:100_000]
    )
    with pytest.raises(DataError, match=r"user_artists.dat.gz: expected a whole gzip file"):
        read_lastfm(tmp_path)
