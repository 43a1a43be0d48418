"""Hint networks against a dense GAT a task; the mixer against its formula."""

import pytest
import torch
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.functional import leaky_relu

from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import Adjacency
from dglmeta.nn import GAT, GCN, SAGE, HintMixer, HintNets, mix

N, D, T = 12, 4, 3
SRC = [0, 0, 1, 2, 5, 4, 4, 3, 3, 7, 8, 9, 11, 6]
DST = [1, 2, 0, 3, 4, 5, 0, 2, 2, 8, 9, 7, 2, 4]  # 10 and 11 hear nobody; 2 hears 3 twice
ADJ = Adjacency.from_coo(SRC, DST, (N, N))
ONES = torch.ones(len(SRC), dtype=torch.float64)
NODES = [torch.tensor([2, 10, 2, 4]), torch.tensor([7]), torch.tensor([0, 2, 11])]


def normal(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def hint_nets(n_tasks=T):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        nets = HintNets(n_tasks, D).double()
        for b in nets.biases:
            b.data = torch.randn_like(b)
    return nets


def messages(weight=ONES):
    return GAT(D, D).double().messages(ADJ, weight)


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def dense_hints(nets, t, x, weight=ONES):
    """H_t on all nodes, with N x N matrices."""
    n_edges = torch.eye(N, dtype=torch.float64)
    n_edges.index_put_(
        (torch.tensor(DST), torch.tensor(SRC)), (weight != 0).double(), accumulate=True
    )
    for k in range(2):
        wh = (torch.relu(x) if k else x) @ nets.weights[k][t]
        own, sent = wh @ nets.attending[k][t, 0], wh @ nets.attended[k][t, 0]
        share = n_edges * leaky_relu(own[:, None] + sent, 0.2).exp()
        x = share / share.sum(1, keepdim=True) @ wh + nets.biases[k][t]
    return x


def test_hints_equal_a_dense_network_a_task():
    nets, x = hint_nets(), normal(N, D)
    expected = [dense_hints(nets, t, x)[nodes] for t, nodes in enumerate(NODES)]
    close(nets(x, HintNets.plan(messages(), NODES)), torch.cat(expected))


def test_hints_equal_a_gat_a_task():
    nets, x, expected = hint_nets(), normal(N, D), []
    for t, nodes in enumerate(NODES):
        gat = GAT(D, D).double()
        for k in range(2):
            gat.weights[k].data, gat.biases[k].data = nets.weights[k][t], nets.biases[k][t]
            gat.attending[k].data, gat.attended[k].data = nets.attending[k][t], nets.attended[k][t]
        expected.append(gat(ADJ, x)[nodes])
    close(nets(x, HintNets.plan(messages(), NODES)), torch.cat(expected))


def test_nodes_in_one_tensor_give_hints_in_one_of_that_shape():
    nets, x, nodes = hint_nets(), normal(N, D), torch.tensor([[4, 2, 2], [0, 11, 8], [3, 3, 3]])
    hints = nets(x, HintNets.plan(messages(), nodes))
    assert hints.shape == (T, 3, D)
    close(hints.flatten(0, 1), nets(x, HintNets.plan(messages(), list(nodes))))


def test_messages_of_weight_zero_are_left_out():
    nets, x, weight = hint_nets(), normal(N, D), ONES.clone()
    weight[[1, 8, 13]] = 0
    expected = [dense_hints(nets, t, x, weight)[nodes] for t, nodes in enumerate(NODES)]
    for encoder in (GAT, GCN, SAGE):  # a node hears itself even where SAGE's own message is zero
        of = encoder(D, D).double().messages(ADJ, weight)
        close(nets(x, HintNets.plan(of, NODES)), torch.cat(expected))


def test_a_task_without_nodes_changes_nothing():
    nets, x = hint_nets(), normal(N, D)
    some = [NODES[0], torch.zeros(0, dtype=torch.int64), NODES[2]]
    expected = [dense_hints(nets, t, x)[nodes] for t, nodes in enumerate(some)]
    close(nets(x, HintNets.plan(messages(), some)), torch.cat(expected))


def test_a_copy_has_only_what_its_task_needs_and_each_node_once():
    plan = HintNets.plan(messages(), [torch.tensor([7, 7, 7]), torch.tensor([10])])
    first, second = plan.hops
    # Task 0: 7 hears 9, 9 hears 8. Task 1: 10 hears itself.
    assert (second.n_receivers, second.n_senders) == ([1, 1], [2, 1])
    assert (first.n_receivers, first.n_senders) == ([2, 1], [3, 1])
    assert plan.nodes.tolist() == [7, 8, 9, 10]


def test_a_plan_over_the_nodes_it_reads_gives_the_same_hints():
    nets, x = hint_nets(), normal(N, D)
    plan = HintNets.plan(messages(), [torch.tensor([8, 7]), torch.tensor([10]), torch.tensor([9])])
    part, needed = plan.among()
    assert needed.tolist() == [7, 8, 9, 10]
    close(nets(x[needed], part), nets(x, plan))


def test_messages_to_some_nodes_only_are_refused():
    with pytest.raises(DataError, match="between all nodes, got those that 2 of 12 receive"):
        HintNets.plan(messages().to(torch.tensor([1, 2])), NODES)


def test_gradients_and_their_gradients_are_right():
    nets, plan = hint_nets(), HintNets.plan(messages(), NODES)
    names = [name for name, _ in nets.named_parameters()]

    def embed(x, *values):
        return functional_call(nets, dict(zip(names, values, strict=True)), (x, plan))

    inputs = normal(N, D).requires_grad_(), *nets.parameters()
    assert torch.autograd.gradcheck(embed, inputs)
    assert torch.autograd.gradgradcheck(embed, inputs)


def test_forward_mode_reverse_mode_and_batches_of_both_agree():
    nets, plan, x = hint_nets(), HintNets.plan(messages(), NODES), normal(N, D)
    w = {name: p.detach() for name, p in nets.named_parameters()}

    def loss(w):
        return functional_call(nets, w, (x, plan)).sin().sum()

    tangents = {name: normal(2, *p.shape, seed=5) for name, p in w.items()}
    slopes, g = vmap(lambda v: jvp(loss, (w,), (v,))[1])(tangents), grad(loss)(w)
    close(slopes, sum((tangents[name] * g[name]).flatten(1).sum(1) for name in w))


def test_hint_networks_begin_as_gats_do():
    nets, gat = HintNets(50, 8), GAT(8, 8)
    for stacked, single in zip(nets.parameters(), gat.parameters(), strict=True):
        assert stacked.shape[0] == 50
        assert stacked[0].numel() == single.numel()
    for k in range(2):
        for p, bound in (
            (nets.weights[k], (6 / 16) ** 0.5),
            (nets.attending[k], (6 / 9) ** 0.5),
            (nets.attended[k], (6 / 9) ** 0.5),
        ):
            assert p.abs().max() <= bound
            assert p.std().item() == pytest.approx(bound / 3**0.5, rel=0.2)
        assert not nets.biases[k].any()


def test_learner_and_hint_are_mixed_as_logits_not_as_probabilities():
    learner, hint, c = torch.tensor([4.0]), torch.tensor([-2.0]), torch.tensor([0.25])
    s = mix(learner, hint, c)
    assert s.item() == 0.25 * 4 - 0.75 * 2
    as_probabilities = c * learner.sigmoid() + (1 - c) * hint.sigmoid()
    assert abs(s.sigmoid() - as_probabilities) > 0.02


def test_descriptors_are_both_losses_one_hot_task_and_label():
    learner, hint = torch.tensor([0.5, 20.0, 1.0]), torch.tensor([30.0, 0.25, 2.0])
    described = HintMixer(2).describe(
        learner, hint, torch.tensor([1.0, 0.0, 1.0]), torch.tensor([1, 2, 0])
    )
    assert described.tolist() == [
        [0.5, 10.0, 1, 0, 1],  # wild losses are cut
        [10.0, 0.25, 0, 1, 0],
        [1.0, 2.0, 0, 0, 1],  # the primary task has no slot
    ]


def test_descriptors_take_the_losses_as_constants_in_their_precision():
    losses = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    described = HintMixer(1).describe(*losses, torch.ones(3), torch.ones(3, dtype=torch.int64))
    assert not described.requires_grad
    assert described.dtype == torch.float64


@pytest.mark.parametrize("gamma", [1.0, 0.5])
def test_the_share_is_a_two_layer_network_to_the_power_gamma(gamma):
    mixer, xi = HintMixer(2, hidden=7).double(), normal(6, 5)
    net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 1))
    values = (mixer.weight_in.T, mixer.bias_in, mixer.weight_out.T, mixer.bias_out)
    for p, value in zip(net.parameters(), values, strict=True):
        p.data = value.detach()
    close(mixer(xi, gamma), net(xi).squeeze(1).sigmoid() ** gamma)
    assert mixer(xi, gamma).shape == (6,)


def test_attenuation_gives_less_hint():
    mixer, xi = HintMixer(2, hidden=7), torch.randn(6, 5)
    assert (mixer(xi) < mixer(xi, 0.5)).all()
    assert (mixer(xi, 0.5) < 1).all()


@pytest.mark.parametrize("gamma", [0.0, 1.5])
def test_a_power_that_is_no_attenuation_is_refused(gamma):
    with pytest.raises(ConfigError, match=r"gamma in \(0, 1\]"):
        HintMixer(2)(torch.ones(1, 5), gamma)
