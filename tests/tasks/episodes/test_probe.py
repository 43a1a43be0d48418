"""Probes: planted embeddings score what they must, and only graphs to fit are learnt from."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from dglmeta.errors import ConfigError, DataError
from dglmeta.nn.multi_task import TASKS
from dglmeta.tasks.episodes import PROBES, probe
from dglmeta.tasks.episodes.holdout import LinkHoldout, hold_out_links, published_holdout
from dglmeta.tasks.graphs import GraphRows

B, N = 40, 20
FIT, JUDGE, REST = np.arange(0, 24), np.arange(24, 34), np.arange(34, B)


def planted(p: float = 0.2) -> GraphRows:
    """Random graphs of N nodes; classes of graphs and nodes at random."""
    rng = np.random.default_rng(0)
    edges = [
        np.array(sorted(nx.gnp_random_graph(N, p, seed=b).edges)).reshape(-1, 2) + N * b
        for b in range(B)
    ]
    return GraphRows(
        np.arange(B + 1) * N,
        np.zeros((B * N, 1), np.float32),
        np.concatenate(edges),
        np.cumsum([0, *map(len, edges)]),
        rng.integers(0, 3, B * N),
        rng.permutation(np.arange(B) % 2),
    )


ROWS = planted()
HOLDOUT = hold_out_links(ROWS, seed=0)


def noise(d: int = 4, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(B * N, d)).astype(np.float32)


def told(task: str) -> np.ndarray:
    """Embeddings that tell the classes, nodes of graphs with the mean only."""
    z = noise(3)
    if task == "gc":
        return z / 10 + ROWS.graph_label.repeat(N)[:, None].astype(np.float32)
    return z / 10 + np.eye(3, dtype=np.float32)[ROWS.node_label]


def signal(task: str) -> np.ndarray:
    """Embeddings that tell some, not all; of links the degree of the ends."""
    if task != "lp":
        return told(task) + noise(3, seed=2) * (4 if task == "gc" else 0.7)
    z = noise()
    z[:, 0] += np.bincount(ROWS.edges.ravel(), minlength=B * N) / 4
    return z


def blocks(n: int = 60) -> tuple[GraphRows, np.ndarray, LinkHoldout]:
    """Graphs whose nodes are of two kinds, and edges join exactly the like ones."""
    rng = np.random.default_rng(0)
    sign = rng.choice([-1, 1], (n, N))
    edges, pairs = [], []
    for b in range(n):
        u, v = np.triu_indices(N, 1)
        like = sign[b, u] == sign[b, v]
        edges.append(np.stack([u, v], axis=1)[like] + N * b)
        pairs.append(np.stack([u, v], axis=1)[~like] + N * b)
    rows = GraphRows(
        np.arange(n + 1) * N,
        np.zeros((n * N, 1), np.float32),
        np.concatenate(edges),
        np.cumsum([0, *map(len, edges)]),
        None,
        None,
    )
    return rows, sign.reshape(-1, 1).astype(np.float32), hold_out_links(rows, seed=0)


@pytest.mark.parametrize("kind", PROBES)
@pytest.mark.parametrize("task", ["gc", "nc"])
def test_classes_that_embeddings_tell_apart_are_all_found(task, kind):
    assert probe(task, told(task), ROWS, FIT, JUDGE, kind=kind) == 1.0


@pytest.mark.parametrize("kind", PROBES)
@pytest.mark.parametrize(("task", "chance", "off"), [("gc", 1 / 2, 0.4), ("nc", 1 / 3, 0.12)])
def test_noise_tells_classes_by_chance(task, chance, off, kind):
    assert abs(probe(task, noise(), ROWS, FIT, JUDGE, kind=kind) - chance) < off


@pytest.mark.parametrize("kind", PROBES)
def test_noise_tells_links_by_chance(kind):
    assert abs(probe("lp", noise(), ROWS, FIT, JUDGE, HOLDOUT, kind=kind) - 0.5) < 0.1


@pytest.mark.parametrize("kind", PROBES)
def test_whether_two_ends_match_is_seen_by_products_and_not_by_ends_side_by_side(kind):
    rows, z, holdout = blocks()
    graphs = np.arange(40), np.arange(40, 60)
    assert probe("lp", z, rows, *graphs, holdout, kind=kind) == 1.0
    published = probe("lp", z, rows, *graphs, holdout, kind=kind, published=True)
    assert abs(published - 0.5) < 0.1


def test_the_published_pairs_are_told_by_which_nodes_come_first():
    graphs = np.arange(24), np.arange(24, B)
    first = (np.arange(B * N) % N < 4)[:, None].astype(np.float32)
    published = probe("lp", first, ROWS, *graphs, published_holdout(ROWS), published=True)
    assert published > 0.95
    assert abs(probe("lp", first, ROWS, *graphs, HOLDOUT) - 0.5) < 0.1


def test_a_graph_is_the_mean_of_its_nodes():
    sizes = np.random.default_rng(3).permutation(B) + 1
    node_ptr = np.cumsum([0, *sizes])
    rows = replace(ROWS, x=np.zeros((node_ptr[-1], 1), np.float32), node_ptr=node_ptr)
    z = 1 + 0.2 * np.random.default_rng(4).normal(size=(node_ptr[-1], 2))
    z += 0.5 * rows.graph_label.repeat(sizes)[:, None]
    mean = np.array([z[a:b].mean(0) for a, b in pairwise(node_ptr)])
    found = probe("gc", z, rows, FIT, JUDGE)
    assert found == oracle("svm", mean, rows.graph_label, FIT, JUDGE)
    total = mean * sizes[:, None]
    assert found > oracle("svm", total, rows.graph_label, FIT, JUDGE)


def oracle(kind, x, label, fit, judge, *, area: bool = False) -> float:
    scaler = StandardScaler().fit(x[fit])
    model = RidgeClassifier() if kind == "ridge" else LinearSVC(tol=1e-5, random_state=0)
    model.fit(scaler.transform(x[fit]), label[fit])
    if area:
        return roc_auc_score(label[judge], model.decision_function(scaler.transform(x[judge])))
    return model.score(scaler.transform(x[judge]), label[judge])


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("kind", PROBES)
def test_links_are_scored_as_by_hand(kind, published):
    z = signal("lp").astype(np.float64)
    (u, v), label = HOLDOUT.pairs.T, HOLDOUT.label
    ends = [z[u], z[v]] if published else [abs(z[u] - z[v]), z[u] * z[v]]
    parts = (np.flatnonzero(HOLDOUT.graph < 24), np.flatnonzero(np.isin(HOLDOUT.graph, JUDGE)))
    found = probe("lp", z, ROWS, FIT, JUDGE, HOLDOUT, kind=kind, published=published)
    assert found == pytest.approx(
        oracle(kind, np.hstack(ends), label, *parts, area=not published), abs=1e-3
    )
    assert found > 0.55


@pytest.mark.parametrize("kind", PROBES)
def test_nodes_are_scored_as_by_hand(kind):
    z = signal("nc")
    parts = np.arange(24 * N), np.arange(24 * N, 34 * N)
    assert probe("nc", z, ROWS, FIT, JUDGE, kind=kind) == pytest.approx(
        oracle(kind, z, ROWS.node_label, *parts), abs=0.01
    )


def test_links_score_the_same_from_either_end():
    swapped = HOLDOUT._replace(pairs=HOLDOUT.pairs[:, ::-1].copy())
    mixed = HOLDOUT.pairs.copy()
    mixed[::2] = mixed[::2, ::-1]
    z = signal("lp")
    scores = {
        probe("lp", z, ROWS, FIT, JUDGE, h)
        for h in (HOLDOUT, swapped, HOLDOUT._replace(pairs=mixed))
    }
    assert len(scores) == 1


@pytest.mark.parametrize("task", TASKS)
def test_labels_to_judge_by_are_not_learnt_from(task):
    """Turning all of them round turns the score round, as the model stays the same."""
    z = signal(task)
    rows, holdout = turned(ROWS, HOLDOUT, JUDGE)
    before = probe(task, z, binary(ROWS), FIT, JUDGE, HOLDOUT)
    assert before > 0.55
    assert probe(task, z, rows, FIT, JUDGE, holdout) == pytest.approx(1 - before)


def binary(rows: GraphRows) -> GraphRows:
    return replace(rows, node_label=(rows.node_label > 0).astype(np.int64))


def turned(
    rows: GraphRows, holdout: LinkHoldout, graphs: np.ndarray
) -> tuple[GraphRows, LinkHoldout]:
    """Two classes everywhere, exchanged in some graphs."""
    rows = binary(rows)

    def turn(label: np.ndarray, graph: np.ndarray) -> np.ndarray:
        return np.where(np.isin(graph, graphs), 1 - label, label)

    rows = replace(
        rows,
        node_label=turn(rows.node_label, rows.graph_of_node),
        graph_label=turn(rows.graph_label, np.arange(B)),
    )
    return rows, holdout._replace(label=turn(holdout.label, holdout.graph))


@pytest.mark.parametrize("kind", PROBES)
@pytest.mark.parametrize("task", TASKS)
def test_graphs_of_neither_part_change_nothing_and_those_to_fit_do(task, kind):
    z = signal(task)
    before = probe(task, z, binary(ROWS), FIT, JUDGE, HOLDOUT, kind=kind)
    assert 0.55 < before < 1
    rows, holdout = turned(ROWS, HOLDOUT, REST)
    other = z.copy()
    other[REST[0] * N :] = 100 * noise(z.shape[1], seed=5)[REST[0] * N :]
    assert probe(task, other, rows, FIT, JUDGE, holdout, kind=kind) == before
    rows, holdout = turned(ROWS, HOLDOUT, FIT)
    assert probe(task, z, rows, FIT, JUDGE, holdout, kind=kind) == pytest.approx(1 - before)


@pytest.mark.parametrize("task", ["gc", "nc"])
def test_scale_and_origin_of_a_column_do_not_matter_to_classes(task):
    z = signal(task)
    moved = z * np.array([10, 0.1, 3], np.float32) + np.array([5, 1, -2], np.float32)
    assert probe(task, moved, ROWS, FIT, JUDGE) == probe(task, z, ROWS, FIT, JUDGE)


@pytest.mark.parametrize("kind", PROBES)
@pytest.mark.parametrize("task", TASKS)
def test_the_same_embeddings_score_the_same_and_stay_as_they_are(task, kind):
    z = noise(6)
    scores = {probe(task, z, ROWS, FIT, JUDGE, HOLDOUT, kind=kind) for _ in range(3)}
    assert len(scores) == 1
    np.testing.assert_array_equal(z, noise(6))


@pytest.mark.parametrize("task", TASKS)
def test_a_column_without_variation_does_not_harm(task):
    z = noise(3)
    flat = np.column_stack([z, np.zeros(B * N), z[:, 0]]).astype(np.float32)
    assert 0 <= probe(task, flat, ROWS, FIT, JUDGE, HOLDOUT, kind="ridge") <= 1


@pytest.mark.parametrize(("task", "what"), [("gc", "graphs"), ("nc", "nodes")])
def test_a_data_set_without_labels_is_refused(task, what):
    rows = replace(ROWS, graph_label=None, node_label=None)
    with pytest.raises(DataError, match=f"classes of the {what}, got a data set without"):
        probe(task, noise(), rows, FIT, JUDGE, HOLDOUT)


@pytest.mark.parametrize("task", TASKS)
def test_one_class_to_fit_is_refused(task):
    rows = replace(ROWS, graph_label=np.zeros(B, np.int64), node_label=np.ones(B * N, np.int64))
    holdout = HOLDOUT._replace(label=np.ones_like(HOLDOUT.label))
    with pytest.raises(DataError, match=f"2 classes of '{task}' among the graphs to fit, got 1"):
        probe(task, noise(), rows, FIT, JUDGE, holdout)


@pytest.mark.parametrize("published", [False, True])
def test_links_without_pairs_to_judge_are_refused(published):
    kept = ~np.isin(HOLDOUT.graph, JUDGE)
    holdout = LinkHoldout(HOLDOUT.messages, *(part[kept] for part in HOLDOUT[1:]))
    with pytest.raises(DataError, match="'lp' among the graphs to judge, got 0 in 0 samples"):
        probe("lp", noise(), ROWS, FIT, JUDGE, holdout, published=published)


def test_an_area_of_edges_alone_is_refused():
    kept = ~np.isin(HOLDOUT.graph, JUDGE) | (HOLDOUT.label == 1)
    holdout = LinkHoldout(HOLDOUT.messages, *(part[kept] for part in HOLDOUT[1:]))
    with pytest.raises(DataError, match="2 classes of 'lp' among the graphs to judge, got 1"):
        probe("lp", noise(), ROWS, FIT, JUDGE, holdout)


def test_no_graphs_or_unknown_ones_are_refused():
    for wrong in (np.empty(0, np.int64), np.array([1, B]), np.array([-1])):
        for parts in ((FIT, wrong), (wrong, JUDGE)):
            with pytest.raises(DataError, match=f"probe: expected numbers of graphs, 0 to {B - 1}"):
                probe("gc", noise(), ROWS, *parts)


def test_graphs_without_nodes_have_none_to_judge():
    rows = replace(
        ROWS,
        node_ptr=np.append(ROWS.node_ptr, B * N),
        edge_ptr=np.append(ROWS.edge_ptr, len(ROWS.edges)),
    )
    with pytest.raises(DataError, match="'nc' among the graphs to judge, got 0 in 0 samples"):
        probe("nc", noise(), rows, FIT, np.array([B]))


def test_embeddings_of_other_nodes_or_not_finite_are_refused():
    with pytest.raises(DataError, match=rf"embeddings \({B * N}, d\), got shape \(7, 4\)"):
        probe("nc", noise()[:7], ROWS, FIT, JUDGE)
    z = noise()
    z[3, 1] = np.nan
    with pytest.raises(DataError, match="got 1 numbers that are not. Training diverged"):
        probe("nc", z, ROWS, FIT, JUDGE)


def test_unknown_tasks_kinds_and_missing_pairs_are_refused():
    with pytest.raises(ConfigError, match="a task of .*, got 'links'"):
        probe("links", noise(), ROWS, FIT, JUDGE)
    with pytest.raises(ConfigError, match="a kind of .*, got 'forest'"):
        probe("gc", noise(), ROWS, FIT, JUDGE, kind="forest")
    with pytest.raises(ConfigError, match="a holdout for 'lp', got None"):
        probe("lp", noise(), ROWS, FIT, JUDGE)
