r"""SELAR: auxiliary tasks on the graph's own meta-paths, weighted sample by sample.

A model w (node embeddings, an encoder, one head a task) learns a primary task, link prediction,
beside T auxiliary tasks, meta-path prediction. A small network V with parameters Theta says how
much each training sample counts. With l_i the loss of sample i, n samples of which B are primary,

    L(w, Theta) = 1/n sum_i v_i l_i(w),     v_i = V(xi_i; Theta) / ( 1/B sum_primary V(xi; Theta) ),

xi_i = [loss, task, label] taken as constants. One step of training (Algorithm 1):

1. for each fold c of the primary pairs, look ahead without it:  w_c = w - lr dL_c/dw;
2. move Theta down the gradient of  mean_c (mean loss of fold c at w_c);
3. move w down the gradient of L(w, Theta) over all samples, with the new Theta.

Step 2 needs Jacobian-vector products only (:mod:`dglmeta.meta.hypergradient`), and the three share
one forward pass at w. The edges a batch asks about leave the graph that messages run on.

Source: Hwang et al., arXiv 2007.08294. Folds split each batch, as in Algorithm 1; the authors'
program folds the data set instead, and its look-ahead never reaches the encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dglmeta.data import Dataset, LinkSplit
from dglmeta.errors import ConfigError
from dglmeta.meta import (
    Fold,
    Linearization,
    Params,
    adam_step_sizes,
    descend,
    hypergradient,
    parameters_of,
)
from dglmeta.nn import GCN, Messages, PairHeads, SampleWeighter
from dglmeta.systems.base import System, check_choices, check_positive
from dglmeta.tasks import (
    JointBatch,
    JointPairs,
    LinkTask,
    MetaPathTask,
    binary_losses,
    link_metrics,
)
from dglmeta.train import Replay

__all__ = ["SELAR", "Config"]

ENCODERS = {"gcn": GCN}


class Strategy(NamedTuple):
    """What a strategy switches on."""

    auxiliary: bool
    weighted: bool


STRATEGIES = {
    "vanilla": Strategy(auxiliary=False, weighted=False),
    "weights-only": Strategy(auxiliary=False, weighted=True),
    "multi-task": Strategy(auxiliary=True, weighted=False),
    "selar": Strategy(auxiliary=True, weighted=True),
}


@dataclass(frozen=True)
class Config:
    """Settings of SELAR.

    Parameters
    ----------
    encoder : {"gcn"}
    strategy : {"vanilla", "weights-only", "multi-task", "selar"}
        Primary task alone; with learned sample weights; with auxiliary tasks; with both.
    protocol : {"clean"}
    metapaths : tuple of str
        Auxiliary tasks; those the data set recommends when empty.
    d, n_layers : int
        Width of embeddings, and number of encoder layers.
    batch : int
        Primary pairs a step, and as many of every auxiliary task.
    lr : float
        Adam step size of the model, and length of the look-ahead.
    look_ahead : {"sgd", "adam"}
        Plain gradient descent, as published; or along the diagonal that Adam would scale the
        gradient by, which is where training really goes.
    normaliser : {"primary", "task"}
        Weights count relative to the mean weight of the primary task, as published; or of their
        own task, so that a short-sighted look-ahead cannot turn a task down.
    weighter_lr, weighter_hidden : float, int
        Adam step size and hidden width of V.
    weight_decay : float
        L2 penalty on embeddings and encoder.
    averaging : float
        In [0, 1): what is evaluated is the running mean of w over steps with this decay (Polyak
        averaging); 0 evaluates w itself.
    folds : int
        Meta cross-validation folds of each batch; 1 holds a third of it out.
    epochs, patience : int
        At most so many passes over the primary pairs; stop so many after the best one.
    """

    encoder: str = "gcn"
    strategy: str = "selar"
    protocol: str = "clean"
    metapaths: tuple[str, ...] = ()
    d: int = 16
    n_layers: int = 2
    batch: int = 1024
    lr: float = 1e-2
    look_ahead: str = "sgd"
    normaliser: str = "primary"
    weighter_lr: float = 1e-4
    weighter_hidden: int = 1000
    weight_decay: float = 1e-5
    averaging: float = 0.99
    folds: int = 3
    epochs: int = 100
    patience: int = 20

    def __post_init__(self) -> None:
        choices = {
            "encoder": ENCODERS,
            "strategy": STRATEGIES,
            "protocol": ("clean",),
            "look_ahead": ("sgd", "adam"),
            "normaliser": ("primary", "task"),
        }
        check_choices("SELAR.Config", self, choices)
        positive = ("d", "n_layers", "batch", "lr", "weighter_lr", "weighter_hidden", "folds")
        check_positive("SELAR.Config", self, (*positive, "epochs", "patience"))
        if not 0 <= self.averaging < 1:
            raise ConfigError(
                f"SELAR.Config: expected averaging in [0, 1), got {self.averaging}. 0 turns it off."
            )
        if self.weight_decay < 0:
            raise ConfigError(
                f"SELAR.Config: expected weight_decay >= 0, got {self.weight_decay}. 0 is none."
            )
        if self.batch < max(3, self.folds):
            raise ConfigError(
                f"SELAR.Config: expected a batch of at least {max(3, self.folds)}, a pair for each "
                f"of {self.folds} folds, got {self.batch}. Raise it or lower folds."
            )


class Pairs(NamedTuple):
    """Pairs to score, and what their embeddings are computed from."""

    layers: list[Messages]  # the last receives at the pairs' nodes only
    src: Tensor  # (T, B) rows of the last layer
    dst: Tensor  # (T, B)


class LinkModel(nn.Module):
    """w: an embedding a node, an encoder over the whole graph, a head a task."""

    def __init__(self, config: Config, n_nodes: int, n_tasks: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(nn.init.xavier_normal_(torch.empty(n_nodes, config.d)))
        self.encoder = ENCODERS[config.encoder](config.d, config.d, n_layers=config.n_layers)
        self.heads = PairHeads(n_tasks, config.d)

    def locate(self, a_hat: Messages, src: Tensor, dst: Tensor) -> Pairs:
        """Pairs of nodes, with just the messages that their embeddings depend on; on a GPU all."""
        if src.is_cuda:
            return Pairs([a_hat] * len(self.encoder.weights), src, dst)
        nodes, (src, dst) = torch.unique(torch.stack([src, dst]), return_inverse=True)
        return Pairs(self.encoder.layers(a_hat, nodes), src, dst)

    def forward(self, pairs: Pairs) -> Tensor:
        """(T, B) logits of pairs of the first T tasks."""
        z = self.encoder(pairs.layers, self.embedding)
        return self.heads(z, pairs.src, pairs.dst)


def relative(v: Tensor, normaliser: str = "primary") -> Tensor:
    """(T + 1, B) weights over the mean weight of the primary task, or of their own task.

    Row 0 is the primary task. With "task" V chooses among the samples of a task and can turn no
    task down.
    """
    mean = v.mean(1, keepdim=True)  # (T + 1, 1)
    return v / ((mean if normaliser == "task" else mean[:1]) + 1e-8)


def split_folds(n: int, n_folds: int, rng: np.random.Generator) -> list[Tensor]:
    """Which of ``n`` primary pairs each fold holds out; one fold holds out a third."""
    groups = torch.from_numpy(rng.permutation(n) % (3 if n_folds == 1 else n_folds))
    return [(groups == c).nonzero().squeeze(1) for c in range(n_folds)]


@dataclass
class State:
    """Everything that changes in training, and what it is trained on."""

    pairs: JointPairs
    split: LinkSplit
    model: LinkModel
    averaged: AveragedModel
    optimizer: torch.optim.Optimizer
    weighter: SampleWeighter
    weighter_optimizer: torch.optim.Optimizer
    task_weights: Tensor  # (T + 1,) mean of each task at the end of the last epoch
    learn: Callable[..., None]  # what a step does with the tensors of a batch and of its folds

    @property
    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """What a checkpoint holds."""
        return {
            "model": self.model,
            "averaged": self.averaged,
            "optimizer": self.optimizer,
            "weighter": self.weighter,
            "weighter_optimizer": self.weighter_optimizer,
        }


class SELAR(System):
    """Self-supervised auxiliary learning with meta-paths.

    Examples
    --------
    >>> import dglmeta as dm
    >>> config = SELAR.Config(strategy="multi-task", batch=8, epochs=2)
    >>> result = SELAR(config).fit(dm.load_dataset("toy"), seed=0)
    >>> sorted(result.metrics)[:3]
    ['test_ap', 'test_auc', 'test_f1']
    """

    name = "selar"
    monitor = "valid_auc"
    Config = Config
    config: Config

    def step(self, state: State, batch: JointBatch, rng: np.random.Generator) -> None:
        """One step of training; changes ``state``."""
        held_out: list[Tensor] = []
        if self.strategy.weighted:
            held_out = split_folds(batch.label.shape[1], self.config.folds, rng)
        state.learn(*batch, *(c.to(self.device) for c in held_out))
        state.averaged.update_parameters(state.model)

    def learn(self, state: State, batch: JointBatch, held_out: Sequence[Tensor]) -> None:
        """Algorithm 1 on one batch, whose folds leave out these primary pairs."""
        w, theta = parameters_of(state.model), parameters_of(state.weighter)
        a_hat = state.model.encoder.messages(state.pairs.adjacency, batch.edge_weight)
        label = batch.label.flatten()  # (n,) samples of all tasks, the primary ones first

        def logits(pairs: Pairs) -> Callable[[Params], Tensor]:
            return lambda w: functional_call(state.model, w, (pairs,)).flatten()

        def weights(s: Tensor, theta: Params) -> Tensor:  # (n,)
            return self._weights(state, theta, s.view_as(batch.label), batch.label).flatten()

        def losses(s: Tensor, v: Tensor) -> Tensor:  # (n,)
            return v * binary_losses(s, label)

        def fold(left_out: Tensor) -> Fold:
            ends = batch.src[:1, left_out], batch.dst[:1, left_out]
            s = logits(state.model.locate(a_hat, *ends))
            return Fold(left_out, lambda w: binary_losses(s(w), label[left_out]).mean())

        every = logits(state.model.locate(a_hat, batch.src, batch.dst))
        if self.strategy.weighted:
            lr = self._look_ahead_lr(state)
            look = hypergradient(every, weights, losses, [*map(fold, held_out)], w, theta, lr=lr)
            descend(state.weighter_optimizer, state.weighter, look.gradients)
            at = look.at
        else:
            at = Linearization(every, w)
        with torch.no_grad():
            v = weights(at.value, theta)
        s = at.value.clone().requires_grad_()
        (slope,) = torch.autograd.grad(losses(s, v).mean(), s)
        descend(state.optimizer, state.model, at.pullback(slope))

    @property
    def strategy(self) -> Strategy:
        """What the configured strategy switches on."""
        return STRATEGIES[self.config.strategy]

    def _look_ahead_lr(self, state: State) -> float | Params:
        sizes = None
        if self.config.look_ahead == "adam":
            sizes = adam_step_sizes(state.optimizer, state.model)
        return self.config.lr if sizes is None else sizes

    def _weights(self, state: State, theta: Params, s: Tensor, label: Tensor) -> Tensor:
        """v_i of every sample, (T + 1, B)."""
        if not self.strategy.weighted:
            return torch.ones_like(s)
        xi = state.weighter.describe(binary_losses(s, label), label)
        return relative(functional_call(state.weighter, theta, (xi,)), self.config.normaliser)

    def init(self, ds: Dataset, seed: int, split_seed: int) -> State:
        """Split the data, label the auxiliary tasks, initialise w and Theta."""
        split = ds.splits(split_seed)
        training = split.training_graph(ds.csr)
        paths = self.config.metapaths or ds.metapaths if self.strategy.auxiliary else ()
        auxiliary = [MetaPathTask.from_graph(training, p, target=split.target) for p in paths]
        pairs = JointPairs(training, split, auxiliary, device=self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = LinkModel(self.config, pairs.n_nodes, pairs.n_tasks)
            weighter = SampleWeighter(pairs.n_tasks - 1, self.config.weighter_hidden)
        model, weighter = model.to(self.device), weighter.to(self.device)
        graph_part = [model.embedding, *model.encoder.parameters()]
        groups = [
            {"params": graph_part, "weight_decay": self.config.weight_decay},
            {"params": list(model.heads.parameters()), "weight_decay": 0.0},
        ]
        on_gpu = self.device == "cuda"
        form = {"fused": True, "capturable": on_gpu}
        adam = torch.optim.Adam(groups, lr=self.config.lr, **form)
        adam_v = torch.optim.Adam(weighter.parameters(), lr=self.config.weighter_lr, **form)
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(self.config.averaging))
        averaged.n_averaged = averaged.n_averaged.cpu()  # read at every step

        def learn(*tensors: Tensor) -> None:
            n = len(JointBatch._fields)
            self.learn(state, JointBatch(*tensors[:n]), tensors[n:])

        state = State(
            pairs, split, model, averaged, adam, weighter, adam_v, torch.ones(pairs.n_tasks),
            learn=Replay(learn) if on_gpu else learn,
        )  # fmt: skip
        return state

    def epoch(self, state: State, rng: np.random.Generator) -> Iterator[None]:
        """One pass over the primary pairs."""
        for batch in state.pairs.epoch(self.config.batch, rng):
            self.step(state, batch, rng)
            yield
        if self.strategy.weighted:
            state.task_weights = self._task_weights(state, batch)

    def evaluate(self, state: State, split: str) -> dict[str, float]:
        """AUC, AP and F1 of a split, by the whole training graph; nothing is sampled."""
        rows: LinkTask = LinkTask(state.split.target, getattr(state.split, split))
        model: LinkModel = state.averaged.module
        with torch.no_grad():
            a_hat = model.encoder.messages(state.pairs.adjacency)
            (s,) = model(model.locate(a_hat, *state.pairs.locate(rows)))
        metrics = link_metrics(s.cpu().numpy(), rows.rows.label)
        return {f"{split}_{name}": value for name, value in metrics.items()}

    def embed(self, state: State) -> dict[str, npt.NDArray[np.float32]]:
        """(n, d) embeddings of every node type."""
        with torch.no_grad():
            model: LinkModel = state.averaged.module
            z = model.encoder(state.pairs.adjacency, model.embedding).cpu().numpy()
        return state.pairs.by_type(z)

    def log(self, state: State) -> dict[str, object]:
        """Mean weight of each task in the epoch's last batch, relative to the primary task's."""
        if not self.strategy.weighted:
            return {}
        return {"task_weights": [round(w, 4) for w in state.task_weights.tolist()]}

    def _task_weights(self, state: State, batch: JointBatch) -> Tensor:
        with torch.no_grad():
            a_hat = state.model.encoder.messages(state.pairs.adjacency, batch.edge_weight)
            s = state.model(state.model.locate(a_hat, batch.src, batch.dst))
            v = self._weights(state, parameters_of(state.weighter), s, batch.label).mean(1)
        return v / v[0]
