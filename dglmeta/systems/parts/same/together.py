"""Several runs of SAME, a step of all of them at once.

At small widths a step costs calls more than arithmetic, and runs that differ in their seed or split
make the same calls. Their parameters get a leading axis, their episodes are merged, and one step
moves each model as it would move alone. Each run keeps its own thread, which meets the others at
every step; between steps it draws, is judged, stops and is written down as if it were alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Condition, Lock
from typing import Any

import torch

from dglmeta.data import Dataset, GraphDataset
from dglmeta.meta import parameters_of
from dglmeta.systems.base import Result
from dglmeta.systems.parts.same.setup import State
from dglmeta.systems.same import SAME
from dglmeta.tasks.episodes import Episode, merge_episodes

__all__ = ["fit_together", "step_together"]


def step_together(system: SAME, states: Sequence[State], episodes: Sequence[Episode]) -> None:
    """One step of every model on its own episode; changes the states.

    The loss that is noted of each run is the mean of all.

    Parameters
    ----------
    system : SAME
    states : sequence of State
        At least one; made by ``system.init`` with any seeds and splits of one data set.
    episodes : sequence of Episode
        One for each of them.
    """
    if len(states) == 1:
        system.step(states[0], episodes[0])
        return
    params = [parameters_of(state.model) for state in states]
    theta = {name: torch.stack([p[name].detach() for p in params]) for name in params[0]}
    merged = merge_episodes(episodes).to(states[0].device)
    loss, found = system.outer_gradient(states[0], theta, merged)
    for k, state in enumerate(states):
        state.learn({name: g[k] for name, g in found.items()}, float(loss) / len(states))


def fit_together(
    config: Any, ds: Dataset | GraphDataset, runs: Sequence[Mapping[str, Any]]
) -> list[Result | BaseException]:
    """Train several runs that differ in their seeds, a step of all at once.

    Parameters
    ----------
    config : SAME.Config
    ds : GraphDataset
    runs : sequence of mappings
        What :meth:`SAME.fit` takes besides the data, for each run.

    Returns
    -------
    outcomes : list of Result or error
        In their order. One that fails on its own leaves the others to go on.
    """
    meeting = _Meeting(len(runs))

    def fit(settings: Mapping[str, Any]) -> Result:
        try:
            return _InStep(config, meeting).fit(ds, **settings)
        finally:
            meeting.leave()

    with ThreadPoolExecutor(len(runs)) as threads:
        futures = [threads.submit(fit, settings) for settings in runs]
        try:
            return [future.exception() or future.result() for future in futures]
        except BaseException:  # Ctrl-C most likely: no run may wait for others that have left
            meeting.end()
            raise


class _Meeting:
    """Where runs wait for each other; the last to come takes the step for all."""

    def __init__(self, n: int) -> None:
        self._n, self._turn = n, 0
        self._come: list[tuple[State, Episode]] = []
        self._changed = Condition()
        self.one_by_one = Lock()
        self._failure: BaseException | None = None

    def step(self, system: SAME, state: State, episode: Episode) -> None:
        """Returns when the step is taken.

        Raises
        ------
        RuntimeError
            If the step of all failed, or the runs were told to end.
        """
        with self._changed:
            turn = self._turn
            self._come.append((state, episode))
            if len(self._come) == self._n:
                self._go()
            self._changed.wait_for(lambda: self._turn > turn or self._failure is not None)
            if self._failure is not None:
                raise RuntimeError(f"{system.name}: a step of several runs failed") from (
                    self._failure
                )

    def leave(self) -> None:
        """A run that trains no more is not waited for."""
        with self._changed:
            self._n -= 1
            if self._come and len(self._come) == self._n:
                self._go()

    def end(self) -> None:
        """Stop all at their next step."""
        with self._changed:
            self._failure = self._failure or KeyboardInterrupt()
            self._changed.notify_all()

    def _go(self) -> None:
        come, self._come = self._come, []
        try:
            for tasks in dict.fromkeys(episode.tasks for _, episode in come):
                same = [pair for pair in come if pair[1].tasks == tasks]
                states, episodes = zip(*same, strict=True)
                step_together(SAME(states[0].config), states, episodes)
        except Exception as failure:
            self._failure = failure
        self._turn += 1
        self._changed.notify_all()


class _InStep(SAME):
    """SAME whose steps are taken at a meeting."""

    def __init__(self, config: Any, meeting: _Meeting) -> None:
        super().__init__(config)
        self._meeting = meeting

    def init(self, ds: Dataset | GraphDataset, seed: int, split_seed: int) -> State:
        """The state before the first step, one run after another: torch draws from one source."""
        with self._meeting.one_by_one:
            return super().init(ds, seed, split_seed)

    def step(self, state: State, episode: Episode) -> None:
        """One step, with those of the others."""
        self._meeting.step(self, state, episode)
