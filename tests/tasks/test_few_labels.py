"""Scores of classes against scikit-learn, and the probe against one model at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, roc_auc_score

from dglmeta.data import LabelledNodes, NodeSplit
from dglmeta.errors import ConfigError, DataError
from dglmeta.tasks.few_labels import METRICS, classification_scores, probe_few_labels

N, C = 300, 4


def planted(d: int = 6, noise: float = 1.0) -> tuple[np.ndarray, NodeSplit]:
    """Embeddings that tell classes not too well, and 40, 130 and 130 nodes."""
    rng = np.random.default_rng(0)
    label = rng.permutation(np.arange(N) % C)
    z = np.eye(C, d)[label] + noise * rng.normal(size=(N, d))
    order = rng.permutation(N)
    parts = (LabelledNodes(ids, label[ids]) for ids in np.split(order, [40, 170]))
    return z.astype(np.float32), NodeSplit("paper", C, *parts)


def by_sklearn(p: np.ndarray, label: np.ndarray) -> dict[str, float]:
    said = p.argmax(1)
    return {
        "micro_f1": f1_score(label, said, average="micro"),
        "macro_f1": f1_score(label, said, average="macro"),
        "auc": roc_auc_score(label, p, multi_class="ovr"),
    }


@pytest.mark.parametrize("n_classes", [3, 4, 7])
@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_sklearn(seed, n_classes):
    rng = np.random.default_rng(seed)
    label = np.append(np.arange(n_classes), rng.integers(0, n_classes, 60))
    logits = rng.normal(size=(len(label), n_classes)).astype(np.float32)
    logits[:, 1] -= 100 * (seed % 2)  # a class that is never said
    p = torch.from_numpy(logits).double().softmax(1).numpy()
    wanted = by_sklearn(p, label)
    assert classification_scores(logits, label) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("n_values", [1, 2, 5, 40])
def test_equal_scores_count_half(n_values):
    rng = np.random.default_rng(n_values)
    label = np.append([0, 1], rng.integers(0, 2, 80))
    score = rng.integers(0, n_values, 82) - n_values // 2
    found = classification_scores(np.stack([0 * score, score], axis=1).astype(float), label)
    assert found["auc"] == pytest.approx(roc_auc_score(label, score))


def test_sure_models_are_still_ranked():
    """Probabilities would all round to 1 in float32, and to half the area."""
    label = np.array([0, 0, 1, 1])
    logits = np.array([[0.0, 30], [0, 40], [0, 50], [0, 60]])
    assert classification_scores(logits, label)["auc"] == 1.0
    assert classification_scores(logits, 1 - label)["auc"] == 0.0


def one_at_a_time(z, split, first, steps, lr, weight_decay) -> dict[str, float]:
    """A linear layer trained by autograd and judged by scikit-learn."""
    layer = torch.nn.Linear(z.shape[1], split.n_classes)
    with torch.no_grad():
        layer.weight.copy_(first)
        layer.bias.zero_()
    optimizer = torch.optim.Adam(layer.parameters(), lr=lr, weight_decay=weight_decay)
    best, kept = dict.fromkeys(METRICS, -1.0), {}
    x = torch.from_numpy(z)
    for _ in range(steps):
        optimizer.zero_grad()
        train = torch.from_numpy(split.train.label)
        torch.nn.functional.cross_entropy(layer(x[split.train.node]), train).backward()
        optimizer.step()
        p = layer(x).detach().double().softmax(1).numpy()
        valid, test = (by_sklearn(p[r.node], r.label) for r in (split.valid, split.test))
        for name in METRICS:
            if valid[name] > best[name]:
                best[name], kept[name] = valid[name], test[name]
    return kept


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_models_trained_together_are_as_one_at_a_time(weight_decay):
    z, split = planted()
    options = {"steps": 25, "lr": 0.05, "weight_decay": weight_decay}
    found = probe_few_labels(z, split, repeats=4, seed=3, **options)
    bound = np.sqrt(6 / (z.shape[1] + C))
    first = np.random.default_rng(3).random((4, C, z.shape[1]), np.float32) * 2 * bound - bound
    assert np.unique(found["micro_f1"]).size > 1
    for k in range(4):
        wanted = one_at_a_time(z, split, torch.from_numpy(first[k]), **options)
        assert {name: found[name][k] for name in METRICS} == pytest.approx(wanted, abs=1e-4)


def test_nodes_to_test_are_not_learnt_from():
    z, split = planted()
    told = z.copy()
    told[split.test.node] = np.random.default_rng(1).normal(size=(len(split.test.node), 6))
    blind = probe_few_labels(told, split, repeats=5, seed=0, steps=40, lr=0.1)
    assert blind["micro_f1"].mean() == pytest.approx(1 / C, abs=0.1)


def test_what_tells_classes_scores_one_and_noise_nothing():
    z, split = planted(noise=0.01)
    found = probe_few_labels(z, split, repeats=3, seed=0, lr=0.05)
    assert all((found[name] > 0.99).all() for name in METRICS)
    noise = np.random.default_rng(0).normal(size=z.shape)
    found = probe_few_labels(noise, split, repeats=10, seed=0, steps=20)
    assert found["auc"].mean() == pytest.approx(0.5, abs=0.06)
    assert found["micro_f1"].shape == (10,)


def test_a_model_does_not_depend_on_how_many_there_are():
    z, split = planted()
    few, many = (probe_few_labels(z, split, repeats=r, seed=1, steps=5) for r in (2, 6))
    np.testing.assert_allclose(few["auc"], many["auc"][:2], atol=1e-3)
    again = probe_few_labels(torch.from_numpy(z), split, repeats=2, seed=1, steps=5)
    for name in METRICS:
        np.testing.assert_array_equal(few[name], again[name])


def test_what_does_not_fit_is_refused():
    z, split = planted()
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        probe_few_labels(z, split, repeats=0, seed=0)
    with pytest.raises(DataError, match="Embed all nodes"):
        probe_few_labels(z[:200], split, seed=0)
    with pytest.raises(DataError, match="finite embeddings, got others in train"):
        probe_few_labels(np.where(np.arange(6) == 2, np.nan, z), split, seed=0)
    lone = NodeSplit("paper", C + 1, split.train, split.valid, split.test)
    with pytest.raises(DataError, match="every class in valid, got none of class 4"):
        probe_few_labels(z, lone, seed=0)


@pytest.mark.parametrize(
    ("logits", "label", "words"),
    [
        (np.zeros((2, 2)), np.array([0, 2]), r"classes in \[0, 2\), got 0 to 2"),
        (np.zeros((2, 2)), np.array([0, 0]), "none of class 1"),
        (np.zeros((2, 2)), np.array([0, 1, 1]), "a row of logits"),
        (np.full((2, 2), np.inf), np.array([0, 1]), "finite logits"),
    ],
)
def test_scores_of_what_does_not_fit_are_refused(logits, label, words):
    with pytest.raises(DataError, match=words):
        classification_scores(logits, label)
