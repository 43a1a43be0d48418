"""A search that is killed goes on as if nothing had happened; this file is also what is killed."""

import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from dglmeta.errors import ConfigError, DataError
from dglmeta.meta import Evolution, RandomSearch, TreeSearch
from dglmeta.train import Journal, run_search

N_ROUNDS = 40
SEARCHERS = {
    "tree": lambda space: TreeSearch(space, rollouts=3),
    "random": RandomSearch,
    "evolution": lambda space: Evolution(space, population=20, sample=5),
}


class Bits:
    """Twelve bits; the reward is the share of ones."""

    root = ""

    def actions(self, state):
        return "01"

    def child(self, state, action):
        return state + action

    def finished(self, state):
        return len(state) == 12

    def rollout(self, state, rng):
        return state + "".join(rng.choice(["0", "1"], 12 - len(state)))

    def mutate(self, state, rng):
        place = int(rng.integers(12))
        return state[:place] + "10"[int(state[place])] + state[place + 1 :]


def evaluate(states):
    return [{"reward": s.count("1") / 12, "pair": (s[0], s[1])} for s in states]


class Budget:
    """Says stop after so many questions."""

    def __init__(self, n):
        self.left = n

    def __call__(self):
        self.left -= 1
        return self.left < 0


def rounds(kind, journal=None, *, evaluate=evaluate, stop=lambda: False, seed=0, batch=7, **more):
    searcher = SEARCHERS[kind](Bits())
    rng = np.random.default_rng(seed)
    return run_search(searcher, evaluate, batch=batch, rng=rng, journal=journal, stop=stop, **more)


def journal_in(folder, kind="tree"):
    return Journal(folder / "journal.jsonl", {"kind": kind})


@pytest.mark.parametrize("kind", SEARCHERS)
@pytest.mark.parametrize("n_before", [0, 1, 13, N_ROUNDS])
def test_a_resumed_search_gives_the_rounds_of_one_that_was_not_stopped(tmp_path, kind, n_before):
    (tmp_path / "whole").mkdir()
    expected = list(islice(rounds(kind, journal_in(tmp_path / "whole", kind)), N_ROUNDS))
    evaluated = []

    def counted(states):
        evaluated.extend(states)
        return evaluate(states)

    list(rounds(kind, journal_in(tmp_path, kind), evaluate=counted, stop=Budget(n_before)))
    resumed = rounds(kind, journal_in(tmp_path, kind), evaluate=counted)
    assert list(islice(resumed, N_ROUNDS)) == expected
    assert len(evaluated) == sum(map(len, expected))  # none of them twice


@pytest.mark.parametrize("kind", SEARCHERS)
def test_without_a_journal_the_rounds_are_those_of_ask_and_tell(kind):
    searcher, rng = SEARCHERS[kind](Bits()), np.random.default_rng(0)
    for got in islice(rounds(kind), 20):
        states = searcher.ask(7, rng)
        assert got == list(zip(states, evaluate(states), strict=True))
        searcher.tell([outcome["reward"] for outcome in evaluate(states)])


def test_stop_is_asked_before_new_rounds_only(tmp_path):
    assert len(list(rounds("tree", journal_in(tmp_path), stop=Budget(5)))) == 5
    assert len(list(rounds("tree", journal_in(tmp_path), stop=Budget(0)))) == 5
    assert len(list(rounds("tree", journal_in(tmp_path), stop=Budget(2)))) == 7


def test_an_exhausted_space_ends_the_search_also_when_resumed(tmp_path):
    expected = list(rounds("tree", journal_in(tmp_path), batch=1000))
    assert {state for got in expected for state, _ in got} == {f"{i:012b}" for i in range(4096)}
    assert list(rounds("tree", journal_in(tmp_path), batch=1000)) == expected


@pytest.mark.parametrize("change", [{"seed": 1}, {"batch": 8}])
def test_a_journal_of_another_search_is_refused(tmp_path, change):
    list(rounds("tree", journal_in(tmp_path), stop=Budget(3)))
    with pytest.raises(DataError, match="expected to ask in round 0 what the journal has"):
        next(rounds("tree", journal_in(tmp_path), **change))


def test_names_tell_states_apart(tmp_path):
    list(rounds("tree", journal_in(tmp_path), stop=Budget(3), name=str.upper))
    with pytest.raises(DataError, match="names that are the same in every process"):
        next(rounds("tree", journal_in(tmp_path)))
    assert len(list(rounds("tree", journal_in(tmp_path), stop=Budget(0), name=str.upper))) == 3


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda outcomes: outcomes[:-1], "expected 7 outcomes, one a state, got 6"),
        (lambda outcomes: [*outcomes[:-1], {}], "got None"),
        (lambda outcomes: [*outcomes[:-1], {"reward": 1.5}], r"reward in \[0, 1\] for '.*got 1.5"),
        (lambda outcomes: [*outcomes[:-1], {"reward": float("nan")}], "got nan"),
        (lambda outcomes: [*outcomes[:-1], {"reward": "1"}], "got '1'"),
    ],
)
def test_outcomes_that_cannot_be_told_are_not_written(tmp_path, spoil, message):
    before = journal_in(tmp_path).path.read_bytes()
    search = rounds("tree", journal_in(tmp_path), evaluate=lambda s: spoil(evaluate(s)))
    with pytest.raises(DataError, match=message):
        next(search)
    assert journal_in(tmp_path).path.read_bytes() == before


def test_a_killed_search_resumes_to_the_same_rounds(tmp_path):
    path = tmp_path / "journal.jsonl"
    process = subprocess.Popen([sys.executable, __file__, str(tmp_path)])
    deadline = time.monotonic() + 120
    while not path.is_file() or path.read_bytes().count(b"\n") < 6:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with path.open("ab") as file:
        file.write(b'{"asked": "0f')

    resumed = list(islice(rounds("tree", journal_in(tmp_path)), N_ROUNDS))
    (tmp_path / "whole").mkdir()
    whole = list(islice(rounds("tree", journal_in(tmp_path / "whole")), N_ROUNDS))
    assert resumed == whole
    assert path.read_bytes() == (tmp_path / "whole" / "journal.jsonl").read_bytes()


def test_a_journal_with_another_header_is_refused(tmp_path):
    journal_in(tmp_path, "tree")
    with pytest.raises(ConfigError, match="kind: 'tree' -> 'random'"):
        journal_in(tmp_path, "random")


def _slowly(states):
    time.sleep(0.01)
    return evaluate(states)


if __name__ == "__main__":
    for _ in islice(rounds("tree", journal_in(Path(sys.argv[1])), evaluate=_slowly), 30):
        pass
    time.sleep(600)
