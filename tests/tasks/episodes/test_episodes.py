"""Episodes: every graph serves, support and target are apart, and no asked link is heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from dglmeta.data import toy_graphs
from dglmeta.errors import ConfigError, DataError
from dglmeta.nn.multi_task import TASKS, Question, TaskGraphs
from dglmeta.tasks.episodes import Episode, Episodes, Part, Shares
from dglmeta.tasks.graphs import GraphRows, graph_rows, layout_rows, task_graphs

N_GRAPHS = 50
LEAST_P = 1e-4
ODD = {0, 1, 2, 3}
"""Graphs with nothing to ask about links."""


def table(graphs: list[nx.Graph], seed: int = 0) -> GraphRows:
    """A table whose first feature is the number of the graph, so that layouts can be read back."""
    rng = np.random.default_rng(seed)
    ptr = np.cumsum([0, *map(len, graphs)])
    edges = [
        sorted((min(e) + a, max(e) + a) for e in g.edges) for g, a in zip(graphs, ptr, strict=False)
    ]
    n = int(ptr[-1])
    return GraphRows(
        ptr,
        np.column_stack(
            [np.repeat(np.arange(len(graphs)), np.diff(ptr)), rng.normal(size=(n, 2))]
        ).astype(np.float32),
        np.array([e for part in edges for e in part], np.int64).reshape(-1, 2),
        np.cumsum([0, *map(len, edges)]),
        rng.integers(0, 3, n),
        rng.integers(0, 4, len(graphs)),
    )


def mixed_graphs(n: int = N_GRAPHS) -> list[nx.Graph]:
    odd = [nx.empty_graph(1), nx.empty_graph(4), nx.complete_graph(5), nx.path_graph(3)]
    rng = np.random.default_rng(3)
    usual = [nx.gnm_random_graph(int(rng.integers(8, 20)), 15, seed=k) for k in range(n - len(odd))]
    return odd + usual


@pytest.fixture(scope="module")
def rows() -> GraphRows:
    return table(mixed_graphs())


def draw(rows: GraphRows, tasks=TASKS, seed: int = 0, **options) -> list[Episode]:
    options = {"batch": 12, "dtype": torch.float64, **options}
    return Episodes(rows, tasks, **options).draw(np.arange(len(rows)), np.random.default_rng(seed))


def dense(graphs: TaskGraphs) -> np.ndarray:
    matrix = np.zeros(graphs.messages.shape)
    matrix[graphs.messages.coo()] = graphs.weight
    return matrix


def nodes_of(rows: GraphRows, graphs: TaskGraphs) -> np.ndarray:
    """(N,) node of each row, as the first feature tells graphs and the others confirm."""
    a, heard = dense(graphs), graphs.heard.numpy()
    number = np.rint(heard[:, 0] / a.sum(1)).astype(int)
    begins = (np.diff(number, prepend=-1) != 0) | np.isin(np.arange(len(a)), graphs.task_ptr)
    _, node = layout_rows(rows, number[begins])
    np.testing.assert_allclose(heard, a @ rows.x[node], rtol=1e-5, atol=1e-5)
    return node


def graphs_of(rows: GraphRows, graphs: TaskGraphs, position: int) -> list[int]:
    """Numbers of the graphs of one task, in turn."""
    first, last = graphs.task_ptr[position : position + 2]
    number = rows.graph_of_node[nodes_of(rows, graphs)[first:last]]
    return number[np.diff(number, prepend=-1) != 0].tolist()


def asked_links(rows: GraphRows, part: Part) -> tuple[list, list]:
    """Node pairs u < v of the edges and of the negatives; edges come first."""
    if "lp" not in part.questions:
        return [], []
    question, node = part.questions["lp"], nodes_of(rows, part.graphs)
    n = int(question.label.sum())
    assert question.label.tolist() == [1] * n + [0] * (len(question.label) - n)
    pairs = [tuple(sorted(p)) for p in node[question.rows.numpy()].T.tolist()]
    return pairs[:n], pairs[n:]


def edges_of(rows: GraphRows, numbers: Iterable[int]) -> set:
    return {tuple(e) for b in numbers for e in rows.edges[rows.graph_of_edge == b].tolist()}


def rows_of(question: Question | None) -> set:
    return set() if question is None else set(question.rows.tolist())


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("tasks", [TASKS, ("lp", "gc"), ("nc",), ("nc", "lp"), ("gc",)], ids=str)
def test_every_graph_serves_one_task_once_a_pass(rows, tasks, joint):
    seen: Counter[int] = Counter()
    episodes = draw(rows, tasks, joint=joint)
    assert len(episodes) == round(N_GRAPHS / 12)
    sizes = []
    for episode in episodes:
        assert episode.tasks == tasks
        shares = []
        for t, task in enumerate(tasks):
            support, target = (graphs_of(rows, p.graphs, t) for p in episode[1:])
            if task == "gc" and not joint:
                assert not set(support) & set(target)
                support = support + target
            else:
                assert support == target
            shares.append(len(support))
            seen.update(support)
        assert max(shares) - min(shares) <= 1
        sizes.append(sum(shares))
    assert seen == Counter(range(N_GRAPHS))
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("joint", [False, True])
def test_graphs_are_asked_for_their_classes(rows, joint):
    for episode in draw(rows, joint=joint):
        support, target = (part.questions["gc"] for part in episode[1:])
        n = len(support.rows) + len(target.rows)
        assert len(support.rows) == 6 * n // 10
        assert not rows_of(support) & rows_of(target)
        for part in episode[1:]:
            question, node = part.questions["gc"], nodes_of(rows, part.graphs)
            pool = question.pool
            assert pool.shape == (len(question.rows), len(node))
            for i, b in enumerate(question.rows.tolist()):
                here = pool.indices[pool.indptr[i] : pool.indptr[i + 1]]
                np.testing.assert_array_equal(rows.graph_of_node[node[here]], b)
                assert len(here) == rows.n_nodes[b]
                assert question.label[i] == rows.graph_label[b]


def test_two_graphs_are_one_in_support_and_one_in_target(rows):
    (episode,) = Episodes(rows, ["gc"]).draw(np.array([7, 8]), np.random.default_rng(0))
    assert [len(part.questions["gc"].rows) for part in episode[1:]] == [1, 1]


@pytest.mark.parametrize("tasks", [("nc", "gc"), ("gc", "nc"), ("lp", "gc", "nc")])
def test_fewest_graphs_leave_two_for_their_classes(rows, tasks):
    numbers = np.arange(10, 11 + len(tasks))
    (episode,) = Episodes(rows, tasks).draw(numbers, np.random.default_rng(0))
    assert [len(part.questions["gc"].rows) for part in episode[1:]] == [1, 1]
    assert np.diff(episode.target.graphs.task_ptr).all()


@pytest.mark.parametrize(("n", "n_support"), [(1, 0), (2, 1), (3, 1), (6, 1), (7, 2)])
def test_a_class_of_two_nodes_or_more_has_one_in_support(n, n_support):
    rows = table([nx.path_graph(n + 10)])
    label = np.arange(n + 10) >= n
    rows = GraphRows(rows.node_ptr, rows.x, rows.edges, rows.edge_ptr, label.astype(int))
    (episode,) = draw(rows, ["nc"])
    classes = [part.questions["nc"].label.tolist() for part in episode[1:]]
    assert [c.count(0) for c in classes] == [n_support, n - n_support]
    assert [c.count(1) for c in classes] == [3, 7]


def test_of_each_class_of_nodes_three_tenths_are_support(rows):
    for episode in draw(rows):
        graphs = episode.target.graphs
        first, last = graphs.task_ptr[1:3]
        node = nodes_of(rows, graphs)
        support, target = (part.questions["nc"] for part in episode[1:])
        # Each part numbers rows anew, so that nodes are compared.
        own = nodes_of(rows, episode.support.graphs)[support.rows]
        np.testing.assert_array_equal(support.label, rows.node_label[own])
        np.testing.assert_array_equal(target.label, rows.node_label[node[target.rows]])
        assert sorted([*own, *node[target.rows]]) == sorted(node[first:last])
        total = Counter(rows.node_label[node[first:last]].tolist())
        given = Counter(support.label.tolist())
        assert given == {c: max(3 * n // 10, int(n >= 2)) for c, n in total.items() if n > 1}


def test_edges_are_held_out_for_support_and_target_graph_by_graph(rows):
    for episode in draw(rows):
        numbers = graphs_of(rows, episode.target.graphs, 2)
        support, target = (asked_links(rows, part) for part in episode[1:])
        for b in numbers:
            n, m = int(rows.n_nodes[b]), int(rows.n_edges[b])
            free = n * (n - 1) // 2 - m
            held = max(round(0.2 * m), 1) if m >= 3 and free else 0
            for edges, _ in (support, target):
                assert sum(rows.graph_of_node[u] == b for u, _ in edges) == held
            negatives = [
                sum(rows.graph_of_node[u] == b for u, _ in part[1]) for part in (target, support)
            ]
            wanted = min(2 * held, free)
            assert negatives == [wanted - wanted // 2, wanted // 2]
        every = [*support[0], *support[1], *target[0], *target[1]]
        assert len(set(every)) == len(every)
        joined = edges_of(rows, numbers)
        assert joined >= {*support[0], *target[0]}
        assert not joined & {*support[1], *target[1]}
        assert all(u != v for u, v in every)
        assert all(rows.graph_of_node[u] == rows.graph_of_node[v] for u, v in every)


@pytest.mark.parametrize("options", [{}, {"joint": True}, {"every": True}], ids=str)
def test_messages_run_over_all_edges_but_those_asked_about(rows, options):
    joined = edges_of(rows, range(len(rows)))
    for episode in draw(rows, **options):
        hidden = {e for part in episode[1:] for e in asked_links(rows, part)[0]}
        assert hidden
        for part in episode[1:]:
            graphs, node = part.graphs, nodes_of(rows, part.graphs)
            a = np.eye(len(node))
            for t, task in enumerate(episode.tasks):
                heard = joined - hidden if task == "lp" else joined
                for i, j in combinations(range(*graphs.task_ptr[t : t + 2]), 2):
                    a[i, j] = a[j, i] = (node[i], node[j]) in heard
            root = np.diag(a.sum(1) ** -0.5)
            np.testing.assert_allclose(dense(graphs), root @ a @ root, atol=1e-12)
            np.testing.assert_allclose(graphs.heard, root @ a @ root @ rows.x[node], atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"joint": True}, {"every": True}], ids=str)
def test_a_slice_of_a_pass_is_the_same_as_its_graphs_built_alone(rows, options):
    for episode in draw(rows, dtype=torch.float32, **options):
        for graphs, *_ in episode[1:]:
            node = nodes_of(rows, graphs)
            number = rows.graph_of_node[node[np.isin(node, rows.node_ptr)]]
            u, v = graphs.messages.coo()
            edges = np.stack([u, v], axis=1)[u < v].astype(np.int64)
            alone = task_graphs(rows, number, edges, graphs.task_ptr)
            for one, other in ((graphs.heard, alone.heard), (graphs.weight, alone.weight)):
                assert one.dtype == torch.float32
                assert torch.equal(one, other)
            np.testing.assert_array_equal(graphs.messages.indptr, alone.messages.indptr)
            np.testing.assert_array_equal(graphs.messages.indices, alone.messages.indices)
            assert graphs.messages.indices.dtype == alone.messages.indices.dtype
            assert graphs.messages.n_dst == alone.messages.n_dst
            assert graphs.messages.edge_ids is None
            assert graphs.task_ptr == alone.task_ptr


def test_joint_parts_share_one_layout(rows):
    assert all(e.support.graphs is e.target.graphs for e in draw(rows, joint=True))
    assert not any(e.support.graphs is e.target.graphs for e in draw(rows))


def test_with_every_each_graph_serves_every_task_and_all_is_asked_at_once(rows):
    seen: Counter[int] = Counter()
    for episode in draw(rows, every=True):
        assert episode.support is episode.target
        part = episode.target
        numbers = [graphs_of(rows, part.graphs, t) for t in range(3)]
        assert set(numbers[0]) == set(numbers[1]) == set(numbers[2])
        seen.update(numbers[0])
        assert part.questions["gc"].rows.tolist() == numbers[0]
        first, last = part.graphs.task_ptr[1:3]
        assert sorted(part.questions["nc"].rows.tolist()) == list(range(first, last))
        edges, negatives = asked_links(rows, part)
        held = Counter(int(rows.graph_of_node[u]) for u, _ in edges)
        assert held == {b: 2 * max(round(0.2 * rows.n_edges[b]), 1) for b in set(numbers[2]) - ODD}
        assert len(negatives) == len(edges) == len({*edges, *negatives}) / 2
    assert seen == Counter(range(N_GRAPHS))


def test_one_graph_can_serve_every_task(rows):
    (episode,) = Episodes(rows, TASKS, every=True).draw(np.array([9]), np.random.default_rng(0))
    assert sorted(episode.target.questions) == sorted(TASKS)


def test_the_same_generator_repeats_a_pass_and_goes_on_to_another(rows):
    episodes, rng = Episodes(rows, TASKS), np.random.default_rng(5)
    first, second = (episodes.draw(np.arange(N_GRAPHS), rng) for _ in range(2))
    again = episodes.draw(np.arange(N_GRAPHS), np.random.default_rng(5))
    for a, b, c in zip(first, again, second, strict=True):
        for task in TASKS:
            assert torch.equal(a.target.questions[task].rows, b.target.questions[task].rows)
        assert torch.equal(a.target.graphs.heard, b.target.graphs.heard)
        assert a.target.questions["gc"].rows.tolist() != c.target.questions["gc"].rows.tolist()
        assert a.target.questions["lp"].rows.tolist() != c.target.questions["lp"].rows.tolist()


def test_graphs_without_anything_to_ask_leave_the_question_out():
    graphs = [nx.complete_graph(5), nx.path_graph(3), nx.empty_graph(4), nx.empty_graph(1)]
    rows = table(graphs)
    (episode,) = draw(rows, ["lp"])
    assert not episode.support.questions
    assert not episode.target.questions
    a = dense(episode.target.graphs) > 0
    assert a.sum() == 2 * len(rows.edges) + len(rows.x)


def test_the_last_non_edge_is_asked_in_the_target():
    almost = nx.complete_graph(4)
    almost.remove_edge(1, 3)
    rows = table([almost])
    (episode,) = draw(rows, ["lp"])
    support, target = (asked_links(rows, part) for part in episode[1:])
    assert (len(support[0]), len(target[0])) == (1, 1)
    assert (support[1], target[1]) == ([], [(1, 3)])


def test_a_class_of_a_single_node_is_asked_in_the_target():
    rows = table([nx.path_graph(2)])
    rows = GraphRows(rows.node_ptr, rows.x, rows.edges, rows.edge_ptr, np.array([0, 1]))
    (episode,) = draw(rows, ["nc"])
    assert not episode.support.questions
    assert episode.target.questions["nc"].label.tolist() == [0, 1]


def test_nodes_without_a_class_are_not_asked():
    rows = table([nx.path_graph(6)])
    label = np.array([-1, 0, 0, -1, 0, 0])
    rows = GraphRows(rows.node_ptr, rows.x, rows.edges, rows.edge_ptr, label)
    (episode,) = draw(rows, ["nc"])
    asked = rows_of(episode.support.questions["nc"]) | rows_of(episode.target.questions["nc"])
    assert asked == {1, 2, 4, 5}


def test_held_out_links_and_negatives_are_uniform():
    graph = nx.path_graph(6)
    rows = table([graph] * 3000)
    (episode,) = Episodes(rows, ["lp"], batch=3000).draw(np.arange(3000), np.random.default_rng(0))
    free = [tuple(sorted(e)) for e in nx.complement(graph).edges]
    for part in episode[1:]:
        ends, positive = part.questions["lp"].rows.numpy() % 6, part.questions["lp"].label == 1
        pairs = Counter(map(tuple, np.sort(ends, axis=0).T[positive].tolist()))
        negatives = Counter(map(tuple, np.sort(ends, axis=0).T[~positive].tolist()))
        assert set(pairs) == set(graph.edges)
        assert set(negatives) == set(free)
        assert chisquare(list(pairs.values())).pvalue > LEAST_P
        assert chisquare(list(negatives.values())).pvalue > LEAST_P


def test_graphs_are_dealt_and_nodes_chosen_at_random():
    rows = table([nx.path_graph(10)] * 9)
    rows = GraphRows(
        *(getattr(rows, f) for f in ("node_ptr", "x", "edges", "edge_ptr")),
        np.zeros(90, int),
        np.zeros(9, int),
    )
    episodes, rng = Episodes(rows, ["gc", "nc"], batch=9), np.random.default_rng(0)
    support, target, nodes = np.zeros(9), np.zeros(9), np.zeros(10)
    for _ in range(400):
        (episode,) = episodes.draw(np.arange(9), rng)
        support[episode.support.questions["gc"].rows] += 1
        target[episode.target.questions["gc"].rows] += 1
        np.add.at(nodes, episode.support.questions["nc"].rows % 10, 1)
    # Draws without replacement spread less than independent ones, so the test is on the safe side.
    for counts in (support, target, nodes):
        assert chisquare(counts).pvalue > LEAST_P


def test_toy_graphs_have_episodes_of_the_default_precision():
    rows = graph_rows(toy_graphs(), ["feat", "degrees"], scaling="standard", train=np.arange(8))
    (episode,) = Episodes(rows, TASKS).draw(np.arange(12), np.random.default_rng(0))
    questions = episode.target.questions
    assert [questions[t].label.dtype for t in TASKS] == [torch.int64, torch.int64, torch.float32]
    assert all(questions[t].rows.dtype == torch.int64 for t in TASKS)
    assert episode.target.graphs.heard.dtype == torch.float32


@pytest.mark.parametrize("tasks", [[], ["gc", "gc"], ["gc", "xx"]])
def test_tasks_that_are_unknown_or_given_twice_are_refused(rows, tasks):
    with pytest.raises(
        ConfigError, match=r"Episodes: expected tasks of gc, nc, lp, each once, got"
    ):
        Episodes(rows, tasks)


def test_a_batch_too_small_for_the_tasks_is_refused(rows):
    with pytest.raises(ConfigError, match=r"expected a batch of 4 at least, .*gc, nc, lp, got 3\."):
        Episodes(rows, TASKS, batch=3)


def test_too_few_graphs_for_the_tasks_are_refused(rows):
    with pytest.raises(ConfigError, match=r"expected graphs of 4 at least, .*gc, nc, lp, got 3\."):
        Episodes(rows, TASKS).draw(np.arange(3), np.random.default_rng(0))


def test_a_few_graphs_too_many_for_one_batch_still_serve_all_tasks(rows):
    (episode,) = Episodes(rows, TASKS, batch=4).draw(np.arange(7), np.random.default_rng(0))
    assert np.diff(episode.target.graphs.task_ptr).all()


def test_numbers_outside_the_table_are_refused(rows):
    with pytest.raises(DataError, match=r"Episodes: expected numbers of graphs, 0 to 49, got"):
        Episodes(rows, TASKS).draw(np.arange(4, 60), np.random.default_rng(0))


@pytest.mark.parametrize(("task", "what"), [("gc", "graphs"), ("nc", "nodes")])
def test_tasks_without_classes_are_refused(rows, task, what):
    bare = GraphRows(rows.node_ptr, rows.x, rows.edges, rows.edge_ptr)
    with pytest.raises(DataError, match=rf"expected classes of {what} for the task '{task}'"):
        Episodes(bare, [task])


def test_other_shares_are_kept_and_the_rest_is_heard(rows):
    shares = Shares(graphs=25, nodes=50, links=10, target_links=30)
    for episode in draw(rows, shares=shares, batch=24):
        support, target = (part.questions for part in episode[1:])
        n = len(support["gc"].rows) + len(target["gc"].rows)
        assert len(support["gc"].rows) == n // 4
        for label in range(3):
            few, other = (int((q["nc"].label == label).sum()) for q in (support, target))
            assert few == max((few + other) // 2, int(few + other >= 2))
        asked = [asked_links(rows, part) for part in episode[1:]]
        numbers = [b for b in graphs_of(rows, episode.support.graphs, 2) if b not in ODD]
        n_edges = rows.n_edges[numbers]
        for (edges, negatives), percent in zip(asked, (10, 30), strict=True):
            assert len(edges) == np.rint(n_edges * percent / 100).clip(1).sum()
            assert len(negatives) == len(edges)
        assert not set(asked[0][0]) & set(asked[1][0])
        assert not set(asked[0][1]) & set(asked[1][1])


def test_where_negatives_are_few_both_parts_have_their_share_of_them():
    graph = nx.complete_graph(8)
    graph.remove_edges_from([(0, 1), (2, 3), (4, 5)])
    (episode,) = draw(table([graph] * 2), ("lp",), shares=Shares(links=20, target_links=40))
    for part, n in zip(episode[1:], (5, 10), strict=True):
        assert part.questions["lp"].label.sum() == 2 * n
    assert [int((1 - part.questions["lp"].label).sum()) for part in episode[1:]] == [2, 4]
