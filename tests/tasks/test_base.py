"""Losses come from logits, one a sample."""

import torch

from dglmeta.tasks import binary_losses


def test_binary_losses_are_the_negative_log_likelihoods():
    logits = torch.tensor([[0.0, 2.0], [-1.0, 3.0]], dtype=torch.float64)
    label = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    p = torch.sigmoid(logits)
    expected = -torch.where(label > 0, p, 1 - p).log()
    assert torch.allclose(binary_losses(logits, label), expected, rtol=1e-12)


def test_confident_mistakes_stay_finite():
    losses = binary_losses(torch.tensor([1e4, -1e4]), torch.tensor([0.0, 1.0]))
    assert losses.tolist() == [1e4, 1e4]
