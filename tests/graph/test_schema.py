"""Schema and MetaPath: what they accept, what they refuse, and what they say then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.errors import SchemaError
from dglmeta.graph import MetaPath, Schema, Step

RATED, KNOWS, LIKED = (
    ("user", "rated", "item"),
    ("user", "knows", "user"),
    ("user", "liked", "item"),
)
SHOP = Schema(("user", "item"), (RATED, KNOWS))
BUSY = Schema(("user", "item", "shop"), (RATED, LIKED, KNOWS))


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("user-item", "user-[rated]-item"),
        ("item-user", "item-[~rated]-user"),
        ("user-item-user", "user-[rated]-item-[~rated]-user"),
        ("user-user", "user-[knows]-user"),
        ("user-[~knows]-user-item", "user-[~knows]-user-[rated]-item"),
    ],
)
def test_parse_reads_short_and_full_forms(text, means):
    assert str(MetaPath.parse(text, SHOP)) == means


def test_a_parsed_path_knows_its_steps_and_types():
    path = MetaPath.parse("user-item-user-user", SHOP)
    assert path.steps == (Step(RATED, True), Step(RATED, False), Step(KNOWS, True))
    assert path.node_types == ("user", "item", "user", "user")
    assert (path.source, path.target, len(path)) == ("user", "user", 3)


@given(st.data())
def test_the_text_of_any_path_over_plainly_named_types_reads_back(data):
    types = data.draw(
        st.lists(st.sampled_from(("a", "b", "a-b", "tv-show", "b c")), unique=True, min_size=1)
    )
    triples = st.tuples(
        st.sampled_from(types),
        st.sampled_from(("r", "r:s", "x-y", "] [", "a")),
        st.sampled_from(types),
    )
    schema = Schema(tuple(types), tuple(data.draw(st.lists(triples, unique=True, min_size=1))))
    path = data.draw(st.sampled_from(list(MetaPath.enumerate(schema, 2))))
    assert MetaPath.parse(str(path), schema) == path


def test_node_types_may_contain_a_dash_and_be_prefixes_of_each_other():
    schema = Schema(("tv", "tv-show"), (("tv", "airs", "tv-show"),))
    assert MetaPath.parse("tv-tv-show-tv", schema).node_types == ("tv", "tv-show", "tv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "user-[likes]-item",
            "MetaPath('user-[likes]-item'): no edge type ('user', 'likes', 'item'). "
            "There are: ('user', 'rated', 'item'), ('user', 'knows', 'user').",
        ),
        (
            "item-[rated]-user",
            "MetaPath('item-[rated]-user'): no edge type ('item', 'rated', 'user'). "
            "'rated' runs from user to item; write '~rated'.",
        ),
        (
            "user-[~rated]-item",
            "MetaPath('user-[~rated]-item'): no edge type ('user', 'rated', 'item'). "
            "'rated' runs from user to item; write 'rated'.",
        ),
        (
            "item-item",
            "MetaPath('item-item'): no edge type joins 'item' and 'item'. "
            "There are: ('user', 'rated', 'item'), ('user', 'knows', 'user').",
        ),
        (
            "user-[rated]-thing-user",
            "MetaPath('user-[rated]-thing-user'): unknown node type 'thing'. "
            "There are: user, item.",
        ),
        ("users-item", "MetaPath('users-item'): unknown node type 'users'. There are: user, item."),
        ("", "MetaPath(''): unknown node type ''. There are: user, item."),
        (
            "user",
            "MetaPath('user'): expected at least two node types, got one. "
            "Write for example 'user-[rated]-item'.",
        ),
        *(
            (
                f"user{cut}",
                f"MetaPath('user{cut}'): expected '-type' or '-[relation]-type' after 'user', got "
                f"'{cut}'. Write for example 'user-[rated]-item'.",
            )
            for cut in ("-", "-[rated]-", "-[rated]", "-[rated", "-[")
        ),
    ],
)
def test_a_path_that_does_not_fit_is_refused_with_what_would(text, message):
    with pytest.raises(SchemaError) as error:
        MetaPath.parse(text, SHOP)
    assert str(error.value) == message


def test_an_ambiguous_hop_is_refused_with_the_choices():
    with pytest.raises(SchemaError) as error:
        MetaPath.parse("item-user", BUSY)
    assert str(error.value) == (
        "MetaPath('item-user'): item-user is ambiguous, 2 edge types join them. "
        "Name one: item-[~rated]-user, item-[~liked]-user."
    )


def test_a_long_listing_is_cut():
    schema = Schema(("a",), tuple(("a", f"r{k}", "a") for k in range(15)))
    with pytest.raises(SchemaError, match=r"\('a', 'r11', 'a'\) and 3 more\.$"):
        MetaPath.parse("a-[x]-a", schema)


def test_reverse_walks_the_path_backwards():
    path = MetaPath.parse("user-[knows]-user-[rated]-item", SHOP)
    assert str(path.reverse()) == "item-[~rated]-user-[~knows]-user"
    assert path.reverse().reverse() == path


@pytest.mark.parametrize(
    ("text", "symmetric"),
    [
        ("user-item-user", True),
        ("user-[knows]-user", False),
        ("user-[knows]-user-[~knows]-user", True),
    ],
)
def test_symmetric_paths_read_the_same_backwards(text, symmetric):
    assert MetaPath.parse(text, SHOP).is_symmetric is symmetric


def test_enumerate_lists_every_walk_over_the_schema_once_and_shortest_first():
    hops = [Step(e, f) for e in SHOP.edge_types for f in (True, False)]
    pairs = [(a, b) for a in hops for b in hops if a.target == b.source]
    paths = list(MetaPath.enumerate(SHOP, 2))
    assert [len(p) for p in paths] == sorted(len(p) for p in paths)
    assert len(set(paths)) == len(paths)
    assert {p.steps for p in paths} == {(h,) for h in hops} | set(pairs)


def test_enumerate_keeps_to_the_asked_ends():
    paths = {str(p) for p in MetaPath.enumerate(SHOP, 2, source="item", target="item")}
    assert paths == {"item-[~rated]-user-[rated]-item"}
    with pytest.raises(SchemaError, match="unknown node type 'thing'"):
        list(MetaPath.enumerate(SHOP, 2, target="thing"))


def test_validate_returns_the_path_or_names_the_missing_edge_type():
    path = MetaPath.parse("user-[liked]-item", BUSY)
    assert path.validate(BUSY) is path
    with pytest.raises(SchemaError, match=r"no edge type \('user', 'liked', 'item'\)"):
        path.validate(SHOP)


def test_a_path_is_built_from_plain_tuples_and_hashable():
    assert {MetaPath((((*RATED,), 1), (list(RATED), 0)))} == {
        MetaPath.parse("user-item-user", SHOP)
    }


@pytest.mark.parametrize(
    ("steps", "message"),
    [((), "at least one step, got none"), ((Step(RATED), Step(RATED)), "arrives at 'item'")],
)
def test_steps_that_do_not_meet_are_refused(steps, message):
    with pytest.raises(SchemaError, match=message):
        MetaPath(steps)


def test_between_lists_steps_along_then_against():
    assert BUSY.between("item", "user") == (Step(RATED, False), Step(LIKED, False))
    assert BUSY.between("user", "user") == (Step(KNOWS, True), Step(KNOWS, False))
    assert BUSY.between("shop", "user") == ()


def test_an_edge_type_is_found_by_triple_or_by_a_relation_that_is_unique():
    schema = Schema(("a", "b"), (("a", "r", "b"), ("b", "r", "a"), ("a", "s", "a")))
    assert schema.edge_type("s") == ("a", "s", "a")
    assert schema.edge_type(("b", "r", "a")) == ("b", "r", "a")
    with pytest.raises(SchemaError, match=r"'r' is ambiguous, it occurs as .* Give the triple"):
        schema.edge_type("r")
    with pytest.raises(SchemaError, match=r"no edge type 't'. There are: \('a', 'r', 'b'\)"):
        schema.edge_type("t")


@pytest.mark.parametrize(
    ("node_types", "edge_types", "message"),
    [
        (("a", "a"), (), r"distinct node types, got \['a'\]"),
        (("a",), (("a", "r", "a"), ("a", "r", "a")), "distinct edge types"),
        (("a",), (("a", "r", "b"),), r"names node type 'b', which is not among \['a'\]"),
        (("a", ""), (), "text that is not empty, got ''"),
        (("a", 1), (), "text that is not empty, got 1"),
        (("a",), (("a", "", "a"),), "text that is not empty, got ''"),
        (("a",), ("aaa",), r"\(source type, relation, destination type\), got 'aaa'"),
        (("a",), (("a", "a"),), r"\(source type, relation, destination type\)"),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(node_types, edge_types, message):
    with pytest.raises(SchemaError, match=message):
        Schema(node_types, edge_types)
