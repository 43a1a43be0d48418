"""V sees a sample's loss, task and label, and nothing else."""

import pytest
import torch

from dglmeta.nn import SampleWeighter


def test_descriptors_are_loss_one_hot_task_and_label():
    losses = torch.tensor([[0.5, 20.0], [1.0, 2.0], [3.0, 4.0]])
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert SampleWeighter(2).describe(losses, labels).tolist() == [
        [[0.5, 0, 0, 1], [10.0, 0, 0, 0]],  # the primary task: no slot; a wild loss is cut
        [[1.0, 1, 0, 0], [2.0, 1, 0, 1]],
        [[3.0, 0, 1, 1], [4.0, 0, 1, 1]],
    ]


def test_the_first_tasks_alone_are_described_as_among_all():
    losses, labels = torch.rand(3, 4), torch.ones(3, 4)
    weighter = SampleWeighter(2)
    whole = weighter.describe(losses, labels)
    assert torch.equal(weighter.describe(losses[:2], labels[:2]), whole[:2])


def test_without_auxiliary_tasks_there_is_loss_and_label():
    assert SampleWeighter(0).describe(torch.ones(1, 5), torch.ones(1, 5)).shape == (1, 5, 2)


def test_descriptors_take_the_losses_as_constants_in_their_precision():
    losses = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    described = SampleWeighter(1).describe(losses, torch.ones(2, 3))
    assert not described.requires_grad
    assert described.dtype == torch.float64


@pytest.mark.parametrize("loss", [0.0, 1e6])
def test_weights_lie_strictly_between_nothing_and_all(loss):
    weighter = SampleWeighter(2, hidden=20)
    v = weighter(weighter.describe(torch.full((3, 4), loss), torch.ones(3, 4)))
    assert v.shape == (3, 4)
    assert 0 < v.min() <= v.max() < 1
