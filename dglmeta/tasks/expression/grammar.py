"""The grammar of loss expressions as a space to be searched."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from dglmeta.errors import ConfigError
from dglmeta.tasks.expression.text import OPERATORS, TERMINALS

__all__ = ["LossGrammar"]

State = tuple[str, ...]

PRODUCTIONS = (*OPERATORS, *TERMINALS)

MOST_REDRAWN = 20
"""Subtrees drawn until one differs from that which it replaces."""


class Need(NamedTuple):
    """What an unfinished derivation still needs."""

    left: int
    """Tokens that may yet be set."""
    open: int
    """Places without a token."""
    missing: frozenset[str]
    """Terminals that must yet appear."""


class Choices(NamedTuple):
    """Tokens for the next place, their chances added up, and what each leaves to do."""

    actions: tuple[str, ...]
    chances: list[float]
    needs: list[Need]


@cache
def _completions(need: Need) -> int:
    """How many ways there are to go on."""
    if need.open == 0:
        return int(not need.missing)
    if need.left < need.open:
        return 0
    return sum(_completions(_after(need, token)) for token in PRODUCTIONS)


def _after(need: Need, token: str) -> Need:
    return Need(need.left - 1, need.open - 1 + OPERATORS.get(token, 0), need.missing - {token})


@dataclass(frozen=True)
class LossGrammar:
    """Derivations of elementwise losses; a state is a tuple of tokens in pre-order.

    The leftmost open place, that of the latest operator, is filled next. States are tokens of an
    :class:`~dglmeta.tasks.expression.Expression`, complete once they are finished.

    Parameters
    ----------
    max_length : int
        Tokens at most, terminals counted; 1 to 30.
    terminals_needed : tuple of str
        Of ``u``, ``y``, ``n``; a legal loss has all of these.
    masked : bool
        Offer only what can still become a legal loss. Otherwise any production may come, and
        derivations may run out of length or lack a terminal, as published.
    weighted : bool
        Rollouts draw legal losses uniformly, which favours long ones, instead of actions.

    Raises
    ------
    ConfigError
        If an argument is out of range, no loss is legal, or it is weighted without being masked.

    References
    ----------
    AutoLINC, ICML 2024, section 4: 10 productions at most, all of u, y and n. Masks and weights are
    defaults chosen here.

    Examples
    --------
    >>> grammar = LossGrammar(max_length=5)
    >>> grammar.actions(grammar.root), grammar.actions(("add", "u"))
    (('add', 'mul'), ('add', 'mul'))
    >>> grammar.count(grammar.root), grammar.count(("add", "u", "mul"))
    (48, 2)
    >>> state = grammar.rollout(grammar.root, np.random.default_rng(0))
    >>> grammar.finished(state), sorted(state)[-3:]
    (True, ['n', 'u', 'y'])
    """

    max_length: int = 10
    terminals_needed: tuple[str, ...] = TERMINALS
    masked: bool = True
    weighted: bool = False
    _seen: dict[Need, Choices] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.max_length <= 30:
            raise ConfigError(
                f"LossGrammar: expected max_length from 1 to 30, got {self.max_length}. Change it."
            )
        if unknown := set(self.terminals_needed) - {*TERMINALS}:
            raise ConfigError(
                f"LossGrammar: expected terminals_needed of {TERMINALS}, got "
                f"{sorted(unknown)} too. Leave these away."
            )
        if self.weighted and not self.masked:
            raise ConfigError(
                "LossGrammar: expected masked=True with weighted=True, got False: unmasked actions "
                "have no weights. Change one of them."
            )
        if not self.count(self.root):
            raise ConfigError(
                f"LossGrammar: expected room for {self.terminals_needed}, got "
                f"max_length={self.max_length}. Allow two more than twice their number."
            )

    @property
    def root(self) -> State:
        """The state without a token."""
        return ()

    def actions(self, state: State) -> tuple[str, ...]:
        """Tokens that may fill the next place; none if finished or out of length."""
        return self._choices(self._need(state)).actions

    def child(self, state: State, action: str) -> State:
        """The state after an action, which is not checked."""
        return (*state, action)

    def finished(self, state: State) -> bool:
        """Whether no place is open; an unmasked derivation may then lack a terminal."""
        return self._need(state).open == 0

    def legal(self, state: State) -> bool:
        """Whether a state is finished, short enough, and has all terminals needed."""
        need = self._need(state)
        return need.open == 0 and need.left >= 0 and not need.missing

    def count(self, state: State) -> int:
        """How many legal losses begin so; exact, masked or not."""
        return _completions(self._need(state))

    def rollout(self, state: State, rng: np.random.Generator) -> State | None:
        """A finished derivation that begins so, at random.

        Masked: uniform among the tokens that can still become a legal loss, token by token; or,
        weighted, uniform among the losses. Unmasked: uniform among all productions.

        Returns
        -------
        state : tuple of str, or None
            None where the length ran out, or no legal loss begins so.
        """
        return self._complete(state, self._need(state), rng)

    def mutate(self, state: State, rng: np.random.Generator) -> State:
        """A loss in which one part, at random, is another; legal even if not masked.

        Parameters
        ----------
        state : tuple of str
            Legal; if not masked, it may lack terminals.
        rng : Generator

        Returns
        -------
        state : tuple of str
            Another than that given, save where twenty draws found none.

        Raises
        ------
        ConfigError
            If the state is not finished, too long, or, if masked, lacks a terminal.
        """
        need = self._need(state)
        if need.open or need.left < 0 or (self.masked and need.missing):
            raise ConfigError(
                f"LossGrammar.mutate: expected a finished loss of at most {self.max_length} tokens "
                f"with {self.terminals_needed}, got {state}. Finish it first."
            )
        legally = self if self.masked else LossGrammar(self.max_length, self.terminals_needed)
        for _ in range(MOST_REDRAWN):
            begin = int(rng.integers(len(state)))
            before, after = state[:begin], state[_end(state, begin) :]
            missing = frozenset(self.terminals_needed).difference(before, after)
            need = Need(self.max_length - len(before) - len(after), 1, missing)
            part = legally._complete((), need, rng)
            mutant = (*before, *(part or ()), *after)
            if part is not None and mutant != state:
                return mutant
        return state

    def _need(self, state: State) -> Need:
        n_open = 1
        for token in state:
            if token not in PRODUCTIONS or n_open < 1:
                raise ConfigError(
                    f"LossGrammar: expected tokens {', '.join(PRODUCTIONS)} in pre-order, got "
                    f"{state}. Go from the root by child()."
                )
            n_open += OPERATORS.get(token, 0) - 1
        missing = frozenset(self.terminals_needed).difference(state)
        return Need(self.max_length - len(state), n_open, missing)

    def _choices(self, need: Need) -> Choices:
        found = self._seen.get(need)
        if found is None:
            found = self._seen[need] = self._choose(need)
        return found

    def _choose(self, need: Need) -> Choices:
        if need.open == 0 or need.left < 1:
            return Choices((), [], [])
        ways = {t: _completions(_after(need, t)) for t in PRODUCTIONS}
        actions = tuple(t for t in PRODUCTIONS if ways[t] or not self.masked)
        weights = [ways[t] if self.weighted else 1 for t in actions]
        total = sum(weights)
        chances = [s / total for s in accumulate(weights)]
        return Choices(actions, chances, [_after(need, t) for t in actions])

    def _complete(self, state: State, need: Need, rng: np.random.Generator) -> State | None:
        tokens = [*state]
        for chance in rng.random(max(need.left, 0)).tolist():
            if need.open == 0:
                break
            choices = self._choices(need)
            if not choices.actions:
                return None
            taken = bisect_right(choices.chances, chance)
            tokens.append(choices.actions[taken])
            need = choices.needs[taken]
        return tuple(tokens) if need.open == 0 else None


def _end(state: State, begin: int) -> int:
    """Where the part that begins at a place ends."""
    n_open = 1
    while n_open:
        n_open += OPERATORS.get(state[begin], 0) - 1
        begin += 1
    return begin
