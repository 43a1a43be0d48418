"""Every loss is its definition, sample by sample, for one model and for many."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dglmeta.data import LabelledNodes, NodeSplit
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.tasks.expression import Expression
from dglmeta.tasks.imbalance import CLASS_LOSSES, TopologyMargins, class_loss, renode_weights
from dglmeta.tasks.imbalance.constants import Constants
from dglmeta.tasks.imbalance.forms import ExpressionLoss

NAMES = sorted(CLASS_LOSSES)
LABEL = np.array([0, 2, 0, 1, 0, 0, 1])
COUNTS = np.array([4, 2, 1])


def a_split(label=LABEL):
    node = np.arange(len(label))
    others = (LabelledNodes(np.array([k]), np.array([0])) for k in (17, 18))
    return NodeSplit("v", 3, LabelledNodes(node[::-1] * 2, label), *others)


def a_graph():
    rng = np.random.default_rng(0)
    src, dst = rng.integers(0, 20, (2, 40))
    return Adjacency.from_coo(np.append(src, dst), np.append(dst, src), (20, 20))


def a_loss(name, **options):
    return class_loss(name, a_split(), a_graph(), **options)


def logits_of(loss, *leading, scale=2.0, dtype=torch.float64):
    rng = torch.Generator().manual_seed(1)
    return scale * torch.randn(*leading, len(loss.rows), 3, generator=rng, dtype=dtype)


def cross_entropy(z, y):
    return np.log(np.exp(z).sum()) - z[y]


def focal(z, y, gamma):
    total = 0
    for k, value in enumerate(z):
        p = 1 / (1 + np.exp(-value))
        q = p if k == y else 1 - p
        total -= (1 - q) ** gamma * np.log(q)
    return total


def slow(name, z):
    """(n,) losses of logits (n, K) of the labelled nodes."""
    pairs = list(zip(z, LABEL, strict=True))
    if name in ("cross-entropy", "pc-softmax"):
        return [cross_entropy(*pair) for pair in pairs]
    if name == "balanced-softmax":
        return [cross_entropy(row + np.log(COUNTS), y) for row, y in pairs]
    if name == "re-weight":
        w = [min(COUNTS) / COUNTS[y] for y in LABEL]
        return [
            len(w) * a * cross_entropy(*pair) / sum(w) for a, pair in zip(w, pairs, strict=True)
        ]
    factors = np.mean(COUNTS) / COUNTS[LABEL]
    if name == "renode":
        factors = factors * renode_weights(a_graph(), a_split().train)
    return [a * focal(*pair, gamma=2) for a, pair in zip(factors, pairs, strict=True)]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tam"])
def test_losses_are_their_definitions(name):
    loss = a_loss(name)
    np.testing.assert_array_equal(loss.rows, a_split().train.node)
    z = logits_of(loss)
    np.testing.assert_allclose(loss(z, 0), slow(name, z.numpy()))
    torch.testing.assert_close(loss(z.float(), 0), loss(z, 0).float(), rtol=1e-5, atol=1e-6)


def test_the_mean_of_re_weighted_losses_is_torchs_weighted_mean():
    loss = a_loss("re-weight")
    z, weight = logits_of(loss), torch.from_numpy(COUNTS.min() / COUNTS)
    expected = torch.nn.functional.cross_entropy(z, torch.from_numpy(LABEL), weight=weight)
    torch.testing.assert_close(loss(z, 0).mean(), expected)


@given(st.floats(0, 5))
def test_gamma_is_obeyed(gamma):
    loss = a_loss("focal", gamma=gamma)
    z = logits_of(loss)
    factors = np.mean(COUNTS) / COUNTS[LABEL]
    expected = [focal(*pair, gamma) for pair in zip(z.numpy(), LABEL, strict=True)]
    np.testing.assert_allclose(loss(z, 0), factors * expected)


@pytest.mark.parametrize("options", [{}, {"alpha": 0.5, "beta": 0.125, "phi": 0.8, "warm_up": 2}])
def test_tam_is_balanced_softmax_with_margins_after_some_epochs(options):
    loss, balanced = a_loss("tam", **options), a_loss("balanced-softmax")
    whole = {"alpha": 2.5, "beta": 0.5, "phi": 1.2, "warm_up": 5} | options
    first = whole.pop("warm_up")
    margins = TopologyMargins.of(a_split(), a_graph(), **whole)
    z = logits_of(loss)
    own = z[: len(LABEL)]
    np.testing.assert_array_equal(loss.rows, margins.rows)
    torch.testing.assert_close(loss(z, first - 1), balanced(own, 0))
    torch.testing.assert_close(loss(z, first), balanced(own + margins(z), 0))
    assert (loss(z, first) - balanced(own, 0)).abs().max() > 0.1


def test_only_pc_softmax_decides_by_other_logits():
    for name in NAMES:
        z = torch.randn(2, 50, 3)
        expected = z - torch.tensor(COUNTS).log() if name == "pc-softmax" else z
        torch.testing.assert_close(a_loss(name).predict(z), expected)


@pytest.mark.parametrize("name", NAMES)
def test_leading_axes_are_independent_models(name):
    loss = a_loss(name)
    z = logits_of(loss, 2, 3).requires_grad_()
    (together,) = torch.autograd.grad(loss(z, 9).mean(-1).sum(), z)
    for one, gradient in zip(z.flatten(0, 1), together.flatten(0, 1), strict=True):
        (alone,) = torch.autograd.grad(loss(one, 9).mean(), one)
        torch.testing.assert_close(gradient, alone)
    each = torch.stack([loss(one, 9) for one in z.flatten(0, 1)]).unflatten(0, (2, 3))
    torch.testing.assert_close(loss(z, 9), each)
    assert loss(z, 9).shape == (2, 3, len(LABEL))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_differences(name):
    loss = a_loss(name, **({"alpha": 0, "beta": 0} if name == "tam" else {}))
    z = logits_of(loss).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, 9).mean(), z)


@pytest.mark.parametrize("scale", [0.0, 1e3, 1e30])
@pytest.mark.parametrize("name", NAMES)
def test_losses_and_gradients_are_finite_for_extreme_logits(name, scale):
    loss = a_loss(name)
    z = logits_of(loss, scale=scale, dtype=torch.float32).requires_grad_()
    losses = loss(z, 9)
    (gradient,) = torch.autograd.grad(losses.mean(), z)
    assert losses.dtype == torch.float32
    assert losses.isfinite().all()
    assert gradient.isfinite().all()


def test_focal_gradients_are_finite_for_any_gamma():
    for gamma in (0, 0.3, 1):
        z = logits_of(a_loss("focal"), scale=1e4, dtype=torch.float32).requires_grad_()
        (gradient,) = torch.autograd.grad(a_loss("focal", gamma=gamma)(z, 0).mean(), z)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", ["autolinc:(u - y/n)^2", "autolinc:(y/n + (-u))^2"])
def test_a_formula_is_a_loss(name):
    z = logits_of(a_loss(name), 4, 2)
    target = np.eye(3)[LABEL] / COUNTS
    np.testing.assert_allclose(a_loss(name)(z, 0), ((z.numpy() - target) ** 2).mean(-1), rtol=1e-6)


def test_a_published_loss_goes_by_its_name():
    z = logits_of(a_loss("autolinc:D"), 2)
    target = np.eye(3)[LABEL] / COUNTS
    expected = (np.tanh(z.numpy() - target) ** 2).mean(-1)
    np.testing.assert_allclose(a_loss("autolinc:D")(z, 0), expected, rtol=1e-6)


def test_an_expression_is_computed_for_every_model():
    loss = ExpressionLoss(
        a_split().train.node,
        Constants(label=LABEL, counts=COUNTS.astype(float)),
        Expression(("square", "add", "y", "neg", "mul", "n", "u")),
    )
    z = logits_of(loss, 2, dtype=torch.float32)
    expected = ((np.eye(3)[LABEL] - COUNTS * z.numpy()) ** 2).mean(-1)
    np.testing.assert_allclose(loss(z, 0), expected, rtol=1e-5)


def test_unknown_losses_are_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="expected one of cross-entropy, re-weight, .*'focul'"):
        a_loss("focul")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cross-entropy", {"gamma": 2}, r"options among \[\], got 'gamma'"),
        ("tam", {"gamma": 2}, r"options among \['alpha', 'beta', 'phi', 'warm_up'\]"),
        ("focal", {"gamma": -1}, "expected gamma >= 0, got -1"),
        ("tam", {"phi": float("nan")}, "expected phi >= 0, got nan"),
    ],
)
def test_unknown_options_and_bad_values_are_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        a_loss(name, **options)


def test_classes_without_training_nodes_are_refused_where_their_number_counts():
    split = a_split(np.array([0, 0, 2]))
    for name in NAMES:
        if name == "cross-entropy":
            assert class_loss(name, split, a_graph())(torch.zeros(3, 3), 0).shape == (3,)
            continue
        with pytest.raises(DataError, match="all 3 classes, got none of class 1"):
            class_loss(name, split, a_graph())


@pytest.mark.parametrize("name", ["renode", "tam"])
def test_graphs_without_the_training_nodes_are_refused(name):
    with pytest.raises(DataError, match="training nodes below 5, got 12"):
        class_loss(name, a_split(), Adjacency.from_coo([0, 1], [1, 0], (5, 5)))


@pytest.mark.parametrize("name", NAMES)
def test_logits_of_other_rows_are_refused(name):
    loss = a_loss(name)
    with pytest.raises(DataError, match=rf"logits \(\.\.\., {len(loss.rows)}, 3\)"):
        loss(torch.zeros(len(loss.rows) - 1, 3), 9)
