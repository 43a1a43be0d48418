"""What is predicted of a new graph is what brute force would give, from what the run learned."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dglmeta.data import Dataset, GraphDataset, load_dataset, undirected
from dglmeta.data.graph_dataset import LINK, NODE
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency, HeteroCSR
from dglmeta.systems import MetaGraph
from dglmeta.systems.parts.meta_graph.candidates import strongest_pairs
from dglmeta.systems.parts.meta_graph.links import (
    Learned,
    candidate_links,
    descend,
    new_graph,
    usual_steps,
)
from dglmeta.train import RunFolder

SMALL = {"d_hidden": 6, "d": 4, "epochs": 1, "passes": 1, "adapt_steps": 5, "train_fraction": 0.3}
CITES = ("paper", "cites", "paper")


@pytest.fixture(scope="module")
def toys():
    return load_dataset("toy-graphs")


@pytest.fixture(scope="module")
def trained(toys, tmp_path_factory):
    """``trained(**settings)`` -> a finished run and what it learned."""

    def trained(**settings):
        config = MetaGraph.Config(**{**SMALL, **settings})
        run = RunFolder(tmp_path_factory.mktemp("run"))
        MetaGraph(config).fit(toys, out=run.path)
        return run, Learned.read(config, run)

    return trained


@pytest.fixture(scope="module")
def learned(trained):
    return trained()[1]


def random_graph(n, n_edges, seed=0):
    rng = np.random.default_rng(seed)
    src, dst = rng.integers(0, n, (2, n_edges))
    ends = np.concatenate([src, dst]), np.concatenate([dst, src])
    kept = ends[0] != ends[1]
    return Adjacency.from_coo(ends[0][kept], ends[1][kept], (n, n))


def brute_force(z, known, top, minus=0):
    """Every pair, sorted by (score falling, u, v)."""
    form = np.diag([1.0] * (z.shape[1] - minus) + [-1.0] * minus)
    linked = known.to_scipy().toarray() > 0
    pairs = [
        (-np.float32(z[u] @ form @ z[v]), u, v)
        for u in range(len(z))
        for v in range(u + 1, len(z))
        if not linked[u, v]
    ]
    return sorted(pairs)[:top]


@pytest.mark.parametrize("block", [1, 30, 100, 10**6])
@pytest.mark.parametrize("top", [1, 7, 200, 10**6])
@pytest.mark.parametrize("minus", [0, 2])
def test_the_strongest_pairs_are_those_of_brute_force_in_blocks_of_any_size(block, top, minus):
    # Small whole numbers: no sum is rounded, and many pairs are equal.
    z = np.random.default_rng(1).integers(-2, 3, (25, 3)).astype(np.float32)
    known = random_graph(25, 40)
    found = strongest_pairs(z, known, top, minus=minus, block=block)
    expected = brute_force(z, known, top, minus)
    assert list(zip(-found.logit, found.src, found.dst, strict=True)) == expected


def test_scores_of_any_size_come_out_sorted_and_near_those_of_brute_force():
    z = np.random.default_rng(2).normal(size=(40, 5)).astype(np.float32)
    found = strongest_pairs(z, random_graph(40, 100, 3), 50, block=64)
    expected = brute_force(z, random_graph(40, 100, 3), 50)
    np.testing.assert_allclose(found.logit, [-e[0] for e in expected], rtol=1e-5)
    assert (np.diff(found.logit) <= 0).all()


def test_never_more_pairs_are_held_than_a_block_and_those_wanted(monkeypatch):
    from dglmeta.systems.parts.meta_graph import candidates as module

    genuine, held = module._merge, []

    def watched(parts, top):
        held.append(sum(len(logits) for logits, _ in parts))
        return genuine(parts, top)

    monkeypatch.setattr(module, "_merge", watched)
    z = np.random.default_rng(4).normal(size=(200, 2)).astype(np.float32)
    block, top = 500, 40
    strongest_pairs(z, random_graph(200, 300), top, block=block)
    assert max(held) <= block + 2 * top
    assert sum(held) < 200 * 199 // 4


@pytest.mark.parametrize(
    "settings",
    [{}, {"adapt_optimizer": "adam"}, {"adapted": "last", "variant": "gating"},
     {"variational": True, "adapt_lr": 0.2}, {"method": "maml"}, {"method": "mlp"},
     {"protocol": "paper"}],
)  # fmt: skip
def test_descent_is_that_of_a_runs_evaluation(toys, trained, settings):
    run, learned = trained(**settings)
    system = MetaGraph(learned.config)
    state = system.init(toys, 0, 0)
    state.model.load_state_dict(learned.model.state_dict())
    if state.signature is not None:
        state.signature.load_state_dict(learned.signature.state_dict())
    batch = state.batch(state.split.test)
    path = system.adapt(state, batch)
    phi = descend(learned, batch, path.film, 5)
    for name, value in phi.items():
        assert torch.equal(value, path.early[name])
    moved = {name for name in phi if not torch.equal(phi[name][0], dict(
        learned.model.named_parameters())[name])}  # fmt: skip
    assert moved == {n for n in phi if n.endswith("_out") or settings.get("adapted") != "last"}


def test_the_state_read_is_the_best_one_of_the_run(trained):
    run, learned = trained()
    best = torch.load(run.checkpoint, weights_only=True)["best"]
    for part in ("model", "signature"):
        for name, value in getattr(learned, part).state_dict().items():
            assert torch.equal(value, best[part][name])


def test_links_of_a_graph_are_pairs_that_no_edge_joins_by_the_adapted_embeddings(toys, learned):
    graph = new_graph(toys, 4)
    linked = toys.graphs[4].adjacencies[LINK].to_scipy().toarray()
    n = graph.hg.n_nodes[NODE]
    every = candidate_links(learned, graph, steps=3, top=10**9)
    assert len(every.src) == n * (n - 1) // 2 - linked.sum() // 2
    assert (every.src < every.dst).all()
    assert not linked[every.src, every.dst].any()
    few = candidate_links(learned, graph, steps=3, top=20)
    assert [a.tolist() for a in few] == [a[:20].tolist() for a in every]
    other = candidate_links(learned, graph, steps=0, top=10**9)
    assert not np.array_equal(np.sort(other.logit), np.sort(every.logit))


def test_the_answer_is_the_same_again(toys, learned):
    one, two = (candidate_links(learned, new_graph(toys, 2), steps=4, top=30) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_single_graph_of_one_type_loses_directions_loops_and_repeats():
    feat = np.ones((4, 3), np.float32)
    hg = HeteroCSR.from_edges(
        {CITES: ([0, 1, 2, 2, 0], [1, 0, 2, 3, 1])}, {"paper": 4},
        {"paper": {"feat": feat, "id": np.array([40, 30, 20, 10])}},
    )  # fmt: skip
    graph = new_graph(Dataset("own", hg))
    assert graph.hg.adjacencies[LINK].to_scipy().toarray().tolist() == [
        [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]
    ]  # fmt: skip
    assert graph.ids.tolist() == [40, 30, 20, 10]
    assert graph.hg.node_data[NODE]["feat"] is feat
    assert graph.usual_top == 40


def test_a_graph_with_several_types_and_a_number_that_is_none_are_refused(toys):
    with pytest.raises(DataError, match=r"toy: expected a graph of one node type .*'user', 'item'"):
        new_graph(load_dataset("toy"))
    with pytest.raises(ConfigError, match="the number of a graph, 0 to 11, got 12"):
        new_graph(toys, 12)
    with pytest.raises(ConfigError, match="the number of a graph, 0 to 0, got 1"):
        new_graph(load_dataset("toy"), 1)


@pytest.mark.parametrize("width", [0, 2, 4])
def test_features_of_another_width_are_refused_with_both(learned, width):
    data = {"feat": np.ones((5, width), np.float32)} if width else {}
    ds = GraphDataset("new", (undirected(5, [0, 1], [1, 2], data),), ("g",))
    with pytest.raises(DataError, match=f"with 3 features, as in .* got {width}"):
        candidate_links(learned, new_graph(ds), steps=1, top=1)


@pytest.mark.parametrize("features", [("given",), ("degrees",), ("degrees", "neighbours")])
def test_the_width_asked_for_is_that_of_the_training_graphs(toys, trained, features):
    _, learned = trained(features=features)
    assert learned.n_features == (None if features == ("degrees",) else 3)
    assert len(candidate_links(learned, new_graph(toys), steps=1, top=5).src) == 5


def test_a_run_on_degrees_alone_takes_graphs_with_any_features_or_none(toys, trained):
    _, learned = trained(features=("degrees",))
    ring = (range(6), [*range(1, 6), 0])
    for data in ({}, {"feat": np.ones((6, 9), np.float32)}):
        ds = GraphDataset("new", (undirected(6, *ring, data),), ("g",))
        assert len(candidate_links(learned, new_graph(ds), steps=2, top=99).src) == 9


@pytest.mark.parametrize(("src", "dst"), [([], []), ([0, 0, 1], [1, 2, 2])])
def test_a_graph_without_an_edge_or_without_a_pair_to_predict_is_refused(learned, src, dst):
    hg = undirected(
        3, np.array(src, int), np.array(dst, int), {"feat": np.ones((3, 3), np.float32)}
    )
    ds = GraphDataset("new", (hg,), ("g",))
    with pytest.raises(DataError, match=f"a pair without one, got {len(src)} edges among 3 nodes"):
        candidate_links(learned, new_graph(ds), steps=1, top=1)


def test_a_graph_with_fewer_edges_than_folds_is_adapted_to(learned):
    hg = undirected(4, [0, 2], [1, 3], {"feat": np.eye(4, 3, dtype=np.float32)})
    ds = GraphDataset("new", (hg,), ("g",))
    assert len(candidate_links(learned, new_graph(ds), steps=3, top=9).src) == 4


@pytest.mark.parametrize(("steps", "top"), [(-1, 1), (0, 0)])
def test_too_few_steps_or_links_are_refused(toys, learned, steps, top):
    with pytest.raises(ConfigError, match="at least 0 steps and 1 link"):
        candidate_links(learned, new_graph(toys), steps=steps, top=top)


def test_the_usual_steps_are_the_median_of_those_chosen(tmp_path):
    run = RunFolder(tmp_path)
    run.write_result({"adaptation": {"chosen_step": [5, 40, 10]}})
    assert usual_steps(run) == 10
    run.write_result({})
    with pytest.raises(ConfigError, match="Say how many with --steps"):
        usual_steps(run)


def test_a_method_without_an_encoder_and_a_checkpoint_that_does_not_fit_are_refused(trained):
    run, learned = trained()
    with pytest.raises(ConfigError, match="has an encoder, got 'adamic-adar'"):
        Learned.read(MetaGraph.Config(method="adamic-adar"), run)
    with pytest.raises(DataError, match="to fit the run's settings"):
        Learned.read(dataclasses.replace(learned.config, d=9), run)
