"""Losses in print bear their names."""

from __future__ import annotations

import pytest

from dglmeta.errors import ConfigError
from dglmeta.tasks.expression import NAMED_LOSSES, PUBLISHED_FOR, canonical, named_loss
from dglmeta.tasks.expression.checks import is_legal

LETTERS = "ABCDEFGHIJKLMNO"


def test_there_are_those_of_every_table():
    assert set(LETTERS) < set(NAMED_LOSSES)
    for source in ("table12", "1h", "zero-a", "zero-b"):
        assert sum(name.startswith(source) for name in NAMED_LOSSES) == 9
    assert sum(name.startswith("table6") for name in NAMED_LOSSES) == 3
    assert len(NAMED_LOSSES) == 15 + 3 + 36


@pytest.mark.parametrize("name", [n for n in NAMED_LOSSES if not n.startswith("zero")])
def test_what_autolinc_found_is_within_its_grammar(name):
    loss = named_loss(name)
    assert is_legal(loss)
    assert loss.length <= 10 or name == "table12-gat-pubmed"


def test_only_losses_of_the_rival_lack_a_terminal():
    illegal = {name for name in NAMED_LOSSES if not is_legal(named_loss(name))}
    assert illegal == {name for name in NAMED_LOSSES if name.startswith("zero-a")}
    without_logits = {name for name in NAMED_LOSSES if "u" not in named_loss(name).tokens}
    assert without_logits == {"zero-a-gat-citeseer"}


def test_each_data_set_and_encoder_has_its_own_letter():
    assert sorted(PUBLISHED_FOR.values()) == sorted(LETTERS)
    assert PUBLISHED_FOR["cora", "gat"] == "D"
    assert PUBLISHED_FOR["pubmed", "sage"] == "I"
    assert PUBLISHED_FOR["amazon-photo", "gcn"] == "K"
    assert PUBLISHED_FOR["amazon-computers", "sage"] == "N"


def test_losses_that_are_one_have_one_form():
    def form(name):
        return canonical(named_loss(name))

    assert form("J") == form("N")
    assert named_loss("J") != named_loss("N")
    assert form("D") == form("table6-cora")
    assert form("B") == form("1h-gcn-citeseer")
    assert len({form(letter) for letter in LETTERS}) == 14


def test_names_may_have_the_prefix_and_formulas_must():
    assert named_loss("autolinc:A") == named_loss("A")
    assert named_loss("autolinc: u*n - y ").infix == "u*n - y"
    assert named_loss("autolinc:N").length == 10  # the loss, not the counts
    for wrong in ("P", "u*n - y", "autolinc:P", "autolinc:", ""):
        with pytest.raises(ConfigError, match="named_loss.*table6-cora"):
            named_loss(wrong)
