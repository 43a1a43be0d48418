"""AutoLINC as a system: its settings, the task it poses, its training and what stops it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import dglmeta as dm
from dglmeta.data import Dataset, LabelledNodes, NodeSplit
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import HeteroCSR
from dglmeta.nn.many_models import ManyModels
from dglmeta.systems import AutoLINC
from dglmeta.systems.parts.autolinc.config import CHECKS, ENCODERS, QUARTERS, Config
from dglmeta.systems.parts.autolinc.setup import pose
from dglmeta.tasks.imbalance import CLASS_LOSSES
from dglmeta.train import RunFolder

SMALL = {"loss": "autolinc:B", "d": 8, "epochs": 5}
OVERFLOW = "autolinc:exp(exp(u*n*n))"


@pytest.fixture(scope="module")
def citations():
    return dm.load_dataset("toy-citations")


def system_of(**settings):
    return AutoLINC(AutoLINC.Config(**{**SMALL, **settings}))


def fit(ds, **settings):
    return system_of(**settings).fit(ds)


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "gtn"}, "encoder among .*'gcn', 'gat', 'sage'.*'gtn'"),
        ({"searcher": "grid"}, "searcher among .*'tree'"),
        *(({name: 0}, f"{name} > 0, got 0") for name in ("d", "n_heads", "lr", "plateau")),
        *(({name: 0}, f"{name} > 0") for name in ("epochs", "patience", "valid_per_class")),
        *(({name: 0}, f"{name} > 0") for name in ("length", "round", "proxy_d", "proxy_lr")),
        *(({name: 0}, f"{name} > 0") for name in ("finalists", "proxy_epochs")),
        ({"proxy_epochs": QUARTERS - 1}, f"proxy_epochs >= {QUARTERS}, got {QUARTERS - 1}"),
        *(({name: -1}, f"{name} >= 0, got -1") for name in ("weight_decay", "label_ratio")),
        *(({name: -1}, f"{name} >= 0") for name in ("candidates", "proxy_features")),
        ({"exploration": -0.1}, "exploration >= 0"),
        *(({name: np.nan}, f"{name} .*nan") for name in ("lr", "weight_decay", "rho")),
        ({"rho": 0.5}, "rho >= 1, got 0.5. 1 is balanced"),
        ({"dropout": 1.0}, r"dropout in \[0, 1\)"),
        ({"dropout": -0.1}, r"dropout in \[0, 1\)"),
        ({"encoder": "gat", "d": 10}, "shared evenly by 4 heads, got 10 and 64"),
        ({"encoder": "gat", "proxy_d": 10}, "shared evenly by 4 heads, got 256 and 10"),
        ({"checks": ("finite", "luck")}, "checks among .*'luck'"),
        ({"checks": ("finite", "finite")}, "each once"),
        *(({"time_budget": text}, "time_budget such as 1h") for text in ("", "1", "h", "0s")),
        *(({"time_budget": text}, "time_budget") for text in ("-1h", "1d", "1h30m", "nan s")),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Config(**settings)


def test_settings_at_their_bounds_are_taken():
    Config(rho=1, dropout=0.0, checks=(), candidates=0, exploration=0, proxy_epochs=QUARTERS)
    Config(encoder="gcn", d=10, proxy_d=10, checks=CHECKS[::-1])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h", 3600), ("30m", 1800), ("90s", 90), ("1.5 H", 5400), (" 0.5s ", 0.5)],
)
def test_a_budget_of_time_is_read(text, seconds):
    assert Config(time_budget=text).seconds == seconds


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("autolinc:u +", r"formula .* 'u \+': .* got the end at column 4"),
        ("autolinc:sin(u)", "got 'sin' at column 1"),
        ("autolinc:Q", "got 'Q'"),
        ("autolinc:", "got the end"),
        ("hinge", "expected one of cross-entropy, .* got 'hinge'"),
        ("D", "got 'D'"),
        ("Search", "got 'Search'"),
        ("autolinc:y/n", "a loss of the logits u, got 'y/n' .* that has u"),
        ("autolinc:zero-a-gat-citeseer", "a loss of the logits u"),
    ],
)
def test_a_loss_that_is_none_is_refused_before_anything_is_written(
    citations, tmp_path, loss, message
):
    with pytest.raises(ConfigError, match=message):
        system_of(loss=loss).fit(citations, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


# The task


def a_dataset(edges, node_data, n_nodes):
    hg = HeteroCSR.from_edges(edges, n_nodes, node_data)
    parts = (LabelledNodes(np.arange(k, k + 4), np.array([0, 0, 1, 1])) for k in (0, 4, 8))
    return Dataset("mine", hg, node_split=NodeSplit("paper", 2, *parts))


CITES = ("paper", "cites", "paper")
WRITES = ("author", "writes", "paper")
PAIRS = (np.arange(12), (np.arange(12) + 1) % 12)
BOTH_WAYS = (np.append(*PAIRS), np.append(*PAIRS[::-1]))
FEAT = {"paper": {"feat": np.eye(12, dtype=np.float32)}}


@pytest.mark.parametrize(
    ("edges", "features", "told"),
    [
        ({WRITES: (np.zeros(12, int), np.arange(12))}, FEAT, "got 0 and some"),
        ({CITES: PAIRS, ("paper", "reads", "paper"): PAIRS}, FEAT, "got 2 and some"),
        ({CITES: PAIRS}, {}, "got 1 and none"),
    ],
    ids=["no edges among papers", "two types of edges", "no features"],
)
def test_a_graph_without_one_type_of_edges_among_labelled_nodes_is_refused(edges, features, told):
    n_nodes = {"paper": 12} | ({"author": 1} if WRITES in edges else {})
    ds = a_dataset(edges, features, n_nodes)
    with pytest.raises(DataError, match=f"mine: expected one type of edges .*'paper'.* {told}"):
        fit(ds)
    with pytest.raises(DataError, match="mine: expected one type of edges"):
        fit(ds, loss="search")


@pytest.mark.parametrize("name", ["toy", "toy-graphs"])
def test_data_without_classes_of_nodes_is_refused(name):
    with pytest.raises(DataError, match=f"{name}: expected a single graph with classes of nodes"):
        fit(dm.load_dataset(name))


def test_edges_of_other_types_are_left_out():
    edges = {CITES: BOTH_WAYS, WRITES: (np.zeros(12, int), np.arange(12))}
    several = fit(a_dataset(edges, FEAT, {"paper": 12, "author": 1}))
    alone = fit(a_dataset({CITES: BOTH_WAYS}, FEAT, {"paper": 12}))
    assert several.metrics == alone.metrics
    assert {name: z.shape for name, z in several.embed().items()} == {"paper": (12, 2)}


def test_features_are_divided_by_their_sum_if_so_set(citations):
    raw = citations.csr.node_data["node"]["feat"]
    plain, normal = (pose(Config(normalise=on), citations, 0).x.toarray() for on in (False, True))
    assert np.array_equal(plain, raw)
    total = raw.sum(axis=1)
    assert normal.sum(axis=1) == pytest.approx(np.where(total > 0, 1.0, 0.0))
    np.testing.assert_allclose(normal, raw / np.maximum(total, 1)[:, None])


def test_the_split_is_as_imbalanced_as_set(citations):
    sizes = np.bincount(pose(Config(rho=5), citations, 0).split.train.label)
    assert sizes.tolist() == [20, 20, 4, 4]
    drawn = pose(Config(rho=5, label_ratio=0.1, valid_per_class=7), citations, 0).split
    assert np.bincount(drawn.train.label).tolist() == [10, 10, 2, 2]
    assert np.bincount(drawn.valid.label).tolist() == [7, 7, 7, 7]
    assert pose(Config(rho=1), citations, 0).split.train.label.shape == (80,)


# Training


@pytest.mark.parametrize("loss", [*CLASS_LOSSES, "autolinc:J", "autolinc:table6-pubmed"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_loss_trains_with_every_encoder(citations, loss, encoder):
    result = fit(citations, loss=loss, encoder=encoder, epochs=7)  # TAM begins at the sixth
    assert np.isfinite([epoch["loss"] for epoch in result.history.metrics]).all()
    assert result.record["loss"] == loss
    assert result.record["encoder"] == encoder


def test_training_is_that_of_a_plain_loop(citations):
    config = Config(**SMALL | {"loss": "re-weight", "epochs": 6})
    problem = pose(config, citations, 0)
    node, label = problem.split.train
    model = ManyModels("GCN", problem.x.shape[1], 8, 4, seeds=[0])
    decaying, others = (
        [p for p, decays in model.stacked() if decays is kind] for kind in (True, False)
    )
    groups = [{"params": decaying, "weight_decay": 5e-4}, {"params": others}]
    adam = torch.optim.Adam(groups, lr=0.01)
    field, y = problem.field(node), torch.from_numpy(label)
    counts = y.bincount()
    losses = []
    for epoch in range(6):
        rng = np.random.default_rng([0, epoch])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        logits = model(field, dropout=0.5, generator=generator)[0]
        loss = cross_entropy(logits, y, weight=counts.min() / counts)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    found = system_of(loss="re-weight", epochs=6).fit(citations)
    assert [epoch["loss"] for epoch in found.history.metrics] == pytest.approx(losses, rel=1e-4)


@pytest.fixture
def devices(on_cuda, monkeypatch):
    """What ``--device`` may say, and whether both give the same: they do where it is emulated."""
    emulated = on_cuda == "cpu"
    if emulated:
        for module in ("autolinc", "base"):
            monkeypatch.setattr(f"dglmeta.systems.{module}.check_device", lambda device: device)
    return ("cpu", "cuda"), emulated


@pytest.mark.parametrize(
    ("encoder", "loss"),
    [*(("gcn", loss) for loss in ("tam", "renode", "autolinc:J")), ("gat", "pc-softmax"),
     ("sage", "re-weight")],
)  # fmt: skip
def test_on_a_gpu_it_trains_as_on_the_processor(citations, devices, encoder, loss, tmp_path):
    named, same = devices
    results = [
        system_of(loss=loss, encoder=encoder, epochs=7).fit(
            citations, device=device, out=tmp_path / device
        )
        for device in named
    ]
    here, there = ([epoch["loss"] for epoch in r.history.metrics] for r in results)
    assert there == pytest.approx(here, rel=1e-3) if same else np.isfinite(there).all()
    assert results[1].metrics["test_bacc"] == pytest.approx(
        results[0].metrics["test_bacc"], abs=1e-3 if same else 0.5
    )
    run = RunFolder(tmp_path / "cuda")
    loaded = system_of(loss=loss, encoder=encoder, epochs=7).load(citations, run, device="cuda")
    assert loaded.metrics == pytest.approx(results[1].metrics, abs=1e-6)


def test_on_a_gpu_it_searches_as_on_the_processor(citations, devices):
    settings = {
        "loss": "search", "epochs": 3, "candidates": 4, "round": 6, "proxy_epochs": 6,
        "proxy_d": 8, "proxy_features": 4, "draws": 2, "finalists": 2,
    }  # fmt: skip
    named, same = devices
    here, there = (system_of(**settings).fit(citations, device=d) for d in named)
    assert there.record["found"]["counts"]["trained"] >= 4
    assert there.record["loss"] == here.record["loss"] or not same


def test_a_known_loss_learns_the_toy(citations):
    result = fit(citations, loss="balanced-softmax", d=32, epochs=60, rho=2.0)
    assert result.metrics["test_bacc"] > 0.6
    assert result.metrics["valid_score"] == result.history.best_value


def test_scores_are_those_of_the_predictions(citations):
    result = fit(citations, loss="pc-softmax", epochs=30)
    split = pose(Config(), citations, 0).split
    z, label = result.embed()["node"][split.test.node], split.test.label
    said = z.argmax(1)
    recalls = [(said[label == c] == c).mean() for c in range(4)]
    assert result.metrics["test_accuracy"] == pytest.approx((said == label).mean())
    assert result.metrics["test_bacc"] == pytest.approx(np.mean(recalls))
    both = result.metrics["test_accuracy"] + result.metrics["test_macro_f1"]
    assert result.metrics["test_score"] == pytest.approx(both / 2)


def test_pc_softmax_trains_as_cross_entropy_and_predicts_otherwise(citations):
    plain, shifted = (fit(citations, loss=loss) for loss in ("cross-entropy", "pc-softmax"))
    for one, other in zip(plain.history.metrics, shifted.history.metrics, strict=True):
        assert one["loss"] == other["loss"]
    assert plain.metrics != shifted.metrics


def test_a_plateau_of_validation_lowers_the_step_size(citations, tmp_path):
    system_of(loss="autolinc:-(y - u)^2", epochs=12, plateau=2, lr=0.1).fit(citations, out=tmp_path)
    epochs = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    rates = [epoch["lr"] for epoch in epochs]
    assert rates[0] == 0.1
    assert rates[-1] <= 0.025
    assert {later / earlier for earlier, later in zip(rates, rates[1:], strict=False)} == {0.5, 1.0}
    patient = fit(citations, loss="autolinc:-(y - u)^2", epochs=12, plateau=50, lr=0.1)
    assert {epoch["lr"] for epoch in patient.history.metrics} == {0.1}


@pytest.mark.parametrize("loss", ["autolinc:B", "tam"])
def test_a_run_in_two_parts_is_the_run_in_one(citations, tmp_path, loss):
    settings = {"loss": loss, "plateau": 1, "lr": 0.1}
    whole = system_of(epochs=9, **settings).fit(citations)
    system_of(epochs=4, **settings).fit(citations, out=tmp_path)
    resumed = system_of(epochs=9, **settings).fit(citations, out=tmp_path, resume=True)
    assert resumed.history.metrics == whole.history.metrics
    assert resumed.metrics == whole.metrics
    assert len({epoch["lr"] for epoch in whole.history.metrics}) > 1 or loss == "tam"
    assert np.array_equal(resumed.embed()["node"], whole.embed()["node"])


# Overflow


@pytest.mark.parametrize("loss", [OVERFLOW, "autolinc:1/exp(exp(n + 70) + y*u)"])
def test_an_overflow_ends_training_with_what_to_do(citations, loss):
    told = r"finite logits from training with 'autolinc:.*overflow in epoch \d+\. Give another loss"
    with pytest.raises(DataError, match=told):
        fit(citations, loss=loss, epochs=300)


def test_a_run_that_overflowed_is_saved_by_fewer_epochs(citations, tmp_path):
    settings = {"loss": "autolinc:1/exp(n*u) - u*y", "lr": 0.1}
    with pytest.raises(DataError, match="end before that epoch") as error:
        system_of(**settings, epochs=300).fit(citations, out=tmp_path)
    sound = int(str(error.value).split("in epoch ")[1].split(".")[0]) - 1
    assert sound > 2
    saved = system_of(**settings, epochs=sound).fit(citations, out=tmp_path, resume=True)
    assert saved.metrics == fit(citations, **settings, epochs=sound).metrics


@pytest.mark.parametrize("searcher", ["tree", "random"])
def test_overflows_in_a_search_are_counted_and_lose(citations, searcher):
    settings = {"candidates": 30, "round": 16, "proxy_epochs": 8, "proxy_d": 8, "time_budget": "1h"}
    checks = ("finite", "monotonicity")
    result = fit(
        citations, loss="search", searcher=searcher, checks=checks, proxy_features=0, **settings
    )
    assert result.record["found"]["counts"]["finite"] > 0
    assert result.record["found"]["score"] > 0


@pytest.mark.parametrize("checks", [(), CHECKS], ids=["unchecked", "checked"])
def test_nothing_warns_of_an_overflow(citations, checks):
    settings = {"proxy_epochs": 8, "proxy_d": 8, "proxy_features": 0, "proxy_lr": 5.0, "lr": 1e-4}
    found = fit(
        citations, loss="search", candidates=40, time_budget="1h", checks=checks, **settings
    ).record["found"]
    assert found["counts"]["trained"] >= 40
