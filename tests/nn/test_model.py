"""The joint model computes what its parts would, from no more messages than it needs."""

import numpy as np
import pytest
import torch
from torch import nn

from dglmeta import ops
from dglmeta.graph import Adjacency
from dglmeta.nn import GCN, FeatureMatrix, HintNets, JointModel, Samples
from dglmeta.nn.model import ClassKind

N, D = 12, 4
RNG = np.random.default_rng(0)
ADJ = Adjacency.from_coo(RNG.integers(N, size=30), RNG.integers(N, size=30), (N, N))
KINDS = (ClassKind(3, of_pairs=False), ClassKind(5, of_pairs=True))


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def some(*shape, below=N):
    return torch.randint(below, shape)


def samples(b=6):
    label = (torch.rand(3, b) > 0.5).double()
    classes = torch.stack([some(b, below=3), some(b, below=5)])
    return Samples(some(3, b), some(3, b), label, some(2, b), some(2, b), classes)


def model(**options):
    return JointModel(GCN(D, D), N, D, 3, KINDS, **options).double()


def test_outputs_are_logits_of_pairs_then_losses_of_classes_of_all_embeddings():
    net, at = model(), samples()
    messages = net.encoder.messages(ADJ)
    z = net.everywhere(messages)
    (found,) = net(net.locate(messages, at))
    expected = [net.heads(z, at.src, at.dst).flatten()]
    for k, head in enumerate(net.class_heads):
        logits = head(z, at.class_src[k], at.class_dst[k])
        chosen = logits.log_softmax(1).gather(1, at.class_label[k][:, None])[:, 0]
        expected.append(-chosen)
    assert torch.allclose(found, torch.cat(expected), rtol=1e-12)


def test_other_losses_are_those_of_the_first_task_with_classes_alone():
    def losses(logits, label):
        return 10 + logits.square().sum(1) + label

    plain, at = model(), samples()
    net = model(primary_losses=losses)
    net.load_state_dict(plain.state_dict())
    located = net.locate(net.encoder.messages(ADJ), at)
    (found,), (usual,) = net(located), plain(located)
    first = slice(at.label.numel(), -at.class_label.shape[1])
    expected = usual.clone()
    expected[first] = losses(net.class_logits(located), at.class_label[0])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_what_is_located_is_the_samples_at_other_places():
    net, at = model(), samples()
    wanted = torch.tensor([11, 0, 3, 5, 1, 2, 4, 6, 7, 8, 9, 10])
    messages = net.encoder.messages(ADJ)
    located, chosen = net.locate(messages, at), net.locate(messages, at, wanted)
    distinct = at.ends().unique()
    for there, nodes in ((located, distinct), (chosen, wanted)):
        for name in ("src", "dst", "class_src", "class_dst"):
            assert torch.equal(nodes[getattr(there.samples, name)], getattr(at, name))
        assert torch.equal(there.samples.label, at.label)
        assert torch.equal(there.samples.class_label, at.class_label)
        assert torch.equal(net.embed(there), net.everywhere(messages)[nodes])


def test_either_kind_of_sample_may_be_absent():
    net, at = model(), samples()
    messages = net.encoder.messages(ADJ)
    (both,) = net(net.locate(messages, at))
    pairs = Samples(*at[:3], *(t[:0] for t in at[3:]))
    classes = Samples(*(t[:0] for t in at[:3]), *at[3:])
    for part, expected in ((pairs, both[:18]), (classes, both[18:])):
        (found,) = net(net.locate(messages, part))
        assert torch.allclose(found, expected, rtol=1e-12)
    logits = net.class_logits(net.locate(messages, classes), k=1)
    loss = nn.functional.cross_entropy(logits, at.class_label[1], reduction="none")
    assert torch.allclose(loss, both[24:], rtol=1e-12)


@pytest.mark.parametrize("teach", [False, True])
def test_hints_stand_in_a_row_of_their_own_under_auxiliary_pairs_only(teach):
    net, at = model(hints=HintNets(2, D), teach_through_hints=teach), samples()
    messages = net.encoder.messages(ADJ)
    plan = HintNets.plan(messages, torch.cat([at.src, at.dst], 1)[1:])
    everywhere = net.locate(messages, at, torch.arange(N))._replace(plan=plan)
    learner, hint = net(everywhere)
    assert torch.allclose(learner, net(net.locate(messages, at))[0], rtol=1e-12)
    h = net.hints(net.everywhere(messages), plan)
    expected = (h[:, :6] * h[:, 6:]).sum(-1).flatten()
    assert torch.equal(hint[6:18], expected)
    assert not hint[:6].any()
    assert not hint[18:].any()
    (slope,) = torch.autograd.grad(hint.sum(), [net.embedding])
    assert bool(slope.any()) == teach


@pytest.mark.parametrize("weighted", [False, True])
def test_features_are_projected(weighted):
    dense = np.where(RNG.random((N, 7)) < 0.4, RNG.normal(size=(N, 7)) if weighted else 1.0, 0.0)
    rows, columns = np.nonzero(dense)
    adj = Adjacency.from_coo(rows, columns, dense.shape)
    values = torch.from_numpy(dense[rows, columns]) if weighted else None
    features = FeatureMatrix(adj, values)
    net = JointModel(GCN(D, D), features, D, 1).double()
    assert net.embedding.shape == (7, D)
    messages = net.encoder.messages(ADJ)
    x = torch.from_numpy(dense) @ net.embedding
    assert torch.allclose(net.everywhere(messages), net.encoder(ADJ, x), rtol=1e-12)
    nodes = torch.tensor([7, 2, 9])
    part = features.rows(nodes)
    eye = torch.eye(7, dtype=torch.float64)
    assert torch.equal(ops.spmm(part.adjacency, eye, part.values), torch.from_numpy(dense[nodes]))


def test_dropout_multiplies_what_the_encoder_reads():
    net = model()
    messages = net.encoder.messages(ADJ)
    keep = (torch.rand(N, D) > 0.5).double() * 2
    located = net.locate(messages, samples(), torch.arange(N))._replace(keep=keep)
    expected = net.encoder(ADJ, net.embedding * keep)
    assert torch.allclose(net.embed(located), expected, rtol=1e-12)


def test_samples_may_be_put_at_other_ends():
    at = samples()
    moved = at.with_ends(at.ends() + 100)
    for name in ("src", "dst", "class_src", "class_dst"):
        assert torch.equal(getattr(moved, name), getattr(at, name) + 100)
    assert torch.equal(moved.ends(), at.ends() + 100)
