r"""One graph encoder and a head for each of three tasks, as functions of their parameters.

Graphs that serve T tasks lie one after another, those of a task together. Parameters may be one
set for all of them, or carry a leading axis: of tasks, and of S models that are trained side by
side, each on graphs of its own. Then rows of each are multiplied by matrices of its own.

    layer      h <- ReLU((Â h) W + b) [+ h], its rows normalised
    graphs     e = ReLU(h W + b), mean over the nodes of a graph, then linear
    nodes      linear
    links      e = ReLU(h W + b);  [|e_u - e_v|, e_u * e_v], then linear

with e = h for heads that are not ``hidden``: then they read what a linear model would.

Source: SAME, arXiv 2201.03326, section 4. Its link head reads [e_u, e_v], which is a sum of what
either end says alone and cannot tell whether the two belong together; ``additive`` brings it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dglmeta import ops
from dglmeta.errors import DataError
from dglmeta.graph import Adjacency
from dglmeta.nn.heads import uniform_parameter
from dglmeta.ops.backend import bridge_of, out_degrees

__all__ = [
    "NORMS",
    "TASKS",
    "EncoderForm",
    "MultiTaskModel",
    "Question",
    "TaskGraphs",
    "answer",
    "encode_tasks",
    "task_product",
]

TASKS = ("gc", "nc", "lp")
"""Classes of graphs, classes of nodes, links."""

NORMS = ("none", "l2", "layer")
"""Of a layer: nothing; rows of length 1 after it; rows of mean 0 and variance 1 before its ReLU."""

FEW_PARTS = 3
"""Parts that are multiplied one after another."""

SMALL = 1e-12
"""Added to squared lengths, so that a row of zeros stays one and has derivatives."""

SMALL_VARIANCE = 1e-5


class TaskGraphs(NamedTuple):
    """Graphs of T tasks one after another, tasks in order, as :func:`encode_tasks` reads them.

    Within a task those of S models, models in order.
    """

    heard: Tensor
    """(N, d_in): Â X."""
    messages: Adjacency
    """(N, N): row v has the nodes that v hears, itself among them."""
    weight: Tensor
    """(n_edges,) of Â, in the order of edge ids."""
    task_ptr: tuple[int, ...]
    """T S + 1 numbers: task t and model s have the rows from ``task_ptr[t S + s]`` on."""
    n_models: int = 1
    """S."""

    def to(self, device: str) -> TaskGraphs:
        """The same on "cpu" or "cuda"."""
        kind = bridge_of(device).device_type
        heard, weight = self.heard.to(kind), self.weight.to(kind)
        return self._replace(heard=heard, messages=self.messages.to(device), weight=weight)


class Question(NamedTuple):
    """What is asked of the embeddings of some :class:`TaskGraphs`, and the answers."""

    rows: Tensor
    """(n,) int64 rows of nodes; (2, n) int64 rows of the ends of links; for graphs (n,) int64,
    their numbers in the data set."""
    label: Tensor
    """(n,) int64 classes; for links 1.0 or 0.0."""
    pool: Adjacency | None = None
    """For graphs (n, N): row i has the nodes of the i-th that is asked about."""
    model_ptr: tuple[int, ...] = ()
    """S + 1 numbers where there are several models: each is asked a part of these, in order."""

    def to(self, device: str) -> Question:
        """The same on "cpu" or "cuda"."""
        kind = bridge_of(device).device_type
        pool = None if self.pool is None else self.pool.to(device)
        return self._replace(rows=self.rows.to(kind), label=self.label.to(kind), pool=pool)


@dataclass(frozen=True)
class EncoderForm:
    """What an encoder does beside its parameters."""

    norm: str = "l2"
    """One of :data:`NORMS`."""
    residual: bool = True
    """Whether layers after the first add what they read."""


class MultiTaskModel(nn.Module):
    """The parameters of an encoder and of the heads of some tasks.

    Parameters
    ----------
    d_in, d : int
        Widths of the features and of every layer.
    n_classes : dict of task to int
        For each task of :data:`TASKS` that has a head; of links the number is not read.
    n_layers : int
    additive : bool
        A link head that reads the two ends beside each other.
    hidden : bool
        Whether the heads of graphs and links have a layer of their own before the last.

    References
    ----------
    SAME, arXiv 2201.03326. Weights and biases of torch's linear layers.
    """

    def __init__(
        self,
        d_in: int,
        d: int,
        n_classes: Mapping[str, int],
        *,
        n_layers: int = 3,
        additive: bool = False,
        hidden: bool = True,
    ) -> None:
        super().__init__()
        widths = [d_in] + [d] * n_layers
        self.encoder = nn.ParameterDict()
        for k in range(n_layers):
            _linear(self.encoder, str(k), widths[k], d)
        self.heads = nn.ModuleDict({task: nn.ParameterDict() for task in n_classes})
        for task, n in n_classes.items():
            if hidden and task != "nc":
                _linear(self.heads[task], "in", d, d)
            _linear(self.heads[task], "out", 2 * d if task == "lp" else d, 1 if task == "lp" else n)
        self.additive = additive


def encode_tasks(params: Mapping[str, Tensor], graphs: TaskGraphs, form: EncoderForm) -> Tensor:
    """(N, d) embeddings of all nodes.

    Parameters
    ----------
    params : dict of name to tensor
        Those of a :class:`MultiTaskModel`, or the encoder's alone; with or without a leading axis
        of T S, or of S models, each of which then reads the graphs of all tasks alike.
    graphs : TaskGraphs
    form : EncoderForm
    """
    h = graphs.heard
    n_layers = sum(name.startswith("encoder.weight_") for name in params)
    for k in range(n_layers):
        heard = ops.spmm(graphs.messages, h, graphs.weight) if k else h
        weight, bias = params[f"encoder.weight_{k}"], params[f"encoder.bias_{k}"]
        if weight.ndim == 3 and len(weight) < (n_parts := len(graphs.task_ptr) - 1):
            n_times = n_parts // len(weight)
            weight, bias = weight.repeat(n_times, 1, 1), bias.repeat(n_times, 1)
        out = task_product(heard, weight, bias, graphs.task_ptr)
        if form.norm == "layer":
            out = nn.functional.layer_norm(out, out.shape[1:], eps=SMALL_VARIANCE)
        out = out.relu()
        h = out + h if k and form.residual else out
        if form.norm == "l2":
            h = h * (torch.linalg.vecdot(h, h)[:, None] + SMALL).rsqrt()
    return h


def answer(
    task: str,
    params: Mapping[str, Tensor],
    z: Tensor,
    graphs: TaskGraphs,
    position: int,
    question: Question,
    *,
    additive: bool = False,
    pooling: str = "mean",
) -> Tensor:
    """Logits of one task's question: (n, classes), or (n,) of links.

    Parameters
    ----------
    task : str
        One of :data:`TASKS`.
    params : dict of name to tensor
        As for :func:`encode_tasks`; heads with or without a leading axis of S models.
    z : (N, d)
        Embeddings.
    graphs : TaskGraphs
    position : int
        Which of the tasks of ``graphs`` it is.
    question : Question
        Of that task.
    additive : bool
        As in :class:`MultiTaskModel`.
    pooling : {"mean", "sum"}
        Of a graph's nodes.

    Raises
    ------
    DataError
        If a question about graphs does not say which nodes are theirs.
    """
    ptr = graphs.task_ptr[position * graphs.n_models : (position + 1) * graphs.n_models + 1]
    first, last = ptr[0], ptr[-1]
    here = z[first:last]

    def linear(x: Tensor, layer: str, ptr: tuple[int, ...]) -> Tensor:
        weight, bias = (params[f"heads.{task}.{what}_{layer}"] for what in ("weight", "bias"))
        return task_product(x, weight, bias, ptr)

    if task == "nc":
        return linear(here.index_select(0, question.rows - first), "out", question.model_ptr)
    hidden = here
    if f"heads.{task}.weight_in" in params:
        hidden = linear(here, "in", tuple(p - first for p in ptr)).relu()
    if task == "lp":
        u, v = hidden.index_select(0, (question.rows - first).flatten()).view(2, -1, z.shape[1])
        ends = [u, v] if additive else [(u - v).abs(), u * v]
        return linear(torch.cat(ends, dim=1), "out", question.model_ptr).squeeze(1)
    return linear(_pool(question, hidden, first, pooling), "out", question.model_ptr)


def task_product(x: Tensor, weight: Tensor, bias: Tensor, task_ptr: Sequence[int]) -> Tensor:
    """(N, b): rows of each part times its matrix, plus its bias.

    Parameters
    ----------
    x : (N, a)
    weight : (a, b) or (P, a, b)
    bias : (b,) or (P, b)
    task_ptr : sequence of P + 1 int
        Where each part begins; not read where there is one matrix.

    Notes
    -----
    Few parts are multiplied one after another; of many, rows are filled up to the longest part, and
    one batched product takes all.
    """
    if weight.ndim == 2:
        return torch.addmm(bias, x, weight)
    if len(weight) == 1:
        return torch.addmm(bias[0], x, weight[0])
    if len(weight) <= FEW_PARTS:
        parts = x.split([b - a for a, b in zip(task_ptr, task_ptr[1:], strict=False)])
        products = zip(bias, parts, weight, strict=True)
        return torch.cat([torch.addmm(b, p, w) for b, p, w in products])
    row, place = _filled(tuple(task_ptr), x.device)
    filled = torch.cat([x, x.new_zeros(1, x.shape[1])]).index_select(0, row)
    out = torch.baddbmm(bias[:, None], filled.view(len(weight), -1, x.shape[1]), weight)
    return out.flatten(0, 1).index_select(0, place)


@lru_cache(maxsize=64)
def _filled(ptr: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """For parts filled up to the longest: the row at each place, and the place of each row.

    At places that are filled up, the row after the last.
    """
    begin, size = np.array(ptr[:-1]), np.diff(ptr)
    longest = int(size.max(initial=0))
    nth = np.arange(longest)
    row = np.where(nth < size[:, None], begin[:, None] + nth, ptr[-1]).ravel()
    place = np.arange(ptr[-1]) + np.repeat(np.arange(len(size)) * longest - begin, size)
    return torch.from_numpy(row).to(device), torch.from_numpy(place).to(device)


def _pool(question: Question, hidden: Tensor, first: int, pooling: str) -> Tensor:
    """(n, d) of the graphs asked about; hidden has the rows from ``first`` on."""
    pool = question.pool
    if pool is None:
        raise DataError(
            "answer: expected a question about graphs with a pool of their nodes, got None. "
            "Give an Adjacency (n, N)."
        )
    here = Adjacency(pool.indptr, pool.indices - first, pool.edge_ids, len(hidden))
    total = ops.spmm(here, hidden)
    if pooling == "sum":
        return total
    size = out_degrees(pool).to(hidden.dtype).clamp(min=1)
    return total / size[:, None]


def _linear(params: nn.ParameterDict, name: str, a: int, b: int) -> None:
    """Matrix (a, b) and bias (b,) of torch's linear layer."""
    params[f"weight_{name}"] = uniform_parameter(a, b, fan_in=a)
    params[f"bias_{name}"] = uniform_parameter(b, fan_in=a)
