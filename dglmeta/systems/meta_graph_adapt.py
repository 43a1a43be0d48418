"""Descent on the known edges of new graphs, and how well it predicts the others on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dglmeta.meta import Params, descend_tasks, detach, gradient, leaves, one_per_task
from dglmeta.nn import encode
from dglmeta.tasks import (
    FewShotBatch,
    FewShotGraph,
    area_under_curve,
    evidence_loss,
    link_metrics,
)

__all__ = ["EVERY", "Curve", "Path", "adapt", "describe_adaptation", "embeddings", "test_metrics"]

Array = npt.NDArray[Any]

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
    *,
    steps: int,
    patience: int,
    lr: float,
    clip: float | None,
    mask: Sequence[str] | None = None,
    optimizer: str = "sgd",
) -> Path:
    """Descend from ``start`` on each graph, and keep where its validation edges fit best.

    Parameters
    ----------
    batch : FewShotBatch
    start : dict of name to tensor
        Parameters of the encoder, the same for every graph.
    film : dict of name to tensor
        Signatures of the graphs; may be empty.
    steps : int
        At most so many.
    patience : int
        Stop when for so many steps no graph got better.
    lr, clip, mask
        As :func:`dglmeta.meta.descend_tasks` takes them.
    optimizer : {"sgd", "adam"}

    Notes
    -----
    Draws depend on the number of the step alone, so a run can be repeated.
    """
    phi = one_per_task(start, len(batch))
    mover = _Adam(phi, lr) if optimizer == "adam" else None
    done: list[int] = []
    valid: list[Array] = []
    test: list[Array] = []
    best, early, highest, last_gain = dict(phi), dict(phi), np.full(len(batch), -np.inf), 0
    for k in range(steps + 1):
        if k % EVERY == 0 or k == steps:
            score = _scorer(batch, phi, film)
            done.append(k)
            valid.append(judge(batch.graphs, score, "valid"))
            test.append(judge(batch.graphs, score, "test"))
            better = valid[-1] > highest
            highest = np.maximum(highest, valid[-1])
            best = _where(better, phi, best)
            if len(done) == 2:
                early = phi
            last_gain = k if better.any() else last_gain
            if k == steps or k - last_gain >= patience:
                break
        pairs = batch.draw_training(k, np.random.default_rng([DRAWS, k]))
        graphs = batch.fold(k)

        def inner(at: Params, under: Params, _k: int) -> Tensor:
            return evidence_loss(encode(at, graphs, under), graphs, pairs)  # noqa: B023

        if mover is None:
            phi = descend_tasks(inner, phi, film, k, lr=lr, clip=clip, mask=mask)
        else:
            phi = mover.step(phi, inner, film)
    curve = Curve(np.array(done), np.stack(valid), np.stack(test), np.stack(valid).argmax(axis=0))
    return Path(curve, best, early, dict(film))


def judge(graphs: Sequence[FewShotGraph], score: Scorer, part: str) -> Array:
    """(B,) area under the ROC curve of each graph on its validation or test edges."""
    out = np.empty(len(graphs))
    for b, graph in enumerate(graphs):
        positives, negatives = (getattr(graph.split, p) for p in (part, f"{part}_negatives"))
        out[b] = area_under_curve(score(b, positives), score(b, negatives))
    return out


def test_metrics(graphs: Sequence[FewShotGraph], z: Sequence[Array]) -> dict[str, float]:
    """Area under the ROC curve and average precision of the test edges, means over graphs."""
    return mean_metrics(graphs, lambda b, pairs: score_pairs(z[b], pairs))


def mean_metrics(graphs: Sequence[FewShotGraph], score: Scorer) -> dict[str, float]:
    """The same for any scores."""
    found = []
    for b, graph in enumerate(graphs):
        parts = graph.split.test, graph.split.test_negatives
        label = np.repeat([1.0, 0.0], [len(part) for part in parts])
        found.append(link_metrics(score(b, np.concatenate(parts)), label))
    return {name: float(np.mean([m[name] for m in found])) for name in ("auc", "ap")}


def score_pairs(z: Array, pairs: Array) -> Array:
    """(m,) logits z_u . z_v."""
    return np.einsum("md,md->m", z[pairs[:, 0]], z[pairs[:, 1]])


def embeddings(
    batch: FewShotBatch, phi: Mapping[str, Tensor], film: Mapping[str, Tensor]
) -> list[Array]:
    """(n, d) mean embedding of each graph's nodes, with messages over all known edges."""
    with torch.no_grad():
        latent = encode(phi, batch.whole, film)
    z = latent[:, : latent.shape[1] // 2][batch.whole.row].numpy()
    return np.split(z, batch.node_ptr[1:-1])


def describe_adaptation(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Steps, and the areas under the ROC curve after them; signatures by graph and name."""
    return {
        "graphs": list(names),
        "steps": path.curve.steps.tolist(),
        "valid_auc": path.curve.valid.tolist(),
        "test_auc": path.curve.test.tolist(),
        "chosen_step": path.curve.steps[path.curve.chosen].tolist(),
    }


def _scorer(batch: FewShotBatch, phi: Mapping[str, Tensor], film: Mapping[str, Tensor]) -> Scorer:
    z = embeddings(batch, phi, film)
    return lambda b, pairs: score_pairs(z[b], pairs)


def _where(better: Array, new: Params, old: Params) -> Params:
    """Rows of the graphs that got better from the one, the others' from the other."""
    which = torch.from_numpy(better)
    return {n: torch.where(which.view(-1, *[1] * (new[n].ndim - 1)), new[n], old[n]) for n in new}


class _Adam:
    """Adam over parameters of many graphs, which it does not mix."""

    def __init__(self, phi: Params, lr: float) -> None:
        self._at = leaves({n: p.clone() for n, p in phi.items()})
        self._adam = torch.optim.Adam(self._at.values(), lr=lr)

    def step(self, phi: Params, inner: Callable[..., Tensor], film: Mapping[str, Tensor]) -> Params:
        """Phi after one step."""
        del phi
        found = gradient(inner(self._at, dict(film), 0), self._at)
        for name, p in self._at.items():
            p.grad = found[name]
        self._adam.step()
        return {n: p.clone() for n, p in detach(self._at).items()}
