"""Stacked heads score as one plain network a task would; heads of classes as their formula."""

import pytest
import torch
from torch import nn

from dglmeta.nn import ClassHead, PairHeads


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def plain_heads(heads):
    """The same heads, a Sequential each."""
    plain = []
    for t in range(len(heads.weight_in)):
        d, hidden = heads.weight_in[t].shape
        net = nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, d))
        values = (heads.weight_in[t].T, heads.bias_in[t, 0], heads.weight_out[t].T)
        for p, value in zip(net.parameters(), (*values, heads.bias_out[t, 0]), strict=True):
            p.data = value.detach().clone()
        plain.append(net)
    return plain


@pytest.mark.parametrize("n_tasks", [1, 2, 3])
def test_logits_equal_a_plain_network_a_task(n_tasks):
    heads, z = PairHeads(3, 5, hidden=7).double(), torch.randn(11, 5, dtype=torch.float64)
    src, dst = torch.randint(11, (2, n_tasks, 6)).unbind()
    logits = heads(z, src, dst)
    assert logits.shape == (n_tasks, 6)
    for t, net in enumerate(plain_heads(heads)[:n_tasks]):
        expected = (net(z[src[t]]) * net(z[dst[t]])).sum(-1)
        assert torch.allclose(logits[t], expected, rtol=1e-12)


def test_gradients_equal_a_plain_network_a_task():
    heads, z = PairHeads(2, 4, hidden=6).double(), torch.randn(9, 4, dtype=torch.float64)
    src, dst = torch.randint(9, (2, 2, 5)).unbind()
    heads(z, src, dst).square().sum().backward()
    for t, net in enumerate(plain_heads(heads)):
        (net(z[src[t]]) * net(z[dst[t]])).sum(-1).square().sum().backward()
        assert torch.allclose(heads.weight_in.grad[t], net[0].weight.grad.T)
        assert torch.allclose(heads.bias_in.grad[t, 0], net[0].bias.grad)
        assert torch.allclose(heads.weight_out.grad[t], net[2].weight.grad.T)
        assert torch.allclose(heads.bias_out.grad[t, 0], net[2].bias.grad)


def test_a_pair_turned_round_scores_the_same():
    heads, z = PairHeads(2, 4), torch.randn(9, 4)
    src, dst = torch.randint(9, (2, 2, 5)).unbind()
    assert torch.allclose(heads(z, src, dst), heads(z, dst, src))


def test_heads_begin_as_linear_layers_do():
    heads = PairHeads(4, 16, hidden=100)
    for parameter, fan_in in ((heads.weight_in, 16), (heads.bias_in, 16), (heads.weight_out, 100)):
        bound = fan_in**-0.5
        assert parameter.abs().max() <= bound
        assert parameter.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def test_a_pairs_logit_is_the_product_of_what_its_ends_are_projected_to():
    heads, z = PairHeads(3, 4), torch.randn(9, 4)
    src, dst = torch.randint(9, (2, 2, 5)).unbind()
    left, right = (heads.project(z[ends]) for ends in (src, dst))  # (2, 5, 4): the first two tasks
    assert torch.allclose(heads(z, src, dst), (left * right).sum(-1))


@pytest.mark.parametrize("hidden", [0, 7])
@pytest.mark.parametrize("of_pairs", [False, True])
def test_logits_of_classes_are_those_of_the_node_or_of_the_ends_distance(hidden, of_pairs):
    head, z = ClassHead(4, 3, of_pairs=of_pairs, hidden=hidden), torch.randn(9, 4)
    src, dst = torch.randint(9, (2, 5))
    h = (z[src] - z[dst]).abs() if of_pairs else z[src]
    first, *rest = (layer for layer in head.layers if isinstance(layer, nn.Linear))
    expected = first(h)
    for layer in rest:
        expected = layer(torch.relu(expected))
    assert torch.allclose(head(z, src, dst), expected)
    assert head(z, src, dst).shape == (5, 3)


def test_the_ends_of_a_pair_of_a_class_may_change_places():
    head, z = ClassHead(4, 3, of_pairs=True), torch.randn(9, 4)
    src, dst = torch.randint(9, (2, 5))
    assert torch.equal(head(z, src, dst), head(z, dst, src))
