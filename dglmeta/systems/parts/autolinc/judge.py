"""What AutoLINC makes of candidate losses: which are trained, and what reward each gets.

A candidate is not trained, and has the reward

    0, "incomplete"     if it lacks u, y or n (only a search without masks asks for such),
    0, "equality"       if a loss of the same gradient, up to a positive factor, or of the same
                        formula was trained before,
    0, "finite"         if its value or gradient is not finite on a grid of logits, or 0 on all,
    0, "separation"     if at its least value a class's own logit is not above the others.

The paper gives an equal of a known one the reward of that again. A good loss then draws a tree into
every subtree where it can be written in another way, and what is asked there is nearly all known.

The rest train together, see :mod:`dglmeta.systems.parts.autolinc.proxy`. They are few, so a round
asks for as many candidates as will leave about ``round`` of them, by what the rounds before left.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from dglmeta.meta import Leaders
from dglmeta.systems.parts.autolinc.config import Config
from dglmeta.systems.parts.autolinc.proxy import Proxy
from dglmeta.tasks.expression import Expression, canonical
from dglmeta.tasks.expression.checks import gradient_signature, is_legal, which_separate

__all__ = ["Judge", "Outcome", "Tokens"]

Tokens = tuple[str, ...]
Outcome = dict[str, Any]

LEADERS = 10
"""How many of the best the others are measured against."""

WIDEST = 64
"""Candidates that are asked for at most, for each that is to be trained."""


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
    n_next : int
        Candidates to ask for in the next round.
    rises : list of dict
        Whenever a better candidate was found, the first with a reward above 0: ``seconds``,
        ``trained`` till then, ``reward``, ``loss``.
    """

    def __init__(self, config: Config, proxy: Proxy) -> None:
        self.config, self._proxy = config, proxy
        self.counts: Counter[str] = Counter()
        self.n_next = config.round
        self.rises: list[dict[str, Any]] = []
        self._leaders = Leaders(max(LEADERS, config.finalists))
        self._curves: dict[Tokens, list[float]] = {}
        self._known: set[Tokens | bytes | None] = set()
        self._courses: set[tuple[float, ...]] = set()
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
        """The best by reward, the best first; none of reward 0, no two that trained alike."""
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
        outcomes |= dict.fromkeys(twins, _refused("equality"))
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
        self.n_next = self._enough(len(done), sum("curve" in outcome for _, outcome in done))
        self._earlier += max(self._at - self.seconds, 0.0)

    def _enough(self, n_asked: int, n_trained: int) -> int:
        """How many to ask for, to train ``round`` of them: at most double, at least half of before.

        A function of what was told, so that a resumed search asks the same.
        """
        wanted = self.config.round
        factor = min(max(wanted / max(n_trained, 1), 0.5), 2.0)
        return int(min(max(n_asked * factor, wanted), WIDEST * wanted))

    def _remember(self, tokens: Tokens, outcome: Outcome) -> None:
        reward, curve = outcome["reward"], outcome["curve"]
        if "equality" in self.config.checks:
            self._known.update(_told(_keys([Expression(tokens)])[0]))
        if outcome["why"] != "finished" or reward == 0:
            return
        course = (reward, *curve)
        if "equality" in self.config.checks and course in self._courses:
            return  # the same but for rounding, which gradients and formulas did not tell
        self._courses.add(course)
        if self._leaders.offer(tokens, reward):
            self._curves[tokens] = curve
        if not self.rises or reward > self.rises[-1]["reward"]:
            loss = Expression(tokens).infix
            rise = {"seconds": outcome["at"], "trained": self.counts["trained"]}
            self.rises.append({**rise, "reward": reward, "loss": loss})

    def _examine(
        self, candidates: Sequence[Expression]
    ) -> tuple[dict[int, Outcome], dict[int, _Keys]]:
        """By number, outcomes of what needs no training, and the keys of what does.

        What costs most, a formula's canonical form, comes last, for the few that get there.
        """
        checks = self.config.checks
        legal = [k for k, candidate in enumerate(candidates) if is_legal(candidate)]
        outcomes = dict.fromkeys(range(len(candidates)), _refused("incomplete"))
        gradients = gradient_signature([candidates[k] for k in legal])
        left: dict[int, bytes | None] = {}
        for k, gradient in zip(legal, gradients, strict=True):
            if gradient is None and "finite" in checks:
                outcomes[k] = _refused("finite")
            elif gradient in self._known:
                outcomes[k] = _refused("equality")
            else:
                left[k] = gradient
        to_train: dict[int, _Keys] = {}
        for k, separate in zip(left, self._separate([candidates[k] for k in left]), strict=True):
            if not separate:
                outcomes[k] = _refused("separation")
                continue
            keys = _Keys(canonical(candidates[k]).tokens, left[k])
            if keys.formula in self._known:
                outcomes[k] = _refused("equality")
            else:
                to_train[k] = keys
                del outcomes[k]
        return outcomes, to_train

    def _separate(self, candidates: Sequence[Expression]) -> Sequence[bool]:
        """Whether each puts a class's own logit above the others, or that is not checked."""
        if "separation" not in self.config.checks:
            return [True] * len(candidates)
        return which_separate(candidates, self._proxy.counts).tolist()

    def _twins(self, keys: dict[int, _Keys]) -> set[int]:
        """Candidates of a round that equal an earlier one of it."""
        seen: set[Tokens | bytes] = set()
        twins = set()
        for k, own in keys.items() if "equality" in self.config.checks else ():
            if not seen.isdisjoint(_told(own)):
                twins.add(k)
            seen.update(_told(own))
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
