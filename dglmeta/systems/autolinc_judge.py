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
from dglmeta.tasks.expression import Expression
from dglmeta.tasks.expression_checks import gradient_signature, is_legal, which_separate
from dglmeta.tasks.expression_form import canonical

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
        Whenever a better candidate was found: ``seconds``, ``trained`` till then, ``reward``,
        ``loss``.
    """

    def __init__(self, config: Config, proxy: Proxy) -> None:
        self.config, self._proxy = config, proxy
        self.counts: Counter[str] = Counter()
        self.rises: list[dict[str, Any]] = []
        self._leaders = Leaders(max(LEADERS, config.finalists))
        self._curves: dict[Tokens, list[float]] = {}
        self._rewards: dict[Tokens | bytes, float] = {}
        self._begun, self._earlier = time.perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        """Spent on the search so far, by earlier processes too."""
        return self._earlier + time.perf_counter() - self._begun

    def spent(self) -> bool:
        """Whether the budget of time or of candidates is."""
        bound = self.config.candidates
        return 0 < bound <= self.counts["trained"] or self.seconds >= self.config.seconds

    @property
    def headline(self) -> str:
        """The best loss so far, in a line."""
        trained = f"{self.counts['trained']} trained"
        if not self.rises:
            return trained
        return f"{trained}, best {self.rises[-1]['reward']:.4f}: {self.rises[-1]['loss']}"

    def finalists(self) -> list[Expression]:
        """The best by reward, the best first."""
        return [Expression(tokens) for tokens, _ in self._leaders.best(self.config.finalists)]

    def evaluate(self, states: Sequence[Tokens]) -> list[Outcome]:
        """Outcomes of candidates: ``reward``, ``why``, and ``curve`` of those that trained.

        ``at`` is in seconds. Nothing is remembered yet: :meth:`learn` does.
        """
        candidates = {tokens: Expression(tokens) for tokens in states}
        outcomes: dict[Tokens, Outcome] = {}
        keys = self._examine(candidates, outcomes)
        first: dict[Tokens | bytes, Tokens] = {}
        for tokens in [tokens for tokens in candidates if tokens not in outcomes]:
            twin = next((first[key] for key in _told(keys[tokens]) if key in first), None)
            if twin is not None and "equality" in self.config.checks:
                outcomes[tokens] = {"why": "equality", "twin": twin}
                continue
            first |= dict.fromkeys(_told(keys[tokens]), tokens)
        chosen = [tokens for tokens in candidates if tokens not in outcomes]
        outcomes |= self._trained([candidates[tokens] for tokens in chosen])
        at = round(self.seconds, 3)
        return [{**_settled(outcomes, tokens), "at": at} for tokens in states]

    def learn(self, done: Sequence[tuple[Tokens, Outcome]]) -> None:
        """Remember the outcomes of a round, from the journal or new."""
        for tokens, outcome in done:
            self.counts["asked"] += 1
            self.counts[outcome["why"]] += 1
            if "curve" not in outcome:
                continue
            self.counts["trained"] += 1
            self._remember(tokens, outcome)
        if done and self.seconds < done[-1][1]["at"]:
            self._earlier += done[-1][1]["at"] - self.seconds

    def _remember(self, tokens: Tokens, outcome: Outcome) -> None:
        reward, curve = outcome["reward"], outcome["curve"]
        if "equality" in self.config.checks:
            for key in _told(_keys([Expression(tokens)])[0]):
                self._rewards.setdefault(key, reward)
        if self._leaders.offer(tokens, reward):
            self._curves[tokens] = curve
        if not self.rises or reward > self.rises[-1]["reward"]:
            loss = Expression(tokens).infix
            rise = {"seconds": outcome["at"], "trained": self.counts["trained"]}
            self.rises.append({**rise, "reward": reward, "loss": loss})

    def _examine(
        self, candidates: dict[Tokens, Expression], outcomes: dict[Tokens, Outcome]
    ) -> dict[Tokens, _Keys]:
        """Tell what needs no training; returns the keys of what is complete."""
        checks = self.config.checks
        legal = [tokens for tokens in candidates if is_legal(candidates[tokens])]
        outcomes |= {t: _refused("incomplete") for t in candidates if t not in set(legal)}
        keys = dict(zip(legal, _keys([candidates[t] for t in legal]), strict=True))
        apart = which_separate([candidates[t] for t in legal], self._proxy.counts)
        for tokens, separate in zip(legal, apart, strict=True):
            known = [self._rewards[k] for k in _told(keys[tokens]) if k in self._rewards]
            if known and "equality" in checks:
                outcomes[tokens] = {"reward": known[0], "why": "equality"}
            elif keys[tokens].gradient is None and "finite" in checks:
                outcomes[tokens] = _refused("finite")
            elif not separate and "separation" in checks:
                outcomes[tokens] = _refused("separation")
        return keys

    def _trained(self, candidates: Sequence[Expression]) -> dict[Tokens, Outcome]:
        """Outcomes of a training."""
        if not candidates:
            return {}
        tenth = self._leaders.best(LEADERS)
        curve = self._curves[tenth[-1][0]] if len(tenth) == LEADERS else ()
        trained = self._proxy.train(candidates, curve)
        return {
            c.tokens: {"reward": t.reward, "why": t.given_up or "finished", "curve": t.curve}
            for c, t in zip(candidates, trained, strict=True)
        }


def _refused(why: str) -> Outcome:
    return {"reward": 0.0, "why": why}


def _settled(outcomes: dict[Tokens, Outcome], tokens: Tokens) -> Outcome:
    """An outcome; of one that equals another of its round, that one's reward."""
    outcome = outcomes[tokens]
    if "twin" not in outcome:
        return outcome
    return {"reward": outcomes[outcome["twin"]]["reward"], "why": outcome["why"]}


def _keys(expressions: Sequence[Expression]) -> list[_Keys]:
    gradients = gradient_signature(expressions)
    return [_Keys(canonical(e).tokens, g) for e, g in zip(expressions, gradients, strict=True)]


def _told(keys: _Keys) -> list[Tokens | bytes]:
    """The keys that there are."""
    return [key for key in keys if key is not None]
