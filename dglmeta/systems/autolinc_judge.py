"""What AutoLINC makes of candidate losses: which are trained, and what reward each gets.

A candidate is not trained, and has the reward

    0, "incomplete"     if it lacks u, y or n (only a search without masks asks for such),
    of the known one    if a loss of the same formula or the same gradient, up to a positive
                        factor, was trained before ("equality"),
    0, "finite"         if its value or gradient is not finite on a grid of logits, or 0 on all,
    0, "separation"     if at its least value a class's own logit is not above the others.

The rest train together, see :mod:`dglmeta.systems.autolinc_proxy`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from dglmeta.meta import Leaders
from dglmeta.systems.autolinc_config import Config
from dglmeta.systems.autolinc_proxy import Proxy
from dglmeta.tasks.expression import Expression, canonical
from dglmeta.tasks.expression.checks import gradient_signature, is_legal, which_separate

__all__ = ["Judge", "Outcome", "Tokens"]

Tokens = tuple[str, ...]
Outcome = dict[str, Any]

LEADERS = 10
"""How many of the best the others are measured against."""


class _Keys(NamedTuple):
    """What tells equal candidates."""

    formula: Tokens
    gradient: bytes | None


class Judge:
    """Gives candidates their rewards, remembers them, and keeps the time.

    Parameters
    ----------
    config : Config
    proxy : Proxy
        The training that candidates are compared by.

    Attributes
    ----------
    counts : Counter
        Candidates by what became of them: "asked", "trained", and reasons.
    rises : list of dict
        Whenever a better candidate was found, the first with a reward above 0: ``seconds``,
        ``trained`` till then, ``reward``, ``loss``.
    """

    def __init__(self, config: Config, proxy: Proxy) -> None:
        self.config, self._proxy = config, proxy
        self.counts: Counter[str] = Counter()
        self.rises: list[dict[str, Any]] = []
        self._leaders = Leaders(max(LEADERS, config.finalists))
        self._curves: dict[Tokens, list[float]] = {}
        self._rewards: dict[Tokens | bytes, float] = {}
        self._begun, self._earlier, self._at = time.perf_counter(), 0.0, 0.0

    @property
    def seconds(self) -> float:
        """Spent on the search so far, by earlier processes too."""
        return self._earlier + time.perf_counter() - self._begun

    def spent(self) -> bool:
        """Whether the budget of time or of candidates is, at the end of the latest round.

        Decided by what the journal holds, so that a resumed search ends where it had ended.
        """
        bound = self.config.candidates
        return 0 < bound <= self.counts["trained"] or self._at >= self.config.seconds

    @property
    def headline(self) -> str:
        """The best loss so far, in a line."""
        trained = f"{self.counts['trained']} trained"
        if not self.rises:
            return trained
        return f"{trained}, best {self.rises[-1]['reward']:.4f}: {self.rises[-1]['loss']}"

    def finalists(self) -> list[Expression]:
        """The best by reward, the best first; none of reward 0."""
        return [Expression(tokens) for tokens, _ in self._leaders.best(self.config.finalists)]

    def evaluate(self, states: Sequence[Tokens]) -> list[Outcome]:
        """Outcomes of candidates: ``reward``, ``why``, and ``curve`` of those that trained.

        ``at`` is in seconds. Nothing is remembered yet: :meth:`learn` does.
        """
        candidates = [Expression(tokens) for tokens in states]
        outcomes, keys = self._examine(candidates)
        twins = self._twins(keys)
        chosen = [k for k in keys if k not in twins]
        outcomes |= zip(chosen, self._trained([candidates[k] for k in chosen]), strict=True)
        for k, first in twins.items():
            outcomes[k] = {"reward": outcomes[first]["reward"], "why": "equality"}
        at = round(self.seconds, 3)
        return [{**outcomes[k], "at": at} for k in range(len(states))]

    def learn(self, done: Sequence[tuple[Tokens, Outcome]]) -> None:
        """Remember the outcomes of a round, from the journal or new."""
        for tokens, outcome in done:
            self.counts["asked"] += 1
            self.counts[outcome["why"]] += 1
            if "curve" in outcome:
                self.counts["trained"] += 1
                self._remember(tokens, outcome)
            self._at = outcome["at"]
        self._earlier += max(self._at - self.seconds, 0.0)

    def _remember(self, tokens: Tokens, outcome: Outcome) -> None:
        reward, curve = outcome["reward"], outcome["curve"]
        if "equality" in self.config.checks:
            for key in _told(_keys([Expression(tokens)])[0]):
                self._rewards.setdefault(key, reward)
        if reward == 0:
            return
        if self._leaders.offer(tokens, reward):
            self._curves[tokens] = curve
        if not self.rises or reward > self.rises[-1]["reward"]:
            loss = Expression(tokens).infix
            rise = {"seconds": outcome["at"], "trained": self.counts["trained"]}
            self.rises.append({**rise, "reward": reward, "loss": loss})

    def _examine(
        self, candidates: Sequence[Expression]
    ) -> tuple[dict[int, Outcome], dict[int, _Keys]]:
        """By number, outcomes of what needs no training, and the keys of what does."""
        legal = [k for k, candidate in enumerate(candidates) if is_legal(candidate)]
        some = [candidates[k] for k in legal]
        outcomes = dict.fromkeys(range(len(candidates)), _refused("incomplete"))
        to_train: dict[int, _Keys] = {}
        apart = which_separate(some, self._proxy.counts)
        for k, keys, separate in zip(legal, _keys(some), apart, strict=True):
            outcome = self._outcome(keys, separate)
            if outcome is None:
                to_train[k] = keys
                del outcomes[k]
            else:
                outcomes[k] = outcome
        return outcomes, to_train

    def _outcome(self, keys: _Keys, separate: bool) -> Outcome | None:
        """Of a complete candidate; None if it is to be trained."""
        checks = self.config.checks
        known = [self._rewards[key] for key in _told(keys) if key in self._rewards]
        if known and "equality" in checks:
            return {"reward": known[0], "why": "equality"}
        if keys.gradient is None and "finite" in checks:
            return _refused("finite")
        if not separate and "separation" in checks:
            return _refused("separation")
        return None

    def _twins(self, keys: dict[int, _Keys]) -> dict[int, int]:
        """Candidates of a round that equal an earlier one of it, and that one."""
        first: dict[Tokens | bytes, int] = {}
        twins: dict[int, int] = {}
        for k, own in keys.items() if "equality" in self.config.checks else ():
            known = next((first[key] for key in _told(own) if key in first), k)
            if known != k:
                twins[k] = known
            for key in _told(own):
                first.setdefault(key, known)
        return twins

    def _trained(self, candidates: Sequence[Expression]) -> list[Outcome]:
        """Outcomes of a training."""
        if not candidates:
            return []
        tenth = self._leaders.best(LEADERS)
        curve = self._curves[tenth[-1][0]] if len(tenth) == LEADERS else ()
        return [
            {"reward": t.reward, "why": t.given_up or "finished", "curve": t.curve}
            for t in self._proxy.train(candidates, curve, self._leaders.bar)
        ]


def _refused(why: str) -> Outcome:
    return {"reward": 0.0, "why": why}


def _keys(expressions: Sequence[Expression]) -> list[_Keys]:
    gradients = gradient_signature(expressions)
    return [_Keys(canonical(e).tokens, g) for e, g in zip(expressions, gradients, strict=True)]


def _told(keys: _Keys) -> list[Tokens | bytes]:
    """The keys that there are."""
    return [key for key in keys if key is not None]
