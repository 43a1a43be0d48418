"""Descent on the known edges of new graphs, and how well it predicts the others on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.meta import Params, descend_tasks, detach, gradient, leaves, one_per_task
from dglmeta.nn import encode
from dglmeta.systems.parts.meta_graph.candidates import reflected
from dglmeta.systems.parts.meta_graph.config import METHODS, Config
from dglmeta.systems.parts.meta_graph.quirks import FrozenStop, probabilities, published_loss
from dglmeta.tasks import (
    FewShotBatch,
    FewShotGraph,
    area_under_curve,
    evidence_loss,
    link_metrics,
)

__all__ = [
    "DRAWS",
    "EVERY",
    "Curve",
    "Path",
    "adapt",
    "embeddings",
    "mean_metrics",
    "mover",
    "test_metrics",
]

Array = npt.NDArray[Any]

PARTS = ("valid", "test")

EVERY = 5
"""Steps between two looks at the validation edges."""

DRAWS = 0x61646170
"""Random stream of what is drawn while adapting, apart from others ("adap")."""

Scorer = Callable[[int, Array], Array]
"""graph number in the batch, pairs (m, 2) -> (m,) scores."""


class Curve(NamedTuple):
    """How well each of B graphs is predicted after some steps."""

    steps: Array
    """(S,) steps done."""
    valid: Array
    """(S, B) area under the ROC curve on the validation edges."""
    test: Array
    """(S, B) the same on the test edges."""
    chosen: Array
    """(B,) place in ``steps`` of the best by validation, the first of equals."""


class Path(NamedTuple):
    """Result of :func:`adapt`."""

    curve: Curve
    best: Params
    """phi of each graph at its chosen step."""
    early: Params
    """phi after the first EVERY steps."""
    film: Params
    """Signatures of the graphs, as given."""


def adapt(
    batch: FewShotBatch,
    start: Mapping[str, Tensor],
    film: Mapping[str, Tensor],
    config: Config,
) -> Path:
    """Descend from ``start`` on each graph, and keep where its validation edges fit best.

    Parameters
    ----------
    batch : FewShotBatch
    start : dict of name to tensor
        Parameters of the encoder, the same for every graph.
    film : dict of name to tensor
        Signatures of the graphs; may be empty.
    config : Config
        Its ``adapt_*`` settings, ``adapted``, ``inner_lr``, ``clip``, ``method`` and ``protocol``.

    Notes
    -----
    Draws depend on the number of the step alone, so a run can be repeated.
    """
    published = config.protocol == "paper"
    loss = published_loss if published else partial(evidence_loss, minus=config.minus)
    steps = config.adapt_steps if METHODS[config.method].adapts else 0
    phi = one_per_task(start, len(batch))
    film = dict(film)
    move = mover(phi, config)
    watch = _Watch(batch, phi, minus=config.minus, by_test=published)
    frozen = None
    if published and config.method in ("finetune", "no-finetune"):
        frozen = FrozenStop(batch, phi, film, config.adapt_patience)
    for k in range(steps + 1):
        rng = np.random.default_rng([DRAWS, k])
        if k % EVERY == 0 or k == steps:
            watch.look(k, phi, film)
            tired = k - watch.last_gain >= config.adapt_patience
            if k == steps or (tired if frozen is None else frozen(k, rng)):
                break
        graphs = batch.fold(k)
        pairs = batch.draw_training(k, rng).at(graphs)
        phi = move(phi, lambda at: loss(encode(at, graphs, film), graphs, pairs))  # noqa: B023
    return Path(watch.curve(), watch.best, watch.early, film)


class _Watch:
    """Looks at the held-out edges now and then, and remembers the best phi of every graph."""

    def __init__(self, batch: FewShotBatch, phi: Params, *, minus: int, by_test: bool) -> None:
        self.best, self.early, self.last_gain = dict(phi), dict(phi), 0
        self._batch, self._minus, self._by_test = batch, minus, by_test
        self._highest = np.full(len(batch), -np.inf)
        self._seen: list[tuple[int, Array, Array]] = []
        self._chosen = np.zeros(len(batch), np.int64)

    def look(self, step: int, phi: Params, film: Params) -> None:
        """Judge phi after a step."""
        z = embeddings(self._batch, phi, film)
        valid, test = (
            judge(self._batch.graphs, z, part, minus=self._minus, in_float32=self._by_test)
            for part in PARTS
        )
        value = np.full(len(test), test.mean()) if self._by_test else valid
        better = value > self._highest
        self._highest = np.maximum(self._highest, value)
        self._chosen[better] = len(self._seen)
        self._seen.append((step, valid, test))
        self.best = _where(better, phi, self.best)
        self.last_gain = step if better.any() else self.last_gain
        if len(self._seen) == 2:
            self.early = phi

    def curve(self) -> Curve:
        """What was seen."""
        steps, valid, test = (np.array(column) for column in zip(*self._seen, strict=True))
        return Curve(steps, valid, test, self._chosen)


def mover(phi: Params, config: Config) -> Callable[[Params, Callable[[Params], Tensor]], Params]:
    """A step of gradient descent; or of Adam, which mixes no two graphs and clips nothing."""
    lr, mask = config.adapt_lr or config.inner_lr, config.moved(phi)
    if config.adapt_optimizer == "sgd":
        return lambda at, loss: descend_tasks(
            lambda p, _film, _k: loss(p), at, {}, 0, lr=lr, clip=config.clip, mask=mask
        )
    held = leaves({name: p.clone() for name, p in phi.items()})
    moved = [name for name in held if mask is None or name in mask]
    adam = torch.optim.Adam([held[name] for name in moved], lr=lr)

    def step(_at: Params, loss: Callable[[Params], Tensor]) -> Params:
        found = gradient(loss(held), held)
        for name in moved:
            held[name].grad = found[name]
        adam.step()
        return {name: p.clone() for name, p in detach(held).items()}

    return step


def judge(
    graphs: Sequence[FewShotGraph],
    z: Sequence[Array],
    part: str,
    *,
    minus: int = 0,
    in_float32: bool = False,
) -> Array:
    """(B,) area under the ROC curve of each graph on its validation or test edges.

    By logits; with ``in_float32`` by probabilities, as published.
    """
    out = np.empty(len(graphs))
    for b, graph in enumerate(graphs):
        pairs = getattr(graph.split, part), getattr(graph.split, f"{part}_negatives")
        scores = [score_pairs(z[b], p, minus) for p in pairs]
        out[b] = area_under_curve(*(map(probabilities, scores) if in_float32 else scores))
    return out


def test_metrics(
    graphs: Sequence[FewShotGraph], z: Sequence[Array], *, minus: int
) -> dict[str, float]:
    """Area under the ROC curve and average precision of the test edges, means over graphs."""
    return mean_metrics(graphs, lambda b, pairs: score_pairs(z[b], pairs, minus))


def mean_metrics(graphs: Sequence[FewShotGraph], score: Scorer) -> dict[str, float]:
    """The same for any scores."""
    found = []
    for b, graph in enumerate(graphs):
        parts = graph.split.test, graph.split.test_negatives
        label = np.repeat([1.0, 0.0], [len(part) for part in parts])
        found.append(link_metrics(score(b, np.concatenate(parts)), label))
    return {name: float(np.mean([m[name] for m in found])) for name in ("auc", "ap")}


def score_pairs(z: Array, pairs: Array, minus: int = 0) -> Array:
    """(m,) logits z_u . z_v, of which the last ``minus`` products are subtracted."""
    return np.einsum("md,md->m", z[pairs[:, 0]], reflected(z, minus)[pairs[:, 1]])


def embeddings(
    batch: FewShotBatch, phi: Mapping[str, Tensor], film: Mapping[str, Tensor]
) -> list[Array]:
    """(n, d) mean embedding of each graph's nodes, with messages over all known edges."""
    with torch.no_grad():
        latent = encode(phi, batch.whole, film)
    z = latent[:, : latent.shape[1] // 2].cpu()[batch.whole.row].numpy()
    return np.split(z, batch.node_ptr[1:-1])


def _where(better: Array, new: Params, old: Params) -> Params:
    """Rows of the graphs that got better from the one, the others' from the other."""
    which = torch.from_numpy(better)
    return {
        name: torch.where(which.view(-1, *[1] * (p.ndim - 1)).to(p.device), p, old[name])
        for name, p in new.items()
    }
