"""The number of the epoch, kept with a run's checkpoint."""

from __future__ import annotations

__all__ = ["Clock"]


class Clock:
    """Counts epochs, for what depends on how many there were."""

    def __init__(self) -> None:
        self.epoch = 0

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint holds."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take over what ``state_dict`` gave."""
        self.epoch = int(state["epoch"])
