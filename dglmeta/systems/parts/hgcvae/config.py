"""Settings of HGCVAE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dglmeta.errors import ConfigError
from dglmeta.nn.path_attention import ATTENTIONS
from dglmeta.systems.checks import (
    check_at_least_zero,
    check_choices,
    check_positive,
    check_shares,
    require,
)

__all__ = ["VARIANTS", "Config", "Variant"]


class Variant(NamedTuple):
    """What a way of learning embeddings switches on."""

    generates: bool = False
    """Whether edges and hidden features are reconstructed."""
    contrasts: bool = False
    """Whether two draws of a node are told from those of others."""
    labelled: bool = False
    """Whether it learns from classes, end to end."""


VARIANTS = {
    "hgcvae": Variant(generates=True, contrasts=True),
    "contrast": Variant(contrasts=True),
    "reconstruction": Variant(generates=True),
    "supervised": Variant(labelled=True),
    "features": Variant(),
}

ERRORS = ("focal", "log", "sce")
SHAPES = ("linear", "early", "late")


@dataclass(frozen=True)
class Config:
    """Settings of HGCVAE and of what it is compared with.

    Most are open in the paper; defaults are those of GraphMAE, HGMAE and HeCo, or measured.

    Parameters
    ----------
    variant : {"hgcvae", "contrast", "reconstruction", "supervised", "features"}
        All of it; its contrast or its reconstruction alone; a HAN trained end to end on classes;
        or the raw features.
    labels : int
        Training labels a class of "supervised", one of the data's ``label_splits``; 0 for its
        ``node_split``.
    metapaths : tuple of str
        From the labelled node type back to it; the data's recommended ones when empty.
    attention : {"pairs", "instances", "auto"}
        What is attended along a meta-path; see :func:`dglmeta.nn.path_attention.neighbourhood`.
    d, n_heads, n_layers, d_semantic : int
        Widths and sizes of the encoder.
    dropout : float
        Of what the encoder reads.
    normalise : bool
        Whether what the encoder's layers give gets mean 0 and variance 1 in every column.
    mask_from, mask_to, mask_step : float
        Share of nodes whose features are hidden: from the first, by so much more an epoch, to the
        last. All 0 hides nothing, and the features of all nodes are to be told.
    swapped, kept : float
        Shares of the hidden nodes that read another node's features, and their own.
    error : {"focal", "log", "sce"}
        Of told features, c their cosine with the real ones: with p = (1 + c) / 2,
        -(1 - p)^gamma log p; or (1 - c)^gamma log(2 - c); or (1 - c)^gamma.
    gamma : float
        Exponent of that.
    edges : int
        Edges of each meta-path drawn an epoch, and as many pairs that are none.
    kl_weight, kl_warm_up : float
        Weight of the divergence of all nodes beside the error of all pairs of nodes, where 1 is the
        bound of the likelihood; reached at this share of the epochs. Beside the mean error of a
        pair that is 1 / n times the mean divergence of a node. n times as much, which is how the
        paper's formula may be read, makes the posterior collapse.
    temperature : float
        Of the contrast.
    negatives : int
        Nodes drawn to be told from; 0 for all.
    late_negatives : {"linear", "early", "late"}
        Share of negatives that are drawn from their posterior, the others being corrupted by
        dropout: t / T at epoch t of T; always 0; or always 1.
    corruption : float
        That dropout.
    guard : int
        So many nearest nodes along the meta-paths are no negatives of a node.
    elbo_weight, contrast_weight, feature_weight : float
        Weights of the three losses.
    lr, weight_decay : float
        Adam step size and L2 penalty.
    probe_repeats, probe_lr : int, float
        Linear models fitted to the embeddings for each number of labels, and their step size.
    epochs, patience : int
        At most so many epochs, a step each; stop so many after the best one.
    """

    variant: str = "hgcvae"
    labels: int = 0
    metapaths: tuple[str, ...] = ()
    attention: str = "auto"
    d: int = 64
    n_heads: int = 4
    n_layers: int = 1
    d_semantic: int = 128
    dropout: float = 0.3
    normalise: bool = True
    mask_from: float = 0.5
    mask_to: float = 0.8
    mask_step: float = 0.005
    swapped: float = 0.2
    kept: float = 0.1
    error: str = "focal"
    gamma: float = 2.0
    edges: int = 20_000
    kl_weight: float = 1.0
    kl_warm_up: float = 0.2
    temperature: float = 0.7
    negatives: int = 0
    late_negatives: str = "linear"
    corruption: float = 0.5
    guard: int = 5
    elbo_weight: float = 1.0
    contrast_weight: float = 0.5
    feature_weight: float = 1.0
    lr: float = 1e-3
    weight_decay: float = 0.0
    probe_repeats: int = 50
    probe_lr: float = 0.01
    epochs: int = 300
    patience: int = 30

    def __post_init__(self) -> None:
        where = "HGCVAE.Config"
        choices = {
            "variant": VARIANTS,
            "attention": ATTENTIONS,
            "error": ERRORS,
            "late_negatives": SHAPES,
        }
        check_choices(where, self, choices)
        positive = (
            "d", "n_heads", "n_layers", "d_semantic", "gamma", "edges", "temperature", "lr",
            "probe_repeats", "probe_lr", "epochs", "patience",
        )  # fmt: skip
        check_positive(where, self, positive)
        at_least_zero = (
            "labels", "negatives", "guard", "kl_weight", "weight_decay", "mask_step",
            "elbo_weight", "contrast_weight", "feature_weight", "swapped", "kept",
        )  # fmt: skip
        check_at_least_zero(where, self, at_least_zero)
        check_shares(where, self, ("dropout", "corruption", "mask_from", "mask_to"))
        require(where, self, "kl_warm_up", 0 <= self.kl_warm_up <= 1, "in [0, 1]")
        rises = self.mask_to >= self.mask_from
        require(where, self, "mask_to", rises, f"of at least {self.mask_from}")
        together = self.swapped + self.kept <= 1
        require(where, self, "kept", together, f"of at most 1 - swapped = {1 - self.swapped:g}")
        if self.d % self.n_heads:
            raise ConfigError(
                f"{where}: expected n_heads to divide d={self.d}, got {self.n_heads}."
            )

    def hidden_share(self, epoch: int) -> float:
        """Share of nodes that are hidden in an epoch."""
        return min(self.mask_to, self.mask_from + self.mask_step * epoch)

    def late_share(self, epoch: int) -> float:
        """Share of negatives that are drawn from their posterior."""
        shares = {"linear": epoch / self.epochs, "early": 0.0, "late": 1.0}
        return shares[self.late_negatives]

    def divergence_weight(self, epoch: int) -> float:
        """Weight of the divergence from the prior."""
        reached = self.kl_warm_up * self.epochs
        return self.kl_weight * min(1.0, epoch / reached if reached > 0 else 1.0)
