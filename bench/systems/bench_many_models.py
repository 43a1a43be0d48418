"""Epochs of many two-layer models at once on Cora: what a search of losses pays for.

Run ``python -m dglmeta.bench.systems.bench_many_models`` with the data folder in DGLMETA_DATA. Step
imbalance 10 leaves 86 rows to train on; 500 validate. An epoch is a forward pass with a mask drawn
for it, a backward pass from a given gradient of the logits, and a step of Adam. *Proxy* reads 128
dense columns and has a hidden width of 64; *whole* reads all words and has 256. Times are those of
one model: the median of an epoch over the number of models. For comparison, models one by one by
the encoders of ``dglmeta.nn`` (not GAT, whose last layer there has as many heads as the first) and
torch's fused Adam, on the same rows alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

import dglmeta as dm
from dglmeta.data.imbalance import step_imbalance
from dglmeta.graph import Adjacency
from dglmeta.nn import GCN, SAGE
from dglmeta.nn.many_models import ManyModels
from dglmeta.nn.receptive_field import ReceptiveField
from dglmeta.train.many_adam import ManyAdam

N_CLASSES = 7


def median_ms(step: Callable[[], object], rounds: int) -> float:
    """Median time of a call, after two that are not timed."""
    seconds = []
    for _ in range(rounds + 2):
        begun = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begun)
    return 1e3 * float(np.median(seconds[2:]))


def epoch_of_many(kind: str, field: ReceptiveField, d: int, b: int) -> Callable[[], None]:
    """An epoch of b models."""
    models = ManyModels(kind, field.d_in, d, N_CLASSES, b, seeds=[0] * b)
    optimizer = ManyAdam(models.stacked(), 0.01, weight_decay=5e-4)
    generator = torch.Generator().manual_seed(0)
    slope = torch.randn(b, field.n_rows, N_CLASSES, generator=generator)

    def epoch() -> None:
        models(field, generator=generator).backward(slope)
        optimizer.step()
        optimizer.zero_grad()

    return epoch


def validation_of_many(kind: str, field: ReceptiveField, d: int, b: int) -> Callable[[], Tensor]:
    """Logits of b models, without a gradient."""
    models = ManyModels(kind, field.d_in, d, N_CLASSES, b, seeds=[0] * b)
    return torch.no_grad()(lambda: models(field))


def epoch_of_one(kind: str, adj: Adjacency, x: Tensor, rows: Tensor, d: int) -> Callable[[], None]:
    """An epoch of one encoder; without dropout, which encoders do not have."""
    model = {"GCN": GCN, "SAGE": SAGE}[kind](x.shape[1], N_CLASSES, d_hidden=d)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4, fused=True)
    layers = model.layers(model.messages(adj), rows)
    layers[0], senders = layers[0].among()
    x = x[senders]
    slope = torch.randn(len(rows), N_CLASSES)

    def epoch() -> None:
        model(layers, x).backward(slope)
        optimizer.step()
        optimizer.zero_grad()

    return epoch


def main() -> None:
    """Print a line for each kind, width and number of models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="cora")
    parser.add_argument("--models", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ds = dm.load_dataset(arguments.data)
    split = step_imbalance(ds, rho=10, seed=0)
    adj = ds.csr.adjacency(ds.csr.schema.edge_types[0])
    words = torch.from_numpy(np.asarray(ds.csr.node_data[split.node_type]["feat"]))
    words = words / words.sum(1, keepdim=True).clamp_min(1)
    projected = words @ torch.randn(words.shape[1], 128, generator=torch.Generator().manual_seed(0))
    rows, valid = (torch.from_numpy(part.node) for part in (split.train, split.valid))
    print(f"{len(rows)} rows to train on, {len(valid)} to validate; ms a model")
    for name, x, d in (("proxy", projected, 64), ("whole", words, 256)):
        for kind in ("GCN", "SAGE", "GAT"):
            fields = ReceptiveField(adj, x, rows), ReceptiveField(adj, x, valid)
            figures = [f"{f.n_hidden} hidden nodes" for f in fields]
            for b in arguments.models:
                epoch = median_ms(epoch_of_many(kind, fields[0], d, b), arguments.rounds) / b
                checked = validation_of_many(kind, fields[1], d, b)
                check = median_ms(checked, arguments.rounds) / b
                figures.append(f"{b}: epoch {epoch:.3f}, validation {check:.3f}")
            if kind != "GAT":
                one = median_ms(epoch_of_one(kind, adj, x, rows, d), arguments.rounds)
                figures.append(f"one encoder: epoch {one:.3f}")
            print(f"{name} {kind:<4} | " + " | ".join(figures), flush=True)


if __name__ == "__main__":
    main()
