"""Several runs of SAME, a step of all of them at once.

At small widths a step costs calls more than arithmetic, and runs that differ in their seed or split
make the same calls. Their parameters get a leading axis, their episodes are merged, and one step
moves each model as it would move alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dglmeta.meta import descend, parameters_of
from dglmeta.systems.same import SAME
from dglmeta.systems.same_setup import State
from dglmeta.tasks.episode_merge import merge_episodes
from dglmeta.tasks.episodes import Episode

__all__ = ["step_together"]


def step_together(system: SAME, states: Sequence[State], episodes: Sequence[Episode]) -> None:
    """One step of every model on its own episode; changes the states.

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
    loss, found = system.outer_gradient(states[0], theta, merge_episodes(episodes))
    for k, state in enumerate(states):
        descend(state.optimizer, state.model, {name: g[k] for name, g in found.items()})
        state.losses.append(float(loss) / len(states))
