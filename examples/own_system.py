"""A system of your own in one file: heterogeneous deep graph infomax (HDGI, arXiv 1911.08538).

A HAN learns, without labels, to tell the nodes of its graph from those of the same graph with
features dealt out anew. With h the true embeddings, h' the others and r = sigmoid(mean h):

    L = -mean log sigmoid(h W r) - mean log(1 - sigmoid(h' W r))

Training, stopping, run folders, resuming and the command line come from ``System``:

    dglmeta train examples/own_system.py:HDGI --data toy-papers --out runs/own
    dglmeta embed runs/own --system examples/own_system.py:HDGI --out own.npz
"""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from torch.nn.functional import softplus

import dglmeta as dm
from dglmeta.systems import System
from dglmeta.tasks import probe_few_labels


class HDGI(System):
    name = "hdgi"
    monitor = "valid_objective"

    @dataclass(frozen=True)
    class Config:
        """Settings: each is a flag of ``dglmeta train`` as well.

        Parameters
        ----------
        d : int
            Width of embeddings.
        lr : float
            Adam step size.
        epochs, patience : int
            At most so many steps; stop so many after the best one.
        """

        d: int = 32
        lr: float = 5e-3
        epochs: int = 60
        patience: int = 20

    def init(self, ds, seed, split_seed):
        kind = ds.node_split.node_type
        x = torch.from_numpy(ds.csr.node_data[kind]["feat"])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder = dm.nn.HAN(ds.csr.schema, ds.metapaths, x.shape[1], self.config.d)
            bilinear = torch.nn.Linear(self.config.d, self.config.d, bias=False)
        learned = [*encoder.parameters(), *bilinear.parameters()]
        optimizer = torch.optim.Adam(learned, lr=self.config.lr)
        parts = {"encoder": encoder, "bilinear": bilinear, "optimizer": optimizer}
        return SimpleNamespace(ds=ds, kind=kind, x=x, parts=parts, **parts)

    def encode(self, state, x):
        """(n, d) embeddings of the labelled nodes; of other types the HAN reads nothing."""
        blank = {t: x.new_zeros(n, x.shape[1]) for t, n in state.ds.csr.n_nodes.items()}
        return state.encoder(state.ds.csr, {**blank, state.kind: x})[state.kind]

    def loss(self, state, rng):
        dealt = torch.from_numpy(rng.permutation(len(state.x)))
        true, false = self.encode(state, state.x), self.encode(state, state.x[dealt])
        summary = torch.sigmoid(true.mean(0))
        of_true, of_false = (state.bilinear(h) @ summary for h in (true, false))
        return softplus(-of_true).mean() + softplus(of_false).mean()

    def epoch(self, state, rng):
        state.optimizer.zero_grad()
        self.loss(state, rng).backward()
        state.optimizer.step()
        yield

    def evaluate(self, state, split):
        if split == "valid":  # labels choose nothing
            with torch.no_grad():
                return {"valid_objective": -float(self.loss(state, np.random.default_rng(0)))}
        z = self.embed(state)[state.kind]
        scores = probe_few_labels(z, state.ds.node_split, repeats=10, seed=0)
        return {f"test_{metric}": float(values.mean()) for metric, values in scores.items()}

    def embed(self, state):
        with torch.no_grad():
            return {state.kind: self.encode(state, state.x).numpy()}


if __name__ == "__main__":
    print(HDGI().fit(dm.load_dataset("toy-papers"), seed=0).metrics)
