r"""Monte-Carlo tree search for the greatest reward.

A node s is visited W(s) times; W(s, a) of the visits went on by action a, and Q(s, a) is the
greatest reward seen below it. A visit descends from the root by the greatest

    UCT(s, a) = Q(s, a) + c sqrt(ln W(s) / W(s, a))

to a node with an action never taken, takes one of these at random, and looks at the child: itself
if it is finished, else the best of a few rollouts. The reward goes up the path by maximum into Q,
and each W on the path grows by one.

Source: AutoLINC (ICML 2024) for the maximum in place of the mean; the bound is Kocsis and
Szepesvari's (Bandit based Monte-Carlo planning, ECML 2006). The value of c is a default chosen
here, for rewards in [0, 1].
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Generic

import numpy as np

from dglmeta.errors import ConfigError
from dglmeta.meta.search import PATIENCE, Space, State, check_rewards

__all__ = ["TreeSearch"]


class _Node(Generic[State]):
    """A state that was visited, and how it was come by: ``visits`` is W(s, a), ``best`` Q(s, a)."""

    __slots__ = ("best", "children", "parent", "state", "untried", "visits")

    def __init__(
        self, state: State, parent: _Node[State] | None, untried: tuple[Hashable, ...]
    ) -> None:
        self.state = state
        self.parent = parent
        self.untried = untried
        self.children: list[_Node[State]] = []
        self.visits = 0
        self.best = 0.0


class TreeSearch(Generic[State]):
    """Monte-Carlo tree search that backs up the greatest reward; see the module for the formulas.

    Parameters
    ----------
    space : Space
    c : float
        Weight of exploration, >= 0, in units of the reward.
    rollouts : int
        Rollouts of a visit that ends in an unfinished state, >= 1. Each finished state they reach,
        once a visit, is a state to evaluate; a visit without any counts as reward 0.
    close : bool
        Never enter again a subtree whose finished states were all visited as nodes. A small space
        is so enumerated, and then ``ask`` returns none.

    Raises
    ------
    ConfigError
        If ``c`` is negative or not finite, or ``rollouts`` less than 1.

    Notes
    -----
    ``ask(n)`` begins visits until it has n states. Those not told yet already count in W but not in
    Q, which drives the visits of one ask apart; with n = 1 this is the sequential algorithm. States
    of a visit that do not fit in are the first of the next ask. Among equal UCT the child that was
    expanded first is taken. Cost of a visit O(depth x actions) and its rollouts; memory one
    node a visit, some 300 bytes beside the state; 1e5 visits of a tree ten deep take seconds.

    References
    ----------
    AutoLINC (ICML 2024); Kocsis and Szepesvari, ECML 2006.

    Examples
    --------
    >>> class Bits:
    ...     root = ""
    ...     actions = staticmethod(lambda state: "01")
    ...     child = staticmethod(lambda state, bit: state + bit)
    ...     finished = staticmethod(lambda state: len(state) == 4)
    ...     def rollout(self, state, rng):
    ...         return state + "".join(rng.choice(["0", "1"], 4 - len(state)))
    >>> search, rng = TreeSearch(Bits()), np.random.default_rng(0)
    >>> rewards = {}
    >>> while states := search.ask(3, rng):
    ...     rewards |= {state: state.count("1") / 4 for state in states}
    ...     search.tell([rewards[state] for state in states])
    >>> len(rewards), max(rewards, key=rewards.get)
    (16, '1111')
    """

    def __init__(
        self,
        space: Space[State],
        *,
        c: float = math.sqrt(2),
        rollouts: int = 1,
        close: bool = True,
    ) -> None:
        if not 0 <= c < math.inf:
            raise ConfigError(f"TreeSearch: expected a finite c >= 0, got {c}. 1.4 is usual.")
        if rollouts < 1:
            raise ConfigError(
                f"TreeSearch: expected rollouts >= 1, got {rollouts}. "
                f"Without any, an unfinished state has no reward."
            )
        self.space, self.c, self.rollouts, self.close = space, c, rollouts, close
        self._root = self._node(space.root, None)
        self._exhausted = False
        self._waiting: deque[tuple[State, _Node[State]]] = deque()
        self._asked: list[tuple[State, _Node[State]]] = []

    def ask(self, n: int, rng: np.random.Generator) -> list[State]:
        """States to evaluate: ``n``, or fewer where the space is exhausted.

        Fewer also where ``PATIENCE`` visits in a row reached no finished state.
        """
        fruitless = 0
        while len(self._waiting) < n and not self._exhausted and fruitless < PATIENCE:
            fruitless = 0 if self._visit(rng) else fruitless + 1
        taken = [self._waiting.popleft() for _ in range(min(n, len(self._waiting)))]
        self._asked += taken
        return [state for state, _ in taken]

    def tell(self, rewards: Sequence[float]) -> None:
        """Back up the rewards of all that was asked.

        Raises
        ------
        DataError
            If there are not as many rewards as states asked, or one is not in [0, 1].
        """
        check_rewards("TreeSearch.tell", rewards, len(self._asked))
        for (_, node), reward in zip(self._asked, rewards, strict=True):
            at: _Node[State] | None = node
            while at is not None and at.best < reward:
                at.best = reward
                at = at.parent
        self._asked = []

    def _node(self, state: State, parent: _Node[State] | None) -> _Node[State]:
        finished = self.space.finished(state)
        return _Node(state, parent, () if finished else tuple(self.space.actions(state)))

    def _visit(self, rng: np.random.Generator) -> bool:
        """One visit, counted at once; returns whether it gave anything to evaluate."""
        node = self._select(rng)
        found = self._look(node.state, rng)
        self._waiting.extend((state, node) for state in found)
        at: _Node[State] | None = node
        while at is not None:
            at.visits += 1
            at = at.parent
        if self.close:
            self._close(node)
        return bool(found)

    def _select(self, rng: np.random.Generator) -> _Node[State]:
        """The new child of the first node with an untried action, or a leaf that is visited again.

        The latter only where subtrees are not closed.
        """
        node = self._root
        while not node.untried and node.children:
            node = self._best_child(node)
        return self._expand(node, rng) if node.untried else node

    def _best_child(self, node: _Node[State]) -> _Node[State]:
        c, log_visits = self.c, math.log(node.visits)
        best, greatest = node, -math.inf
        for child in node.children:
            bound = child.best + c * math.sqrt(log_visits / child.visits)
            if bound > greatest:
                best, greatest = child, bound
        return best

    def _expand(self, node: _Node[State], rng: np.random.Generator) -> _Node[State]:
        place = int(rng.integers(len(node.untried)))
        child = self._node(self.space.child(node.state, node.untried[place]), node)
        node.untried = node.untried[:place] + node.untried[place + 1 :]
        node.children.append(child)
        return child

    def _look(self, state: State, rng: np.random.Generator) -> list[State]:
        """What a visit to the state evaluates, each once."""
        if self.space.finished(state):
            return [state]
        reached = [self.space.rollout(state, rng) for _ in range(self.rollouts)]
        return list(dict.fromkeys(s for s in reached if s is not None))

    def _close(self, node: _Node[State]) -> None:
        """Take the node, and those above it, out of the tree while nothing is left below them."""
        while not node.untried and not node.children:
            if node.parent is None:
                self._exhausted = True
                return
            node.parent.children.remove(node)
            node = node.parent
