r"""HGCVAE: node embeddings of a heterograph, learned without labels by telling and by contrast.

At epoch t the features of a share rho(t) of the nodes are hidden, from few to many. A HAN gives
every node a normal posterior q_i = N(mu_i, sigma_i^2), from which z = mu + sigma * eps is drawn,
and three losses are added up:

    elbo      - E log p(edges of every meta-path | z) + KL(q || N(0, 1)), on sampled pairs,
    features  what a second HAN makes of z at the hidden nodes, by an enhanced scaled cosine error,
    contrast  g(z_i) is told from other nodes by a second draw z'_i of its own (InfoNCE). A share
              lambda(t) of the negatives are draws from posteriors, hard ones; the others are
              corrupted by dropout, easy ones. Nodes near i along the meta-paths are left out.

mu of the whole input is the embedding. Nothing of n x n numbers is built. On a GPU noise and
dropout come from its own generator; nodes and pairs are drawn as on the processor.

Source: arXiv 2310.11102. The paper leaves schedules, weights and forms open: see the settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, dropout

from dglmeta.data import Dataset, GraphDataset
from dglmeta.nn.variational_han import Hidden, Posterior
from dglmeta.systems.base import System
from dglmeta.systems.parts.hgcvae.config import VARIANTS, Config, Variant
from dglmeta.systems.parts.hgcvae.judge import embedding_metrics, head_metrics
from dglmeta.systems.parts.hgcvae.setup import State, begin
from dglmeta.systems.seeding import seeded
from dglmeta.tasks.contrast import info_nce, progressive_negatives
from dglmeta.tasks.reconstruction import gaussian_kl

__all__ = ["HGCVAE"]


class HGCVAE(System):
    """Generative and contrastive self-supervision.

    Examples
    --------
    >>> import dglmeta as dm
    >>> config = HGCVAE.Config(d=8, n_heads=2, epochs=2, edges=50, probe_repeats=2)
    >>> HGCVAE(config).fit(dm.load_dataset("toy-papers")).embed()["paper"].shape
    (90, 8)
    """

    name = "hgcvae"
    monitor = "valid_objective"
    Config = Config
    config: Config

    @property
    def variant(self) -> Variant:
        """What the configured variant switches on."""
        return VARIANTS[self.config.variant]

    def init(self, ds: Dataset | GraphDataset, seed: int, split_seed: int) -> State:
        """Neighbourhoods along the meta-paths, and networks.

        Raises
        ------
        DataError
            If no nodes are labelled, or no meta-path leads from their type back to it.
        """
        return begin(self.config, ds, seed, split_seed, self.device)

    def epoch(self, state: State, rng: np.random.Generator) -> Iterator[None]:
        """One step on all nodes."""
        if self.config.variant != "features":
            with seeded(int(rng.integers(2**62)), state.device):
                self.step(state, rng)
            yield
        state.clock.epoch += 1

    def step(self, state: State, rng: np.random.Generator) -> None:
        """Descend on the sum of losses; changes ``state``."""
        state.model.train()
        losses = self.losses(state, state.clock.epoch, rng)
        state.optimizer.zero_grad()
        sum(losses.values()).backward()
        state.optimizer.step()
        state.losses = {name: loss.item() for name, loss in losses.items()}

    def losses(self, state: State, epoch: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """Every loss of the variant by name, times its weight."""
        if self.variant.labelled:
            rows = state.labelled.train
            logits = state.head(state.model.encode(state.near, state.x).mu[rows.node])
            label = torch.from_numpy(rows.label).to(state.device)
            return {"classes": cross_entropy(logits, label)}
        config = self.config
        hidden = state.hide(config.hidden_share(epoch))
        q = state.model.encode(state.near, state.x, hidden)
        z = q.draw(torch.randn_like(q.mu))
        found = {}
        if self.variant.generates:
            state.divergence = gaussian_kl(q.mu, q.log_sigma)
            elbo = state.edge_error(z, rng)
            weight = config.divergence_weight(epoch) / state.n_nodes
            elbo = elbo + weight * state.divergence.sum()
            found["elbo"] = config.elbo_weight * elbo
            found["features"] = config.feature_weight * self.feature_error(state, z, hidden)
        if self.variant.contrasts:
            found["contrast"] = config.contrast_weight * self.contrast(state, epoch, q, z, rng)
        return found

    def feature_error(self, state: State, z: Tensor, hidden: Hidden) -> Tensor:
        """Mean error of the features told of hidden nodes; of all where none is hidden."""
        told = state.model.decode(state.near, z, hidden)
        nodes = hidden.nodes if len(hidden.nodes) else torch.arange(len(z), device=z.device)
        return state.error(state.model.cosines(told, state.x, nodes)).mean()

    def contrast(
        self, state: State, epoch: int, q: Posterior, z: Tensor, rng: np.random.Generator
    ) -> Tensor:
        """Mean InfoNCE loss with progressive negatives."""
        ids = state.negatives(rng)
        g = state.model.contrast
        others = Posterior(q.mu[ids], q.log_sigma[ids])
        late = others.draw(torch.randn_like(others.mu))
        early = dropout(z[ids], self.config.corruption)
        share = self.config.late_share(epoch)
        negatives = progressive_negatives(early, late, share, rng)
        losses = info_nce(
            g(z), g(q.draw(torch.randn_like(z))), g(negatives),
            temperature=self.config.temperature, guard=state.guard, negative_ids=ids,
        )  # fmt: skip
        return losses.mean()

    def evaluate(self, state: State, split: str) -> dict[str, float]:
        """An objective to choose an epoch by, without labels; test metrics of linear models.

        The objective is the sum of losses, negative, at fixed draws, half of the nodes hidden and
        weights as at the end. "supervised" is chosen by micro-F1 of its validation nodes.
        """
        state.model.eval()
        with torch.no_grad():
            if self.variant.labelled:
                found = head_metrics(state, self.config, split)
            elif split == "test":
                found = embedding_metrics(state, self.config, self.embed(state))
            else:
                found = {"objective": self.objective(state)}
        return {f"{split}_{name}": value for name, value in found.items()}

    def objective(self, state: State) -> float:
        """The sum of losses, negative, always at the same draws."""
        if self.config.variant == "features":
            return 0.0
        with seeded(0, state.device):
            losses = self.losses(state, self.config.epochs // 2, np.random.default_rng(0))
        return -float(sum(losses.values()))

    def embed(self, state: State) -> dict[str, npt.NDArray[np.float32]]:
        """(n, d) means of the posteriors of the labelled node type; of "features", those."""
        with torch.no_grad():
            state.model.eval()
            if self.config.variant == "features":
                z = state.model.rows(state.x)
            else:
                z = state.model.encode(state.near, state.x).mu
        return {state.node_type: z.detach().cpu().numpy()}

    def log(self, state: State) -> dict[str, Any]:
        """Losses, and the divergence of each dimension where there is one."""
        return {**state.losses, **state.divergence_record()}

    def findings(self, state: State) -> dict[str, Any]:
        """Weights of the meta-paths, and whether the posterior collapsed."""
        weights = state.model.semantic_weights(state.near, state.x)
        named = dict(zip(map(str, state.paths), weights, strict=True))
        return {"semantic_weights": named, **state.collapse()}
