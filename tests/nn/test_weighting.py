"""V sees a sample's loss, task and label, and nothing else."""

import pytest
import torch

from dglmeta.nn import SampleWeighter

TASKS = torch.tensor([[0], [1], [2]])
"""One task a row, broadcast over its samples."""


def test_descriptors_are_loss_one_hot_task_and_label():
    losses = torch.tensor([[0.5, 20.0], [1.0, 2.0], [3.0, 4.0]])
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert SampleWeighter(2).describe(losses, labels, TASKS).tolist() == [
        [[0.5, 0, 0, 1], [10.0, 0, 0, 0]],  # the primary task: no slot; a wild loss is cut
        [[1.0, 1, 0, 0], [2.0, 1, 0, 1]],
        [[3.0, 0, 1, 1], [4.0, 0, 1, 1]],
    ]


def test_samples_in_one_row_are_described_as_in_rows_of_tasks_in_any_order():
    losses, labels = torch.rand(3, 4), torch.ones(3, 4)
    weighter = SampleWeighter(2)
    whole = weighter.describe(losses, labels, TASKS)
    tasks = torch.tensor([2, 0, 1])
    flat = weighter.describe(losses[tasks].flatten(), labels.flatten(), tasks.repeat_interleave(4))
    assert torch.equal(flat.view(3, 4, -1), whole[tasks])


def test_the_first_tasks_alone_are_described_as_among_all():
    losses, labels = torch.rand(3, 4), torch.ones(3, 4)
    weighter = SampleWeighter(2)
    whole = weighter.describe(losses, labels, TASKS)
    assert torch.equal(weighter.describe(losses[:2], labels[:2], TASKS[:2]), whole[:2])


def test_without_auxiliary_tasks_there_is_loss_and_label():
    found = SampleWeighter(0).describe(torch.ones(1, 5), torch.ones(1, 5), TASKS[:1])
    assert found.shape == (1, 5, 2)


def test_descriptors_take_the_losses_as_constants_in_their_precision():
    losses = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    described = SampleWeighter(1).describe(losses, torch.ones(2, 3), TASKS[:2])
    assert not described.requires_grad
    assert described.dtype == torch.float64


@pytest.mark.parametrize("loss", [0.0, 1e6])
def test_weights_lie_strictly_between_nothing_and_all(loss):
    weighter = SampleWeighter(2, hidden=20)
    v = weighter(weighter.describe(torch.full((3, 4), loss), torch.ones(3, 4), TASKS))
    assert v.shape == (3, 4)
    assert 0 < v.min() <= v.max() < 1


def test_weights_are_those_of_a_plain_network():
    weighter = SampleWeighter(2, hidden=6).double()
    xi = torch.rand(5, 4, dtype=torch.float64)
    hidden = torch.relu(xi @ weighter.weight_in + weighter.bias_in)
    expected = torch.sigmoid(hidden @ weighter.weight_out + weighter.bias_out)[:, 0]
    assert torch.allclose(weighter(xi), expected, rtol=1e-12)


def test_a_start_with_equal_weights_can_still_learn():
    weighter = SampleWeighter(2, hidden=6, equal=True)
    v = weighter(torch.rand(5, 4))
    assert (v == 0.5).all()
    (slope,) = torch.autograd.grad(v[0] - v[1], [weighter.weight_out])
    assert slope.any()
