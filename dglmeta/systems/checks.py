"""What is refused of settings, in the same words whatever the system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from dglmeta.errors import ConfigError, DeviceError
from dglmeta.graph.device import device_name, require_cuda

__all__ = [
    "check_at_least_zero",
    "check_choices",
    "check_device",
    "check_positive",
    "check_shares",
    "require",
]


def require(
    where: str, config: Any, name: str, holds: bool, expected: str, advice: str = ""
) -> None:
    """Refuse a field for which something does not hold.

    Raises
    ------
    ConfigError
        Naming the field, what was expected of it, and its value; then the advice.
    """
    if not holds:
        got = getattr(config, name)
        raise ConfigError(f"{where}: expected {name} {expected}, got {got!r}. {advice}".rstrip())


def check_choices(where: str, config: Any, choices: Mapping[str, Iterable[Any]]) -> None:
    """Refuse a field that is not among its choices; as :func:`require`."""
    for name, allowed in choices.items():
        among = list(allowed)
        require(where, config, name, getattr(config, name) in among, f"among {among}")


def check_positive(where: str, config: Any, names: Iterable[str]) -> None:
    """Refuse a field that is not above zero; as :func:`require`."""
    for name in names:
        require(where, config, name, getattr(config, name) > 0, "> 0")


def check_at_least_zero(where: str, config: Any, names: Iterable[str]) -> None:
    """Refuse a field that is below zero, or no number; as :func:`require`."""
    for name in names:
        require(where, config, name, getattr(config, name) >= 0, ">= 0")


def check_shares(where: str, config: Any, names: Iterable[str]) -> None:
    """Refuse a field that is not in [0, 1); as :func:`require`."""
    for name in names:
        require(where, config, name, 0 <= getattr(config, name) < 1, "in [0, 1)")


def check_device(device: str) -> str:
    """The device, "cpu" or "cuda", if it can be used.

    Raises
    ------
    DeviceError
        If it cannot, with what to do.
    """
    name = device_name(device)
    if name == "cuda":
        if not torch.cuda.is_available():
            raise DeviceError(
                "device: expected a CUDA GPU for --device cuda, found none. "
                "Use --device cpu, or install a CUDA build of torch on a machine with a GPU."
            )
        require_cuda()
    return name
