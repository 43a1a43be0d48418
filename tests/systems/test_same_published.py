"""``protocol="paper"`` of SAME: each place where the published program departs from the paper."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import cross_entropy

from dglmeta.data import GraphDataset, toy_graphs
from dglmeta.data.graph_dataset import LINK, NODE, undirected
from dglmeta.errors import ConfigError
from dglmeta.meta import parameters_of
from dglmeta.nn.multi_task import TASKS, Question
from dglmeta.systems import SAME
from dglmeta.systems.parts.same import judge
from dglmeta.systems.parts.same.published import PublishedEpisodes
from dglmeta.systems.parts.same.setup import State
from dglmeta.tasks.episodes import Episode, LinkHoldout, Part
from dglmeta.tasks.graphs import graph_rows

TENTHS = {"gc": 6, "nc": 3, "lp": 8}
TOYS = toy_graphs()
ROWS = graph_rows(TOYS, ["feat"], scaling="rows", train=np.arange(12))
RNG = np.random.default_rng(0)
both = pytest.mark.parametrize("paper", [True, False], ids=["paper", "clean"])


def molecules() -> GraphDataset:
    """Chains of 42 nodes and 44 edges, as DHFR's are on average; features of any sum."""
    rng = np.random.default_rng(0)
    graphs = []
    for _ in range(12):
        graph = nx.path_graph(42)
        while graph.number_of_edges() < 44:
            graph.add_edge(*map(int, rng.choice(np.arange(5, 42), 2, replace=False)))
        data = {"feat": rng.uniform(-0.2, 2, (42, 3)).astype(np.float32)}
        graphs.append(undirected(42, *zip(*graph.edges, strict=True), data))
    return GraphDataset("chains", tuple(graphs), tuple("abcdefghijkl"), np.arange(12) % 2)


def begun(ds: GraphDataset, paper: bool, **settings: Any) -> tuple[SAME, State]:
    protocol = "paper" if paper else "clean"
    system = SAME(SAME.Config(protocol=protocol, d=6, features=("feat",), batch=8, **settings))
    return system, system.init(ds, seed=0, split_seed=0)


def edges_of(adj: Any) -> set[tuple[int, int]]:
    return set(zip(*(end.tolist() for end in adj.coo()), strict=True))


def links_of(part: Part, label: int) -> set[tuple[int, int]]:
    return {pair for pair, given in as_asked("lp", part.questions["lp"]) if given == label}


def side(things: list, tenths: int, which: str) -> list:
    """The first things by number, the others, or all."""
    cut = len(things) * tenths // 10
    return {"support": things[:cut], "target": things[cut:], "all": things}[which]


def dealt(numbers: list[int], n_tasks: int) -> list[list[int]]:
    """Graph i to the task i // q, the rest in turn: of 8 to three tasks 0 1 6, 2 3 7 and 4 5."""
    task = [i // (len(numbers) // n_tasks) for i in range(len(numbers))]
    task = [t if t < n_tasks else i % n_tasks for i, t in enumerate(task)]
    return [[b for b, t in zip(numbers, task, strict=True) if t == k] for k in range(n_tasks)]


def check(part: Part, hands: dict[str, list[int]], which: str, *, apart: bool):
    """Compare a part with what loops make of the graphs that each task was dealt."""
    union, x, ptr, asked = nx.Graph(), [], [0], {}
    whole = nx.from_edgelist(ROWS.edges.tolist())
    for task, hand in hands.items():
        chosen = side(hand, TENTHS[task], which)
        pools, members, links = [], defaultdict(list), {1: [], 0: []}
        for number in chosen if task == "gc" and apart else hand:
            old = np.flatnonzero(ROWS.graph_of_node == number).tolist()
            new, shift = range(len(union), len(union) + len(old)), len(union) - old[0]
            pairs = list(combinations(new, 2))
            edges = [(u, v) for u, v in pairs if whole.has_edge(u - shift, v - shift)]
            free = sorted({*pairs} - {*edges})
            union.add_edges_from((u, u) for u in new)
            union.add_edges_from(side(edges, 8, "support") if task == "lp" else edges)
            x.append(ROWS.x[old])
            for label, listed in ((1, edges), (0, free[: len(edges)])):
                links[label] += [(pair, label) for pair in side(listed, 8, which)]
            for u in old:
                members[ROWS.node_label[u]].append((u + shift, ROWS.node_label[u]))
            if number in chosen:
                pools.append(((number, list(new)), ROWS.graph_label[number]))
        nodes = sorted(sum((side(group, 3, which) for group in members.values()), []))
        asked[task] = {"gc": pools, "nc": nodes, "lp": links[1] + links[0]}[task]
        ptr.append(len(union))
    normal = np.eye(len(union)) - nx.normalized_laplacian_matrix(union, range(len(union)))
    dense = part.graphs.messages.to_scipy(part.graphs.weight.numpy()).toarray()
    np.testing.assert_allclose(dense, normal, atol=1e-6)
    np.testing.assert_allclose(part.graphs.heard.numpy(), normal @ np.concatenate(x), atol=1e-6)
    assert list(part.graphs.task_ptr) == ptr
    got = {task: as_asked(task, question) for task, question in part.questions.items()}
    assert got == {task: expected for task, expected in asked.items() if expected}


def as_asked(task: str, question: Question) -> list[tuple[Any, int]]:
    """What is asked, and the answers; of a graph its number and its rows."""
    what: Any = question.rows.tolist()
    if task == "lp":
        what = zip(*what, strict=True)
    if task == "gc":
        pools = np.split(question.pool.indices, question.pool.indptr[1:-1])
        what = zip(what, (pool.tolist() for pool in pools), strict=True)
    return list(zip(what, question.label.tolist(), strict=True))


@pytest.mark.parametrize("layout", ["apart", "joint", "every"])
@pytest.mark.parametrize("tasks", [TASKS, ("lp", "gc"), ("nc",)], ids=str)
def test_episodes_are_those_made_by_hand_whatever_the_layout(tasks, layout):
    order = [7, 2, 11, 0, 5, 9, 1, 10, 3, 8, 4]
    options = {"joint": layout == "joint", "every": layout == "every"}
    episodes = PublishedEpisodes(ROWS, tasks, batch=8, **options).draw(np.array(order), RNG)
    for episode, numbers in zip(episodes, (order[:8], order[8:]), strict=True):
        hands = [numbers] * len(tasks) if layout == "every" else dealt(numbers, len(tasks))
        hand_of = dict(zip(episode.tasks, hands, strict=True))
        for name in ("support", "target"):
            which = "all" if layout == "every" else name
            check(getattr(episode, name), hand_of, which, apart=layout == "apart")
        assert (episode.support.graphs is episode.target.graphs) == (layout != "apart")


def test_a_batch_without_a_graph_for_each_task_is_left_out_at_the_end_and_else_refused():
    kinds = ((TASKS, False), (("gc", "lp"), False), (TASKS, True))
    made = [PublishedEpisodes(ROWS, tasks, batch=5, every=every) for tasks, every in kinds]
    assert [len(episodes.draw(np.arange(12), RNG)) for episodes in made] == [2, 3, 3]
    with pytest.raises(ConfigError, match="a batch of 3 at least, one for each of gc, nc, lp, got"):
        PublishedEpisodes(ROWS, TASKS, batch=2)
    with pytest.raises(ConfigError, match="graphs of 3 at least, .* got 2. Give more or"):
        PublishedEpisodes(ROWS, TASKS).draw(np.arange(2), RNG)


@both
def test_each_graph_serves_the_same_task_in_every_pass(paper):
    _, state = begun(TOYS, paper)
    passes = [state.episodes.draw(state.split.train, np.random.default_rng(k)) for k in range(4)]
    asked = [[part.questions["gc"].rows.tolist() for part in p[0][1:]] for p in passes]
    served = {tuple(sorted(support + target)) for support, target in asked}
    assert (len(served) == 1) == paper
    assert all(support_and_target == asked[0] for support_and_target in asked) == paper


@both
@pytest.mark.parametrize("variant", ["isame", "classical"])
def test_nothing_is_drawn_in_training(paper, variant):
    def trained(seed: int) -> torch.Tensor:
        system, state = begun(TOYS, paper, variant=variant, passes=2)
        list(system.epoch(state, np.random.default_rng(seed)))
        return torch.cat([p.detach().flatten() for p in state.model.parameters()])

    assert torch.equal(trained(0), trained(1)) == paper


@both
def test_both_parts_hear_the_links_of_the_support(paper):
    episode = begun(TOYS, paper, tasks=("lp",))[1].episodes.draw(np.arange(8), RNG)[0]
    for part in episode[1:]:
        heard = {(u, v) for u, v in edges_of(part.graphs.messages) if u < v}
        assert not heard & links_of(episode.target, 1)
        assert heard & links_of(episode.support, 1) == (heard if paper else set())


@both
def test_links_are_told_by_whether_they_touch_the_first_nodes(paper, monkeypatch):
    system, state = begun(molecules(), paper, tasks=("lp",))
    episode = state.episodes.draw(state.split.train, RNG)[0]
    trained = [u % 42 < 2 for part in episode[1:] for u, _ in links_of(part, 0)]
    judged = state.holdout.pairs[state.holdout.label == 0, 0] % 42 < 2
    for touches in (np.mean(trained), np.mean(judged)):
        assert touches == 1 if paper else touches < 0.25
    first = (np.arange(12 * 42) % 42 < 2).astype(np.float32)[:, None]
    monkeypatch.setattr(judge, "embed_graphs", lambda state, graphs: first)
    scores = [system.evaluate(state, split)[f"{split}_score"] for split in ("valid", "test")]
    assert min(scores) == 1 if paper else max(scores) < 0.7


def link_logit(system: SAME, state: State, z: torch.Tensor, u: int, v: int) -> float:
    """What the head says of one link, from its loss."""
    question = Question(torch.tensor([[u], [v]]), torch.ones(1).double())
    part, theta = Part(state.whole, {"lp": question}), parameters_of(state.model)
    with torch.no_grad():
        loss = system.loss(state, theta, Episode(("lp",), part, part), part, z=z)
    logit = torch.exp(-loss).logit()
    return float(logit.logit() if state.published else logit)


@both
@pytest.mark.parametrize("hidden", [True, False])
def test_the_link_head_adds_up_what_its_ends_say(paper, hidden):
    system, state = begun(TOYS, paper, tasks=("lp",), hidden=hidden)
    state.model.double()
    z = torch.from_numpy(np.random.default_rng(1).normal(size=(len(state.rows.x), 6)))
    (a, b), (c, d) = [[link_logit(system, state, z, u, v) for v in (2, 3)] for u in (0, 1)]
    assert (abs(a + d - b - c) < 1e-9) == paper
    assert (abs(a - link_logit(system, state, z, 2, 0)) > 1e-3) == paper


@both
def test_the_probe_cannot_tell_whether_ends_match(paper, monkeypatch):
    system, state = begun(TOYS, paper, tasks=("lp",))
    sign = (1 - np.arange(len(state.rows.x)) % 2 * 2).astype(np.float32)[:, None]
    begin = state.rows.node_ptr[:-1, None, None]
    pairs = (begin + np.array([[0, 2], [1, 3], [0, 1], [1, 2]])).reshape(-1, 2)
    label, graph = np.tile([1, 1, 0, 0], 12), np.repeat(np.arange(12), 4)
    state.holdout = LinkHoldout(state.rows.edges, pairs, label, graph)
    monkeypatch.setattr(judge, "embed_graphs", lambda state, graphs: sign)
    scores = [system.evaluate(state, split)[f"{split}_score"] for split in ("valid", "test")]
    assert max(scores) <= 0.75 if paper else min(scores) == 1


@both
def test_the_probe_hears_the_links_asked_about_and_is_judged_by_accuracy(paper):
    system, state = begun(TOYS, paper, tasks=("lp",))
    _, pairs, label, graph = state.holdout
    asked = set(map(tuple, pairs[label == 1].tolist()))
    heard = asked & edges_of(state.without_links.messages)
    assert heard == (asked if paper else set())
    z = judge.embed_graphs(state, state.whole if paper else state.without_links)
    u, v = z[pairs.T].astype(np.float64)
    x = np.hstack([u, v] if paper else [abs(u - v), u * v])
    fit, judged = (np.isin(graph, part) for part in (state.split.train, state.split.valid))
    x = StandardScaler().fit(x[fit]).transform(x)
    model = RidgeClassifier().fit(x[fit], label[fit])
    area = roc_auc_score(label[judged], model.decision_function(x[judged]))
    score = model.score(x[judged], label[judged]) if paper else area
    name = "valid_lp_accuracy" if paper else "valid_lp_auc"
    assert system.evaluate(state, "valid") == pytest.approx({name: score, "valid_score": score})


@both
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_the_link_loss_takes_probabilities_for_logits(paper, y):
    _, state = begun(TOYS, paper)
    logits = torch.tensor([-30.0, -3.0, -0.5, 0.0, 1.0, 4.0, 30.0]).double().requires_grad_()
    said = [Question(torch.tensor([0]), torch.full_like(x, y)) for x in logits]
    losses = torch.stack([state.task_loss("lp", x, q) for x, q in zip(logits, said, strict=True)])
    losses.sum().backward()
    p = 1 / (1 + np.exp(-logits.detach().numpy()))
    twice = 1 / (1 + np.exp(-p))
    said, slope = (twice, (twice - y) * p * (1 - p)) if paper else (p, p - y)
    likely = np.exp(-losses.detach().numpy())
    np.testing.assert_allclose(likely, said if y else 1 - said, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(logits.grad.numpy(), slope, rtol=1e-6, atol=1e-12)
    low, high = likely[[0, -1]] if y else 1 - likely[[0, -1]]
    assert (low >= 0.5 and high < 0.7311) if paper else (low < 1e-9 and high > 1 - 1e-9)


@both
def test_nodes_are_pooled_by_their_sum(paper):
    system, state = begun(TOYS, paper, tasks=("gc",))
    episode = state.episodes.draw(state.split.train, RNG)[0]
    out = torch.tensor([0.001, -0.001]).expand(6, 2)
    theta = {"heads.gc.weight_out": out, "heads.gc.bias_out": torch.zeros(2)}
    z = torch.ones(len(episode.support.graphs.heard), 6)
    numbers, label, *_ = episode.support.questions["gc"]
    size = torch.from_numpy(state.rows.n_nodes)[numbers] if paper else torch.ones(len(numbers))
    loss = system.loss(state, theta, episode, episode.support, z=z)
    torch.testing.assert_close(loss, cross_entropy(size[:, None] * out.sum(0), label))


@both
def test_rows_of_features_are_divided_by_their_sums(paper):
    _, state = begun(molecules(), paper, tasks=("lp",))
    x = np.concatenate([graph.node_data[NODE]["feat"] for graph in state.ds.graphs])
    assert x.sum(axis=1).min() < 1 < x.sum(axis=1).max()
    seen = x[np.isin(state.rows.graph_of_node, state.split.train)]
    divided = np.array([row / max(sum(row), 1) for row in x])
    expected = divided if paper else (x - seen.mean(axis=0)) / seen.std(axis=0)
    np.testing.assert_allclose(state.rows.x, expected, rtol=1e-4, atol=1e-5)


@both
@pytest.mark.parametrize("variant", ["isame", "esame", "classical"])
def test_nothing_that_is_given_is_changed(paper, variant):
    def arrays(state: State) -> list[np.ndarray]:
        rows, graphs = state.rows, state.ds.graphs
        links = [graph.adjacencies[LINK].indices for graph in graphs]
        data = [values for graph in graphs for values in graph.node_data[NODE].values()]
        return [rows.x, rows.edges, rows.node_ptr, rows.edge_ptr, rows.node_label, *links, *data]

    system, state = begun(toy_graphs(), paper, variant=variant, passes=2)
    before = [array.copy() for array in arrays(state)]
    list(system.epoch(state, RNG))
    system.evaluate(state, "valid")
    for array, copy in zip(arrays(state), before, strict=True):
        np.testing.assert_array_equal(array, copy)
