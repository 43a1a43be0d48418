"""Nothing held out reaches messages, labels or hubs; nor do the edges that a batch asks about."""

import dataclasses

import numpy as np
import pytest
import torch

from dglmeta.data import Dataset, LabelledNodes
from dglmeta.graph import HeteroCSR
from dglmeta.systems import SELAR

N_USERS, N_ITEMS = 8, 8
RATED = ("user", "rated", "item")
CLASSES = ("metapath", "degree", "distance", "pagerank", "partition")
CLOSED = {"metapaths": ("item-tag-item", "user-item-tag-item")}
HINTS = {"strategy": "selar+hint"}

VIEWS = [
    {},
    {"fanouts": (-1, -1)},
    {"fanouts": (3, 2)},
    HINTS,
    HINTS | {"hint_fanouts": (-1, -1)},
    HINTS | {"fanouts": (3, 2)},
    HINTS | {"fanouts": (-1, -1), "auxiliary": CLASSES},
]
"""Full, sampled and hint graphs."""


def dense(pairs, shape):
    out = np.zeros(shape, bool)
    out[tuple(np.asarray(pairs, int).T)] = True
    return out


def positives_of(rows, first_item=0):
    kept = rows.label > 0
    return np.stack([rows.src[kept], rows.dst[kept] + first_item], axis=1)


def both_ways(pairs):
    return {(int(u), int(v)) for u, v in pairs} | {(int(v), int(u)) for u, v in pairs}


def all_ids(view, *ids):
    """Nodes of the view's graph by their numbers over all nodes."""
    return [x if view.nodes is None else view.nodes[x] for x in map(torch.as_tensor, ids)]


def encoder_messages(state, view):
    """Pairs of nodes between which the encoder sends, loops left out."""
    messages = state.messages(view)
    rows, columns = (torch.as_tensor(side).long() for side in messages.adjacency.coo())
    sent = messages.weight != 0
    ends = all_ids(view, rows[sent], columns[sent])
    return {(u, v) for u, v in zip(*(e.tolist() for e in ends), strict=True) if u != v}


def hint_messages(view, plan):
    """The same of the hint networks: both hops of their plan, all tasks together."""
    wanted = torch.arange(len(plan.nodes)) if view.wanted is None else view.wanted
    first, second = plan.hops
    senders = wanted[plan.nodes]
    pairs, receivers = set(), senders
    for hop in (first, second):
        rows, columns = (torch.as_tensor(side).long() for side in hop.adjacency.coo())
        of_rows = receivers[hop.receivers]
        ends = all_ids(view, of_rows[rows], receivers[columns])
        pairs |= {(u, v) for u, v in zip(*(e.tolist() for e in ends), strict=True) if u != v}
        receivers = of_rows
    return pairs


def asked_pairs(state, batch):
    """Both ways, the positive pairs that the primary task asks about in a batch."""
    src, dst = all_ids(batch.view, batch.samples.src[0], batch.samples.dst[0])
    positive = batch.samples.label[0] > 0
    assert positive.any()
    return both_ways(torch.stack([src[positive], dst[positive]], 1).tolist())


def every_message(state, batch, *, hints):
    """Of the encoder, and of the hint networks."""
    found = encoder_messages(state, batch.view)
    if hints:
        at = (state.messages(batch.view), batch.view, batch.samples)
        found |= hint_messages(batch.view, state.locate(*at, hints=True).plan)
    return found


@pytest.mark.parametrize("settings", VIEWS, ids=str)
def test_no_positive_of_a_batch_is_a_message_in_it(begin, settings):
    selar, state, _ = begin(**settings)
    hints = selar.strategy.hints
    once = set()
    for batch in state.tasks.epoch(8, np.random.default_rng(0)):
        asked, messages = asked_pairs(state, batch), every_message(state, batch, hints=hints)
        assert not asked & messages
        assert len(messages) > 8
        once |= messages
    assert asked <= once  # in another batch they are


@pytest.mark.parametrize("encoder", ["gcn", "gat", "gin", "sgc", "stacked-sgc", "sage", "gtn"])
def test_no_encoder_hears_along_the_edges_that_are_asked_about(begin, encoder):
    _, state, batch = begin(encoder=encoder)
    asked = asked_pairs(state, batch)
    whole = encoder_messages(state, state.tasks.whole)
    assert asked <= whole
    assert encoder_messages(state, batch.view) == whole - asked


@pytest.mark.parametrize("settings", [{}, HINTS], ids=["selar", "hint"])
def test_by_the_published_protocol_they_are_messages(begin, settings):
    selar, state, batch = begin(protocol="paper", fanouts=(-1, -1), **settings)
    asked = asked_pairs(state, batch)
    assert asked <= every_message(state, batch, hints=selar.strategy.hints)


@pytest.mark.parametrize("settings", VIEWS, ids=str)
@pytest.mark.parametrize("protocol", ["clean", "paper"])
def test_no_held_out_edge_is_a_message(begin, toy, settings, protocol):
    selar, state, _ = begin(protocol=protocol, **settings)
    split = toy.splits(0)
    held_out = both_ways(
        np.concatenate([positives_of(rows, N_USERS) for rows in (split.valid, split.test)])
    )
    assert held_out
    assert not held_out & encoder_messages(state, state.tasks.whole)
    for batch in state.tasks.epoch(8, np.random.default_rng(0)):
        assert not held_out & every_message(state, batch, hints=selar.strategy.hints)


def test_messages_run_on_training_edges_alone_and_both_ways(begin, toy):
    _, state, _ = begin()
    edges = np.stack(state.tasks.graph.adjacency.coo(), axis=1)
    rated = positives_of(toy.splits(0).train, N_USERS)
    src, dst = toy.csr.adjacency("has").coo()
    tagged = np.stack([src + N_USERS, dst + N_USERS + N_ITEMS], axis=1)
    once = np.concatenate([rated, tagged])
    expected = np.concatenate([once, once[:, ::-1]])
    assert sorted(map(tuple, edges.tolist())) == sorted(map(tuple, expected.tolist()))


def test_labels_are_those_of_the_training_edges_alone(begin, toy):
    _, state, _ = begin()
    rated = dense(positives_of(toy.splits(0).train), (N_USERS, N_ITEMS))
    has = toy.csr.adjacency("has").to_scipy().toarray() > 0
    joined = {
        "user-[rated]-item-[has]-tag-[~has]-item": rated @ has @ has.T,
        "user-[rated]-item-[~rated]-user-[rated]-item": rated @ rated.T @ rated,
    }
    assert {task.name for task in state.tasks.auxiliary} == set(joined)
    for task in state.tasks.auxiliary:
        positives = dense(np.stack([task.labels.src, task.labels.dst], axis=1), rated.shape)
        assert np.array_equal(positives, joined[task.name] & ~rated)


def test_labels_would_differ_if_they_saw_the_held_out_edges(begin, toy):
    _, state, _ = begin()
    (task,) = [t for t in state.tasks.auxiliary if t.name.endswith("[rated]-item")]
    every = toy.csr.adjacency("rated").to_scipy().toarray() > 0
    joined = every @ every.T @ every & ~every
    labelled = dense(np.stack([task.labels.src, task.labels.dst], axis=1), every.shape)
    assert not np.array_equal(labelled, joined)


def test_hubs_are_the_items_with_most_training_edges(begin, toy):
    _, state, _ = begin(**HINTS, n_hubs=3)
    counts = np.bincount(positives_of(toy.splits(0).train)[:, 1], minlength=N_ITEMS)
    expected = np.argsort(-counts, kind="stable")[:3] + N_USERS
    assert sorted(state.tasks.surroundings.hubs) == sorted(expected)


# Whatever the held-out edges are, the run is the same


@pytest.fixture
def forged(toy, monkeypatch):
    """Toy with every held-out edge at another item; its split is still that of toy."""
    split = toy.splits(0)
    src, dst = toy.csr.adjacency("rated").coo()
    dst = dst.copy()
    dst[split.held_out_edge_ids] = (dst[split.held_out_edge_ids] + 3) % N_ITEMS
    edges = {e: adj.coo() for e, adj in toy.csr.adjacencies.items()} | {RATED: (src, dst)}
    hg = HeteroCSR.from_edges(edges, toy.csr.n_nodes)
    assert not np.array_equal(hg.adjacency("rated").to_scipy().toarray(),
                              toy.csr.adjacency("rated").to_scipy().toarray())  # fmt: skip
    monkeypatch.setattr(Dataset, "splits", lambda *args, **options: split)
    return dataclasses.replace(toy, csr=hg)


RUNS = [
    {"auxiliary": CLASSES, **HINTS},
    {"encoder": "han", **CLOSED},
    {"encoder": "gtn"},
    {"fanouts": (2, 2), **HINTS},
    {"task": "recommendation"},
    {"protocol": "paper", "auxiliary": CLASSES, **HINTS},
]


@pytest.mark.parametrize("settings", RUNS, ids=str)
def test_no_run_depends_on_the_held_out_edges(toy, forged, settings):
    config = SELAR.Config(**{"batch": 8, "d": 4, "weighter_hidden": 10, "epochs": 2, **settings})
    honest, other = (SELAR(config).fit(ds) for ds in (toy, forged))
    assert other.history.metrics == honest.history.metrics
    assert other.metrics == honest.metrics
    for name, z in honest.embed().items():
        assert np.array_equal(other.embed()[name], z)


def test_no_run_depends_on_held_out_classes(described):
    config = SELAR.Config(batch=6, d=4, weighter_hidden=10, epochs=1, auxiliary=CLASSES)
    split = described.node_split

    def turned(part):
        return LabelledNodes(part.node, 1 - part.label)

    other = dataclasses.replace(
        described,
        node_split=dataclasses.replace(split, valid=turned(split.valid), test=turned(split.test)),
    )
    first, second = (SELAR(config).fit(ds) for ds in (described, other))
    assert first.metrics != second.metrics
    for name, z in first.embed().items():
        assert np.array_equal(second.embed()[name], z)
