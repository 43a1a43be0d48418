"""Chance that comes from a seed alone, whatever was drawn before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["seeded"]


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """All that torch draws inside comes from a seed; outside everything is as it was.

    Parameters
    ----------
    seed : int
    device : str
        As torch calls it; on "cuda" its generator is seeded beside that of the processor.
    """
    devices = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
