"""What every system of dglmeta.systems keeps, so that one can be put in another's place."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import dglmeta as dm
from dglmeta import systems
from dglmeta.data import Dataset, LabelledNodes, Rows, few_shot_split
from dglmeta.errors import ConfigError, DeviceError
from dglmeta.systems import System
from dglmeta.train import RunFolder, config_from_dict

ALL = [
    kind
    for kind in map(vars(systems).get, systems.__all__)
    if issubclass(kind, System) and kind is not System
]

DATA = {
    "selar": "toy",
    "meta-graph": "toy-graphs",
    "same": "toy-graphs",
    "hgcvae": "toy-papers",
    "autolinc": "toy-citations",
}
"""What each system is tried on."""

SMALL = {
    "selar": {"batch": 8, "epochs": 4, "d": 4, "weighter_hidden": 10},
    "meta-graph": {
        "train_fraction": 0.3,
        "epochs": 3,
        "passes": 1,
        "adapt_steps": 10,
        "d": 4,
        "d_hidden": 8,
    },
    "same": {"epochs": 3, "passes": 1, "d": 8, "batch": 6},
    "hgcvae": {"epochs": 3, "d": 8, "n_heads": 2, "edges": 50, "probe_repeats": 2},
    "autolinc": {"loss": "autolinc:D", "epochs": 8, "d": 8},
}
"""Settings that make each system quick there."""

VARIANTS = {
    "selar": {
        "": {},
        "hint": {
            "strategy": "selar+hint",
            "encoder": "gat",
            "auxiliary": ("metapath", "degree"),
            "dropout": 0.2,
            "attenuation": 0.5,
        },
        "sampled": {"strategy": "selar+hint", "fanouts": (2, 2), "encoder": "sage"},
        "paper": {"strategy": "selar+hint", "protocol": "paper", "fanouts": (2, 2)},
    },
    "meta-graph": {
        "": {},
        "weights, with noise": {"variant": "weights", "variational": True, "graphs": 3},
        "maml": {"method": "maml", "order": 1, "adapted": "last"},
        "finetune": {"method": "finetune", "adapt_optimizer": "adam", "adapt_lr": 0.01},
        "leave one out": {"graph_split": "leave-one-out", "variant": "gating"},
        "paper": {"protocol": "paper", "variant": "gating"},
    },
    "same": {
        "": {},
        "heads": {"variant": "esame", "norm": "layer", "tasks": ("gc", "nc", "lp")},
        "together": {"variant": "maml", "residual": False, "inner_steps": 2},
        "finetune": {"variant": "finetune", "pretrain_passes": 2},
        "paper": {"protocol": "paper", "features": ("feat",)},
    },
    "hgcvae": {
        "": {},
        "drawn negatives": {"negatives": 20, "late_negatives": "late", "attention": "instances"},
        "no mask": {"mask_from": 0.0, "mask_to": 0.0, "error": "sce", "n_layers": 2},
        "supervised": {"variant": "supervised", "labels": 5},
    },
    "autolinc": {
        "": {},
        "search": {
            "loss": "search",
            "epochs": 30,
            "searcher": "evolution",  # a tree's first hundred candidates are too poor to learn
            "candidates": 60,
            "round": 32,
            "proxy_epochs": 40,
            "proxy_d": 16,
            "proxy_features": 0,
            "finalists": 2,
        },
        "tam": {"loss": "tam", "encoder": "sage"},
        "gat": {"encoder": "gat", "label_ratio": 0.1, "valid_per_class": 10},
    },
}
"""Ways to run each system that must keep the same promises."""

METRICS = {
    "selar": {"auc", "ap", "f1"},
    "meta-graph": {"auc", "ap", "auc_5_steps", "ap_5_steps"},
    "same": {"gc_accuracy", "nc_accuracy", "lp_auc", "score"},
    "same paper": {"gc_accuracy", "nc_accuracy", "lp_accuracy", "score"},
    "hgcvae": {f"{m}_{k}" for m in ("micro_f1", "macro_f1", "auc") for k in (2, 5)}
    | {"nmi", "ari"},
    "hgcvae supervised": {"micro_f1_5", "macro_f1_5", "auc_5"},
    "autolinc": {"bacc", "macro_f1", "accuracy", "score"},
}
"""What each system measures on a split."""

VALID = {"hgcvae": {"objective"}, "hgcvae supervised": {"objective", *METRICS["hgcvae supervised"]}}
"""What it measures on validation rows, where that is something else."""

RESULT_FIELDS = {
    *("system", "data", "protocol", "seed", "split_seed", "metrics", "best_epoch", "epochs"),
    *("steps", "seconds_per_step", "seconds_total", "peak_rss_mib", "n_parameters", "config"),
    *("versions", "commit"),
}


class Case:
    """A system with settings that make it quick."""

    def __init__(self, kind, variant):
        self.name, self.Config, self.monitor = kind.name, kind.Config, kind.monitor
        self.kind, self.variant, self.data = kind, variant, DATA[kind.name]

    def __str__(self):
        return f"{self.name} {self.variant}".strip()

    def small(self):
        settings = SMALL[self.name] | VARIANTS[self.name][self.variant]
        return self.kind(self.Config(**settings))


CASES = [Case(kind, variant) for kind in ALL for variant in VARIANTS[kind.name]]


@pytest.fixture(scope="module", params=CASES, ids=str)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def ds(kind):
    return dm.load_dataset(kind.data)


@pytest.fixture(scope="module")
def result_and_folder(kind, ds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / str(kind)
    return small(kind).fit(ds, seed=0, out=folder), folder


def small(kind):
    return kind.small()


def test_the_config_is_frozen_and_knows_no_other_fields(kind):
    config = kind.Config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.epochs = 1
    with pytest.raises(TypeError):
        kind.Config(no_such_field=1)
    with pytest.raises(ConfigError, match="no_such_field"):
        config_from_dict(kind.Config, {"no_such_field": 1})


def test_a_config_survives_its_file(kind, tmp_path):
    config = small(kind).config
    run = RunFolder(tmp_path)
    run.begin({"system": kind.name, "data": kind.data}, dataclasses.asdict(config), resume=False)
    assert config_from_dict(kind.Config, run.read_config()["config"]) == config


@pytest.mark.parametrize("field", ["epochs", "patience"])
def test_a_run_of_no_epochs_is_refused(kind, field):
    with pytest.raises(ConfigError, match=field):
        kind.Config(**{field: 0})


def test_training_gives_finite_metrics_under_the_right_names(kind, result_and_folder):
    result, _ = result_and_folder
    tested = METRICS.get(str(kind), METRICS[kind.name])
    chosen_by = VALID.get(str(kind), VALID.get(kind.name, tested))
    names = {f"valid_{m}" for m in chosen_by} | {f"test_{m}" for m in tested}
    assert set(result.metrics) == names
    assert kind.monitor in names
    shares = [
        v for name, v in result.metrics.items() if name not in ("valid_objective", "test_ari")
    ]
    assert all(0 <= value <= 1 for value in shares)
    assert np.isfinite(list(result.metrics.values())).all()


def test_a_run_folder_holds_what_the_design_names(kind, result_and_folder):
    result, folder = result_and_folder
    written = {p.name for p in folder.iterdir()}
    named = {"config.toml", "metrics.jsonl", "checkpoint.pt", "result.json"}
    assert written == named | ({"search.jsonl"} if str(kind) == "autolinc search" else set())
    record = json.loads((folder / "result.json").read_text())
    assert set(record) >= RESULT_FIELDS
    assert set(record["seconds_per_step"]) == {"median", "p10", "p90"}
    assert record["system"] == kind.name
    assert record["metrics"] == dict(result.metrics)
    epochs = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [e["epoch"] for e in epochs] == list(range(record["epochs"]))
    assert max(e[kind.monitor] for e in epochs) == epochs[record["best_epoch"]][kind.monitor]


def test_a_checkpoint_and_a_saved_result_load_without_running_code(result_and_folder, tmp_path):
    result, folder = result_and_folder
    assert "best" in torch.load(folder / "checkpoint.pt", weights_only=True)
    result.save(tmp_path)
    assert (tmp_path / "result.json").read_text() == (folder / "result.json").read_text()
    with np.load(tmp_path / "embeddings.npz", allow_pickle=False) as arrays:
        assert set(arrays) == set(result.embed())


def test_the_same_seed_gives_the_same_run_and_another_seed_another(kind, ds):
    first, again, other = (small(kind).fit(ds, seed=seed) for seed in (0, 0, 1))
    assert again.metrics == first.metrics
    assert again.history.metrics == first.history.metrics
    for name, z in first.embed().items():
        assert np.array_equal(again.embed()[name], z)
        assert not np.array_equal(other.embed()[name], z)


def test_another_split_seed_gives_other_test_pairs(kind, ds):
    one, other = (small(kind).fit(ds, split_seed=seed) for seed in (0, 1))
    assert one.record["split_seed"] == 0
    assert one.metrics != other.metrics


def test_training_leaves_the_global_generators_alone(kind, ds):
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1]
    small(kind).fit(ds)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_embeddings_have_one_row_a_node_of_every_type_or_test_graph(kind, ds, result_and_folder):
    embeddings = result_and_folder[0].embed()
    if isinstance(ds, Dataset):
        of_one_type = kind.name in ("hgcvae", "autolinc")
        labelled = [ds.node_split.node_type] if of_one_type else ds.csr.n_nodes
        n_nodes = {name: ds.csr.n_nodes[name] for name in labelled}
    else:
        embedded = range(len(ds)) if kind.name == "same" else graphs_tested(kind, ds)
        n_nodes = {ds.graph_names[k]: ds.graphs[k].n_nodes["node"] for k in embedded}
    assert {name: len(z) for name, z in embeddings.items()} == n_nodes
    assert all(z.dtype == np.float32 and np.isfinite(z).all() for z in embeddings.values())


def test_evaluation_is_deterministic_and_of_the_best_epoch(kind, result_and_folder):
    result, _ = result_and_folder
    valid = result.evaluate("valid")
    assert valid == result.evaluate("valid")
    assert valid[kind.monitor] == result.history.best_value
    assert {**valid, **result.evaluate("test")} == result.metrics


def test_a_run_loaded_again_answers_the_same(kind, ds, result_and_folder):
    result, folder = result_and_folder
    loaded = small(kind).load(ds, RunFolder(folder, write=False))
    assert loaded.evaluate("test") == result.evaluate("test")
    for name, z in result.embed().items():
        assert np.array_equal(loaded.embed()[name], z)


def test_test_labels_have_no_say_in_training_or_selection(kind, ds, monkeypatch):
    honest = small(kind).fit(ds)
    if kind.name == "hgcvae":
        poison_classes(monkeypatch)
    elif kind.name == "autolinc":
        poison_imbalance(monkeypatch)
    elif isinstance(ds, Dataset):
        poison_rows(monkeypatch)
    elif kind.name == "same":
        poison_rows_of_graphs(monkeypatch, ds)
    else:
        poison_graphs(monkeypatch, [ds.graphs[k] for k in graphs_tested(kind, ds)])
    poisoned = small(kind).fit(ds)
    assert poisoned.history.best_epoch == honest.history.best_epoch
    assert poisoned.history.metrics == honest.history.metrics
    assert poisoned.metrics != honest.metrics


def graphs_tested(kind, ds):
    """Numbers of the graphs that are tested on."""
    alone = getattr(kind.small().config, "graph_split", "") == "leave-one-out"
    return (ds.leave_one_out(0) if alone else ds.splits(0)).test


def poison_rows(monkeypatch):
    """Test labels are turned round from now on."""
    split_honestly = Dataset.splits

    def poison(self, *args, **options):
        split = split_honestly(self, *args, **options)
        src, dst, label = split.test
        return dataclasses.replace(split, test=Rows(src, dst, 1 - label))

    monkeypatch.setattr(Dataset, "splits", poison)


def poison_classes(monkeypatch):
    """Test nodes of HGCVAE are of the next class from now on."""
    from dglmeta.systems.parts.hgcvae.setup import State

    honest = State.splits.func

    def poison(self):
        found = {}
        for name, split in honest(self).items():
            turned = LabelledNodes(split.test.node, (split.test.label + 1) % split.n_classes)
            found[name] = dataclasses.replace(split, test=turned)
        return found

    monkeypatch.setattr(State, "splits", property(poison))


def poison_imbalance(monkeypatch):
    """Test nodes of AutoLINC are of the next class from now on."""
    from dglmeta.systems.parts.autolinc import setup as module

    honest = module.step_imbalance

    def poison(*args, **options):
        split = honest(*args, **options)
        turned = LabelledNodes(split.test.node, (split.test.label + 1) % split.n_classes)
        return dataclasses.replace(split, test=turned)

    monkeypatch.setattr(module, "step_imbalance", poison)


def poison_graphs(monkeypatch, graphs):
    """Test edges of some graphs change places with the non-edges beside them from now on."""

    def poison(graph, *args, **options):
        split = few_shot_split(graph, *args, **options)
        if any(graph is other for other in graphs):
            return split._replace(test=split.test_negatives, test_negatives=split.test)
        return split

    monkeypatch.setattr("dglmeta.systems.parts.meta_graph.setup.few_shot_split", poison)


def poison_rows_of_graphs(monkeypatch, ds):
    """Classes and links of the test graphs of SAME are turned round from now on."""
    from dglmeta.systems.parts.same import setup as module

    read, hold_out = module.graph_rows, module.hold_out_links
    tested = ds.splits(0, shares=module.SHARES).test

    def poison(*args, **options):
        rows = read(*args, **options)
        node, graph = rows.node_label.copy(), rows.graph_label.copy()
        here = np.isin(rows.graph_of_node, tested)
        node[here] = node.max() - node[here]
        graph[tested] = 1 - graph[tested]
        return dataclasses.replace(rows, node_label=node, graph_label=graph)

    def poison_links(rows, **options):
        held = hold_out(rows, **options)
        here = np.isin(held.graph, tested)
        return held._replace(label=np.where(here, 1 - held.label, held.label))

    monkeypatch.setattr(module, "graph_rows", poison)
    monkeypatch.setattr(module, "hold_out_links", poison_links)


def test_a_device_that_cannot_be_used_is_refused(kind, ds, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="--device cpu"):
        small(kind).fit(ds, device="cuda")
    with pytest.raises(DeviceError, match="got 'tpu'"):
        small(kind).fit(ds, device="tpu")
