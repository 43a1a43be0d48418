r"""AutoLINC: search for a loss function for node classification with classes of unequal size.

A loss is the mean over nodes i and classes k of an expression in the logit u, whether k is the
class of i, y, and how many training nodes the class has, n:

    min over expressions of  - balanced accuracy(validation nodes, w*),
    w* = arg min over w of  mean over i, k of  expression(u_ik(w), y_ik, n_k).

Expressions are trees of at most ten operators and variables. Monte-Carlo tree search derives them
operator by operator and is told the balanced accuracy that a short training reaches (the proxy).
Candidates that cannot be good are found out before it or on its way: of no complete formula, with
the gradient of one that is known, without a finite gradient, pulling the logit of a node's class
below the others', falling while training accuracy falls, or far behind the best. Many candidates
are trained as one batch. The best few are then trained in full, and the best of these is the loss.

Any loss that is known, a baseline or a published one, is trained the same way without a search.

Source: AutoLINC, ICML 2024; what it leaves open is decided in the settings and in
:mod:`dglmeta.systems.parts.autolinc.proxy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from dglmeta.data import Dataset, GraphDataset
from dglmeta.errors import DataError
from dglmeta.systems.base import Result, System
from dglmeta.systems.checks import check_device
from dglmeta.systems.parts.autolinc.config import Config
from dglmeta.systems.parts.autolinc.found import Found, known_loss
from dglmeta.systems.parts.autolinc.search import search_loss
from dglmeta.systems.parts.autolinc.setup import State, begin
from dglmeta.tasks.metrics import balanced_metrics
from dglmeta.train import RunFolder

__all__ = ["AutoLINC"]


class AutoLINC(System):
    """Loss functions for imbalanced classes, searched for or given.

    Examples
    --------
    >>> import dglmeta as dm
    >>> config = AutoLINC.Config(loss="autolinc:D", d=8, epochs=3)
    >>> result = AutoLINC(config).fit(dm.load_dataset("toy-citations"), seed=0)
    >>> sorted(result.metrics)[:3]
    ['test_accuracy', 'test_bacc', 'test_macro_f1']
    """

    name = "autolinc"
    monitor = "valid_score"
    Config = Config
    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.found: Found | None = None

    @property
    def loss(self) -> str:
        """The loss that is trained with: the configured one, or the one that was found."""
        return self.config.loss if self.found is None else f"autolinc:{self.found.loss}"

    def fit(
        self,
        ds: Dataset | GraphDataset,
        *,
        seed: int = 0,
        split_seed: int = 0,
        out: str | Path | None = None,
        resume: bool = False,
        device: str = "cpu",
        precision: str = "highest",
    ) -> Result:
        """Search for a loss, if none is given, and train with it; as :meth:`System.fit`.

        With ``out``, what the search did is in ``search.jsonl``, and an interrupted one resumes.
        Once training has begun, a resumed run keeps the loss it found.

        Raises
        ------
        DataError
            If training overflows; further as :meth:`System.fit` and ``init``.
        """
        device = check_device(device)
        self.found = None
        if out is not None and resume:
            self.found = Found.of_checkpoint(RunFolder(out))
        if self.found is None and self.config.searches:
            self.found = search_loss(
                self.config, ds, seed=seed, split_seed=split_seed, out=out, resume=resume,
                device=device,
            )  # fmt: skip
        elif self.found is None:
            self.found = known_loss(self.config, ds.name, out)
        return super().fit(
            ds, seed=seed, split_seed=split_seed, out=out, resume=resume, device=device,
            precision=precision,
        )  # fmt: skip

    def load(self, ds: Dataset | GraphDataset, run: RunFolder, *, device: str = "cpu") -> Result:
        """The best state of a finished run, and the loss it was trained with."""
        self.found = Found.of_record(run.read_result())
        return super().load(ds, run, device=device)

    def init(self, ds: Dataset | GraphDataset, seed: int, split_seed: int) -> State:
        """An imbalanced split, and a network.

        Raises
        ------
        DataError
            If there is not one graph of one type of nodes and edges, with features and classes.
        """
        state = begin(self.config, ds, self.loss, seed, split_seed, self.device)
        state.found = self.found
        return state

    def epoch(self, state: State, rng: np.random.Generator) -> Iterator[None]:
        """One step on all training nodes; the step size follows validation cross-entropy.

        Raises
        ------
        DataError
            If that is not finite, as after an overflow of the loss or its gradient.
        """
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        self.step(state, generator)
        yield
        state.clock.epoch += 1
        label = torch.from_numpy(state.problem.split.valid.label)
        error = float(cross_entropy(state.validation_logits(), label))
        if not np.isfinite(error):
            raise DataError(
                f"autolinc: expected finite logits from training with {self.loss!r}, got an "
                f"overflow in epoch {state.clock.epoch}. Give another loss, a lower lr, or end "
                f"before that epoch."
            )
        state.plateau.step(error)

    def step(self, state: State, generator: torch.Generator) -> None:
        """Descend on the loss; changes ``state``."""
        dropout = self.config.dropout
        logits = state.model(state.fields["train"], dropout=dropout, generator=generator)[0]
        loss = state.loss(logits, state.clock.epoch).mean()
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        state.losses = [loss.item()]

    def evaluate(self, state: State, split: str) -> dict[str, float]:
        """Balanced accuracy, macro-F1, accuracy; and the mean of the last two to choose by."""
        logits = state.validation_logits() if split == "valid" else state.logits(split)
        label = getattr(state.problem.split, split).label
        z = state.loss.predict(logits).numpy()
        found = balanced_metrics(z, label)
        found["accuracy"] = float((z.argmax(1) == label).mean())
        found["score"] = (found["accuracy"] + found["macro_f1"]) / 2
        return {f"{split}_{name}": value for name, value in found.items()}

    def embed(self, state: State) -> dict[str, npt.NDArray[np.float32]]:
        """(N, K) logits of all nodes."""
        every = state.field(np.arange(state.problem.adj.n_src))
        with torch.no_grad():
            logits = state.loss.predict(state.model(every)[0])
        return {state.node_type: logits.numpy(force=True)}

    def log(self, state: State) -> dict[str, Any]:
        """The loss of the epoch and its step size."""
        return {"loss": state.losses[-1], "lr": state.optimizer.param_groups[0]["lr"]}

    def findings(self, state: State) -> dict[str, Any]:
        """The loss, and how it was found."""
        del state
        found = {} if self.found is None else {"found": self.found.record}
        return {"loss": self.loss, **found}
