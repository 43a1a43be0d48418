"""A primary task is judged by its own metrics, from the whole training graph."""

import numpy as np
import pytest
import torch

import dglmeta as dm
from dglmeta.data import Dataset, LabelledNodes, NodeSplit
from dglmeta.errors import DataError
from dglmeta.nn import GCN, JointModel
from dglmeta.tasks import (
    JointTasks,
    LinkPrediction,
    NodeClassification,
    Recommendation,
    Surroundings,
    class_metrics,
    link_metrics,
    primary_task,
)
from dglmeta.tasks.recommend import evaluated_users

D = 4


@pytest.fixture(scope="module")
def nodes(training):
    label = np.arange(40) % 3
    return NodeSplit.at_random("item", LabelledNodes(np.arange(40), label))


def judged(primary, training):
    """A model that knows nothing, its embeddings, tasks, and a function of a part's metrics."""
    everything = training.graph.homogeneous(both_ways=True)
    tasks = JointTasks(primary.training, [], Surroundings(everything))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        n = everything.adjacency.n_src
        model = JointModel(GCN(D, D), n, D, tasks.n_pair_tasks, tasks.class_kinds)
        model.embedding.normal_()
        messages = model.encoder.messages(everything)
        z = model.everywhere(messages)
        parts = {p: primary.judge(model, messages, tasks, p) for p in ("valid", "test")}
    return model, z, tasks.graph.offsets, parts


def test_links_are_judged_by_auc_ap_and_f1_of_the_parts_rows(training):
    model, z, offsets, parts = judged(LinkPrediction(training.split), training)
    for part, found in parts.items():
        rows = getattr(training.split, part)
        src, dst = torch.from_numpy(rows.src), torch.from_numpy(rows.dst + offsets["item"])
        s = model.heads(z, src[None], dst[None])[0]
        assert found == pytest.approx(link_metrics(s.detach().numpy(), rows.label))


def test_recommendation_adds_ranks_of_every_users_items(training):
    model, z, offsets, parts = judged(Recommendation(training.split), training)
    (phi,) = model.heads.project(z[None]).detach().numpy()
    users, items = (phi[offsets[t] :][: training.graph.n_nodes[t]] for t in ("user", "item"))
    for part, found in parts.items():
        every = evaluated_users(training.split, part, n_users=None)
        expected = every.metrics(users[every.users] @ items.T)
        assert {"recall_at_50", "ndcg_at_10"} <= set(expected)
        assert {k: found[k] for k in expected} == pytest.approx(expected)
        assert set(found) - set(expected) == {"auc", "ap", "f1"}


def test_nodes_are_judged_by_micro_and_macro_f1(training, nodes):
    model, z, offsets, parts = judged(NodeClassification(nodes), training)
    for part, found in parts.items():
        rows = getattr(nodes, part)
        logits = model.class_heads[0].layers(z[offsets["item"] + torch.from_numpy(rows.node)])
        assert found == class_metrics(logits.detach().numpy(), rows.label)
        assert set(found) == {"micro_f1", "macro_f1"}


def test_edges_give_links_away_and_no_classes(training, nodes):
    everything = training.graph.homogeneous(both_ways=True)
    for primary in (LinkPrediction(training.split), Recommendation(training.split)):
        assert len(primary.target_edges(everything).asked(np.arange(20))) > 0
    assert NodeClassification(nodes).target_edges(everything) is None


def test_the_task_is_chosen_by_the_data_unless_it_is_named(nodes):
    toy = dm.load_dataset("toy")
    split = toy.splits(0)
    assert type(primary_task("auto", toy, split)) is LinkPrediction
    assert type(primary_task("link", toy, split)) is LinkPrediction
    assert type(primary_task("recommendation", toy, split)) is Recommendation
    assert type(primary_task("auto", toy, nodes)) is NodeClassification
    assert type(primary_task("node", toy, nodes)) is NodeClassification


@pytest.mark.parametrize("kind", ["link", "recommendation"])
def test_links_without_a_target_are_refused(kind, nodes):
    ds = Dataset("shop", dm.load_dataset("toy").csr)
    with pytest.raises(DataError, match=f"shop: expected .* a target link for task '{kind}'"):
        primary_task(kind, ds, nodes)


def test_classes_without_labelled_nodes_are_refused():
    toy = dm.load_dataset("toy")
    with pytest.raises(DataError, match="toy: expected .* labelled nodes for task 'node'"):
        primary_task("node", toy, toy.splits(0))
