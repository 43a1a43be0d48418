"""Whom nodes attend to along a meta-path, as pairs and as blocks."""

import numpy as np
import pytest
import torch

from dglmeta.errors import ConfigError
from dglmeta.graph import Adjacency, HeteroCSR, MetaPath
from dglmeta.nn.path_attention import PathLevel, SharedBlocks, neighbourhood

EDGES = {
    ("paper", "about", "subject"): ([0, 1, 2, 4], [0, 0, 1, 1]),  # paper 3 is about nothing
    ("paper", "by", "author"): ([0, 0, 1, 2, 2, 3], [0, 1, 1, 0, 2, 2]),
    ("paper", "cites", "paper"): ([0, 1], [1, 2]),
}
HG = HeteroCSR.from_edges(EDGES, {"paper": 5, "author": 3, "subject": 2})


def path(text):
    return MetaPath.parse(text, HG.schema)


def test_pairs_are_joined_or_the_node_itself():
    near = neighbourhood(HG, path("paper-subject-paper"))
    rows, columns = near.coo()
    expected = {(0, 0), (0, 1), (1, 0), (1, 1), (2, 2), (2, 4), (4, 2), (4, 4), (3, 3)}
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == sorted(expected)
    assert neighbourhood(HG, path("paper-subject-paper")) is near


def test_auto_takes_blocks_where_no_pair_meets_twice():
    near = neighbourhood(HG, path("paper-subject-paper"), "auto")
    assert isinstance(near, SharedBlocks)
    assert near.blocks.shape == (5, 3)  # paper 3 has a block of its own
    np.testing.assert_array_equal(np.diff(near.blocks.indptr), 1)
    assert isinstance(neighbourhood(HG, path("paper-author-paper"), "auto"), Adjacency)
    assert isinstance(neighbourhood(HG, path("paper-author-paper"), "instances"), SharedBlocks)
    one_way = path("paper-[cites]-paper-[cites]-paper")
    assert isinstance(neighbourhood(HG, one_way, "auto"), Adjacency)
    with pytest.raises(ConfigError, match="there and back"):
        neighbourhood(HG, one_way, "instances")


def level(d_in, d_out, n_heads):
    torch.manual_seed(0)
    return PathLevel(1, [0], d_in, d_out, n_heads, 3).double()


def test_blocks_give_what_pairs_give():
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    of = level(6, 8, 2)
    found = []
    for attention in ("pairs", "auto"):
        y, _ = of([neighbourhood(HG, path("paper-subject-paper"), attention)], 0, x)
        found.append((y, torch.autograd.grad(y.square().sum(), x)[0]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_one_wide_head_sums_before_it_maps():
    of = level(3, 8, 1)
    x = torch.randn(5, 3, dtype=torch.float64)
    near = neighbourhood(HG, path("paper-author-paper"))
    y, _ = of([near], 0, x)
    h = x @ of.project[0]
    dense = torch.zeros(5, 5, dtype=torch.bool)
    dense[near.coo()] = True
    score = (h @ of.attend[0, 0, 0])[:, None] + (h @ of.attend[0, 1, 0])[None]
    score = torch.nn.functional.leaky_relu(score, 0.2).masked_fill(~dense, -torch.inf)
    torch.testing.assert_close(y, torch.nn.functional.elu(torch.softmax(score, 1) @ h))
