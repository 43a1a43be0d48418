"""The names ``import dglmeta as dm`` offers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dglmeta


@pytest.mark.parametrize("name", dglmeta.__all__)
def test_every_public_name_loads(name: str) -> None:
    assert name in dir(dglmeta)
    assert getattr(dglmeta, name) is getattr(dglmeta, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'HetroCSR'"):
        dglmeta.HetroCSR  # noqa: B018 - the access is what is tested


def test_the_changelog_has_a_section_for_what_is_next() -> None:
    changelog = Path(__file__).resolve().parents[1] / "CHANGELOG.md"
    assert re.search(r"^## \[Unreleased\]$", changelog.read_text(), re.MULTILINE)
