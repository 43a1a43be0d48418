"""Two-layer graph networks of one form, many of them trained at once on one graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dglmeta.errors import ConfigError
from dglmeta.nn.encoder import check_widths
from dglmeta.nn.many_layers import FORWARD
from dglmeta.nn.receptive_field import ReceptiveField, check_kind

__all__ = ["ManyModels", "Stacked", "dropout_mask"]

Shapes = dict[str, tuple[int, ...]]


class Stacked(NamedTuple):
    """A parameter of many models, and whether weight decay is for it."""

    parameter: nn.Parameter
    """(B, ...)."""
    decays: bool


class ManyModels(nn.Module):
    r"""B two-layer node classifiers side by side: layer, ReLU, dropout, layer.

    GCN is Â X W + b; SAGE W_self x_i + W_neigh mean_j x_j + b; GAT attention over neighbours and a
    node itself, ``heads`` heads of width ``hidden / heads`` concatenated, then one head.
    Each model is the same as if it were alone; together they read the graph and the features once,
    in a few large products.

    Parameters
    ----------
    kind : str
        GCN, GAT or SAGE.
    d_in, hidden, n_classes : int
        Widths.
    n_models : int
        B, >= 1.
    seeds : sequence of B int, optional
        What each model's parameters are drawn from; 0 to B - 1 when absent. Equal seeds are equal
        models, whatever stands beside them.
    heads : int
        Of the first layer of a GAT; it divides ``hidden``.

    Attributes
    ----------
    first, last : nn.ParameterDict
        Parameters of both layers, each with a leading axis of models. W, p and q by Glorot's rule
        for one model, b zero.

    Raises
    ------
    ConfigError
        If the kind is unknown, a number is below 1, heads do not divide the width, or there are not
        as many seeds as models.

    References
    ----------
    Two layers of 256, dropout 0.5 and four heads of 64: AutoLINC (ICML 2024), section 5.

    Examples
    --------
    >>> from dglmeta.graph import Adjacency
    >>> path = Adjacency.from_coo([0, 1, 1, 2], [1, 0, 2, 1], (3, 3))
    >>> field = ReceptiveField(path, torch.eye(3), torch.tensor([0, 2]))
    >>> models = ManyModels("GCN", 3, 8, 2, n_models=5)
    >>> logits = models(field)
    >>> logits.shape
    torch.Size([5, 2, 2])
    >>> logits.backward(torch.ones_like(logits))
    >>> models.select(torch.tensor([0, 3])).n_models
    2
    """

    def __init__(
        self,
        kind: str,
        d_in: int,
        hidden: int,
        n_classes: int,
        n_models: int = 1,
        *,
        seeds: Sequence[int] | None = None,
        heads: int = 4,
    ) -> None:
        super().__init__()
        check_kind("ManyModels", kind)
        widths = {"d_in": d_in, "hidden": hidden, "n_classes": n_classes, "n_models": n_models}
        check_widths("ManyModels", **widths, heads=heads)
        seeds = range(n_models) if seeds is None else seeds
        _check_settings(kind, hidden, heads, n_models, seeds)
        self.kind, self.hidden = kind, hidden
        shapes = (
            _shapes(kind, d_in, hidden, heads=heads),
            _shapes(kind, hidden, n_classes, heads=1),
        )
        drawn = {seed: _drawn(shapes, seed) for seed in set(seeds)}
        self.first, self.last = (
            _parameters({k: torch.stack([drawn[s][layer][k] for s in seeds]) for k in shape})
            for layer, shape in enumerate(shapes)
        )

    @property
    def n_models(self) -> int:
        """B."""
        return len(self.first["bias"])

    def forward(
        self,
        field: ReceptiveField,
        *,
        dropout: float = 0.5,
        generator: torch.Generator | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Logits of all models at the field's rows.

        Parameters
        ----------
        field : ReceptiveField
        dropout : float
            Probability in [0, 1) that a hidden number is taken out.
        generator : torch.Generator, optional
            What one mask for all models is drawn from, on the host. Without it, and without a
            mask, nothing is taken out, whatever ``dropout`` says.
        mask : (n_hidden, hidden) or (B, n_hidden, hidden), optional
            Factors of the hidden numbers, drawn elsewhere: see :func:`dropout_mask`.

        Returns
        -------
        logits : (B, n_rows, n_classes)

        Notes
        -----
        Differentiable once. Cost O(B (n_entries hidden + n_hidden hidden n_classes)), n_entries
        those of the field's constant matrix.
        """
        if mask is None and generator is not None:
            shape = field.n_hidden, self.hidden
            mask = dropout_mask(*shape, dropout, generator, dtype=field.dtype)
        mask = None if mask is None else mask.to(self.first["bias"].device)
        return FORWARD[self.kind](self.first, self.last, field.parts(self.kind), mask)

    def select(self, keep: Tensor) -> ManyModels:
        """Some of the models, as a batch of their own with copied parameters and no gradients.

        Parameters
        ----------
        keep : (n,) int64 numbers of models, or (B,) bool
        """
        twin = ManyModels.__new__(ManyModels)
        nn.Module.__init__(twin)
        twin.kind, twin.hidden, twin.training = self.kind, self.hidden, self.training
        twin.first, twin.last = (
            _parameters({k: p.detach()[keep] for k, p in layer.items()})
            for layer in (self.first, self.last)
        )
        return twin

    def stacked(self) -> Iterator[Stacked]:
        """Every parameter; weight decay is for the first layer's (all but the last, TAM's code)."""
        yield from (Stacked(p, True) for p in self.first.values())
        yield from (Stacked(p, False) for p in self.last.values())


def dropout_mask(
    n: int,
    d: int,
    dropout: float,
    generator: torch.Generator,
    *,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Factors of dropout: 0 with probability ``dropout``, else 1 / (1 - dropout).

    Parameters
    ----------
    n, d : int
        Rows and columns.
    dropout : float
        In [0, 1).

    Raises
    ------
    ConfigError
        If ``dropout`` is outside its range.

    Notes
    -----
    A multiple of 1/256, as 0.5, takes one random byte a number, anything else four.

    Examples
    --------
    >>> dropout_mask(2, 2, 0.0, torch.Generator())
    tensor([[1., 1.],
            [1., 1.]])
    """
    if not 0 <= dropout < 1:
        raise ConfigError(
            f"dropout_mask: expected a probability in [0, 1), got {dropout}. Take 0 for none."
        )
    if (256 * dropout).is_integer():
        words = torch.empty(-(-n * d // 8), dtype=torch.int64)
        words.random_(-(2**63), None, generator=generator)
        kept = words.view(torch.uint8)[: n * d].view(n, d) >= 256 * dropout
    else:
        kept = torch.rand(n, d, generator=generator) >= dropout
    return kept.to(dtype).mul_(1 / (1 - dropout))


def _shapes(kind: str, d_in: int, d_out: int, *, heads: int) -> Shapes:
    """Of the parameters of one model's layer; ``d_out`` is that of all heads together."""
    matrix, bias = (d_in, d_out), (d_out,)
    if kind == "GCN":
        return {"weight": matrix, "bias": bias}
    if kind == "SAGE":
        return {"weight_self": matrix, "weight_neigh": matrix, "bias": bias}
    vectors = (heads, d_out // heads)
    return {"weight": matrix, "attending": vectors, "attended": vectors, "bias": bias}


def _drawn(layers: Sequence[Shapes], seed: int) -> list[dict[str, Tensor]]:
    """Parameters of one model."""
    generator = torch.Generator().manual_seed(seed)

    def draw(shape: tuple[int, ...]) -> Tensor:
        if len(shape) == 1:
            return torch.zeros(shape)
        return nn.init.xavier_uniform_(torch.empty(shape), generator=generator)

    return [{name: draw(shape) for name, shape in layer.items()} for layer in layers]


def _parameters(tensors: dict[str, Tensor]) -> nn.ParameterDict:
    return nn.ParameterDict({name: nn.Parameter(t) for name, t in tensors.items()})


def _check_settings(
    kind: str, hidden: int, heads: int, n_models: int, seeds: Sequence[int]
) -> None:
    if kind == "GAT" and hidden % heads:
        raise ConfigError(
            f"ManyModels: expected heads that divide hidden, got {heads} and {hidden}. Each head "
            f"has hidden / heads numbers."
        )
    if len(seeds) != n_models:
        raise ConfigError(
            f"ManyModels: expected a seed for each of {n_models} models, got {len(seeds)}. Give as "
            f"many of one as of the other."
        )
