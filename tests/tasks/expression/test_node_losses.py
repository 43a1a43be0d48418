"""Losses of nodes by name are those of their formulas, with the counts of the training part."""

import numpy as np
import pytest
import torch

import dglmeta as dm
from dglmeta.data import LabelledNodes, NodeSplit
from dglmeta.errors import ConfigError, DataError
from dglmeta.tasks.expression.node_losses import loss_expression, node_losses


def split_of(label):
    parts = [LabelledNodes(np.arange(len(label)), np.array(label))]
    parts += [LabelledNodes(np.array([100 + k]), np.array([0])) for k in (0, 1)]
    return NodeSplit("paper", 3, *parts)


IMBALANCED = split_of([0, 0, 0, 0, 1, 1, 2])


def by_hand(u, label):
    """D: the mean over classes of tanh^2(u - y / n)."""
    counts = np.array([4.0, 2.0, 1.0])
    return np.array(
        [np.mean([np.tanh(u[i, k] - (k == y) / counts[k]) ** 2 for k in range(3)])
         for i, y in enumerate(label)]
    )  # fmt: skip


@pytest.mark.parametrize("name", ["autolinc:D", "autolinc:tanh(u - y / n)^2"])
def test_an_expression_has_the_training_counts_of_its_split(name):
    u = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    label = np.array([2, 0, 1, 1, 2])
    found = node_losses(name, IMBALANCED)(torch.from_numpy(u), torch.from_numpy(label))
    assert found.numpy() == pytest.approx(by_hand(u, label), rel=1e-5)


def test_it_is_differentiated_as_torch_func_does_it():
    losses, label = node_losses("autolinc:D", IMBALANCED), torch.tensor([2, 0])
    losses = losses.double()
    u, v = (torch.randn(2, 3, dtype=torch.float64) for _ in range(2))

    def slope(u):
        return torch.func.grad(lambda u: losses(u, label).sum())(u)

    _, along = torch.func.jvp(slope, (u,), (v,))
    eps = 1e-6
    expected = (slope(u + eps * v) - slope(u - eps * v)) / (2 * eps)
    assert torch.allclose(along, expected, atol=1e-7)
    each = torch.func.vmap(lambda u: losses(u, label))(torch.stack([u, v]))
    assert torch.allclose(each, torch.stack([losses(u, label), losses(v, label)]))


def test_a_checkpoint_holds_nothing_of_it():
    assert not node_losses("autolinc:D", IMBALANCED).state_dict()


def test_cross_entropy_is_none_of_them():
    assert loss_expression("cross-entropy") is None
    assert node_losses("cross-entropy", IMBALANCED) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("re-weight", "expected 'cross-entropy', or 'autolinc:'.*got 're-weight'.*A, B, C"),
        ("D", "got 'D'.*Published are A"),
        ("autolinc:Z", "got 'Z'.*Losses are A, B"),
        ("autolinc:(u - y", "expected a name or a formula"),
        ("autolinc:y / n", "a formula with the logits u, got 'y/n'"),
        ("autolinc:zero-a-gat-citeseer", "a formula with the logits u"),
    ],
)
def test_what_is_no_loss_is_refused_with_those_that_there_are(name, message):
    with pytest.raises(ConfigError, match=message):
        loss_expression(name)


def test_links_keep_their_loss():
    links = dm.load_dataset("toy").splits(0)
    assert node_losses("cross-entropy", links) is None
    with pytest.raises(ConfigError, match="expected 'cross-entropy' where links are predicted"):
        node_losses("autolinc:D", links)


def test_a_class_without_a_training_node_is_refused():
    with pytest.raises(DataError, match="all 3 classes, got none of class 1"):
        node_losses("autolinc:D", split_of([0, 2, 2]))
