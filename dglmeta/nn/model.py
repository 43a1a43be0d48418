"""One encoder and a head a task: from the nodes of a graph to the outputs of samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from dglmeta import ops
from dglmeta.graph import Adjacency
from dglmeta.nn.encoder import Encoder, Messages
from dglmeta.nn.heads import ClassHead, PairHeads

if TYPE_CHECKING:
    from dglmeta.nn.hint import HintNets, HintPlan

__all__ = ["ClassKind", "FeatureMatrix", "JointModel", "Located", "Samples"]


class Samples(NamedTuple):
    """Samples of several tasks, a row a task: tasks about pairs, then tasks with classes."""

    src: Tensor
    """(P, B) int64 nodes."""
    dst: Tensor
    """(P, B) int64 nodes."""
    label: Tensor
    """(P, B) float, 0 or 1."""
    class_src: Tensor
    """(Q, B) int64 nodes."""
    class_dst: Tensor
    """(Q, B) int64 nodes; again ``class_src`` where samples are single nodes."""
    class_label: Tensor
    """(Q, B) int64 classes."""

    def ends(self) -> Tensor:
        """All nodes of all samples, flat."""
        return torch.cat([t.flatten() for t in (*self[:2], *self[3:5])])

    def with_ends(self, ends: Tensor) -> Samples:
        """The same samples at other nodes, given in the order of ``ends``."""
        shapes = [t.shape for t in (*self[:2], *self[3:5])]
        src, dst, class_src, class_dst = (
            part.view(shape)
            for part, shape in zip(
                torch.split(ends, [s.numel() for s in shapes]), shapes, strict=True
            )
        )
        return Samples(src, dst, self.label, class_src, class_dst, self.class_label)


class FeatureMatrix(NamedTuple):
    """Features of nodes, stored sparsely: row i of ``adjacency`` holds the features of node i."""

    adjacency: Adjacency
    """(N, F)."""
    values: Tensor | None
    """(n_entries,) by edge id; ones when None."""

    def rows(self, nodes: Tensor) -> FeatureMatrix:
        """Those of some nodes."""
        part, ids = self.adjacency.rows(nodes.numpy())
        values = None if self.values is None else self.values[torch.from_numpy(ids)]
        return FeatureMatrix(part, values)


class ClassKind(NamedTuple):
    """What a task with classes is about."""

    n_classes: int
    of_pairs: bool


class Located(NamedTuple):
    """Samples, and what the embeddings of their nodes are computed from."""

    layers: list[Messages]
    """The last receives at the nodes that are wanted."""
    samples: Samples
    """By the places of their nodes among the receivers."""
    features: FeatureMatrix | None = None
    """Of the first hop's senders; those of all nodes when None."""
    keep: Tensor | None = None
    """Dropout, 0 or 1 / (1 - p), of features (n_entries,) or embeddings (N, d)."""
    plan: HintPlan | None = None
    """What the hint networks sum over."""


class JointModel(nn.Module):
    """w: an embedding or a projection of features a node, an encoder, and a head a task.

    Parameters
    ----------
    encoder : Encoder
        From width d to width d.
    inputs : int or FeatureMatrix
        Number of nodes, each with an embedding to be learned; or their features, projected to d.
    d : int
    n_pair_tasks : int
    class_tasks : sequence of ClassKind
    hints : HintNets, optional
        A hint network for every auxiliary pair task.
    teach_through_hints : bool
        Whether embeddings learn from what hint networks make of them, too; to the networks they
        are constants otherwise.
    primary_losses : callable, optional
        Logits (n, classes) and classes (n,) -> losses (n,) of the first task with classes;
        cross-entropy when None, as for the others. To be differentiated twice. A module's
        parameters would be learned with the rest.
    """

    def __init__(
        self,
        encoder: Encoder,
        inputs: int | FeatureMatrix,
        d: int,
        n_pair_tasks: int,
        class_tasks: Sequence[ClassKind] = (),
        hints: HintNets | None = None,
        *,
        teach_through_hints: bool = False,
        primary_losses: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.primary_losses = primary_losses
        self.teach_through_hints = teach_through_hints
        self.features = None if isinstance(inputs, int) else inputs
        n = inputs if isinstance(inputs, int) else inputs.adjacency.n_dst
        self.embedding = nn.Parameter(nn.init.xavier_normal_(torch.empty(n, d)))
        self.encoder = encoder
        self.heads = PairHeads(n_pair_tasks, d)
        self.class_heads = nn.ModuleList(
            ClassHead(d, kind.n_classes, of_pairs=kind.of_pairs) for kind in class_tasks
        )
        self.hints = hints

    def locate(self, messages: Messages, samples: Samples, wanted: Tensor | None = None) -> Located:
        """Samples with just the messages that their embeddings depend on; on a GPU all.

        Parameters
        ----------
        messages : Messages
            Of the encoder, over all nodes of the graph at hand.
        samples : Samples
        wanted : (n,) int64, optional
            Distinct nodes to be embedded, the samples' among them; theirs alone when absent.
        """
        ends = samples.ends()
        if ends.is_cuda:
            return Located([messages] * self.encoder.n_hops, samples)
        if wanted is None:
            wanted, places = torch.unique(ends, return_inverse=True)
        else:
            place = ends.new_empty(int(wanted.max()) + 1)
            place[wanted] = torch.arange(len(wanted))
            places = place[ends]
        return Located(self.encoder.layers(messages, wanted), samples.with_ends(places))

    def everywhere(self, messages: Messages) -> Tensor:
        """(N, d) embeddings of all nodes."""
        none = torch.zeros(0, 0, dtype=torch.int64)
        return self.embed(Located([messages] * self.encoder.n_hops, Samples(*[none] * 6)))

    def embed(self, located: Located) -> Tensor:
        """(n, d) embeddings of the wanted nodes."""
        features = self.features if located.features is None else located.features
        x: Tensor = self.embedding
        if features is None:
            x = x if located.keep is None else x * located.keep
        else:  # a projection
            values = features.values
            if located.keep is not None:
                values = located.keep if values is None else values * located.keep
            x = ops.spmm(features.adjacency, x, values)
        z: Tensor = self.encoder(located.layers, x)
        return z

    def forward(self, located: Located) -> Tensor:
        """What losses are made of: (1, n), or (2, n) with a plan of hints.

        For a sample of a pair task the logit, for one with a class its loss, tasks in the order of
        the samples' rows. Row 1 holds the hint networks' logits; zeros where there is no hint.
        """
        z, at = self.embed(located), located.samples
        outputs = [self.heads(z, at.src, at.dst).flatten()] if len(at.src) else []
        for k, (src, dst) in enumerate(zip(at.class_src, at.class_dst, strict=True)):
            outputs.append(self._losses(k, self.class_heads[k](z, src, dst), at.class_label[k]))
        learner = torch.cat(outputs)
        if located.plan is None or self.hints is None:
            return learner[None]
        seen = z if self.teach_through_hints else z.detach()
        hint = self.hints(seen, located.plan)  # (T, 2 B, d), the auxiliary pair tasks
        left, right = hint.split(at.src.shape[1], dim=1)
        logits = (left * right).sum(-1).flatten()
        first = (len(at.src) - len(hint)) * at.src.shape[1]  # the primary task gets no hint
        around = (first, len(learner) - first - len(logits))
        return torch.stack([learner, nn.functional.pad(logits, around)])

    def _losses(self, k: int, logits: Tensor, label: Tensor) -> Tensor:
        """(n,) of the samples of one task with classes."""
        if k == 0 and self.primary_losses is not None:
            return self.primary_losses(logits, label)
        return nn.functional.cross_entropy(logits, label, reduction="none")

    def class_logits(self, located: Located, k: int = 0) -> Tensor:
        """(n, classes) logits of the samples of one task with classes."""
        at = located.samples
        logits: Tensor = self.class_heads[k](self.embed(located), at.class_src[k], at.class_dst[k])
        return logits
