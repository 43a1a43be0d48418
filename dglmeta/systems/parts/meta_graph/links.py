"""What a trained run of Meta-Graph predicts of a new graph: its best candidate links.

All edges of the graph are known. The encoder descends on them from what the run learned, and every
pair that no edge joins is scored, a block of rows at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from dglmeta.data import Dataset, FewShotSplit, GraphDataset, undirected
from dglmeta.data.graph_dataset import LINK, NODE
from dglmeta.errors import ConfigError, DataError
from dglmeta.graph import HeteroCSR
from dglmeta.meta import Params, one_per_task, parameters_of
from dglmeta.nn import VGAE, GraphSignature, encode
from dglmeta.systems.parts.meta_graph.adapt import DRAWS, embeddings, mover
from dglmeta.systems.parts.meta_graph.candidates import CandidateLinks, strongest_pairs
from dglmeta.systems.parts.meta_graph.config import Config
from dglmeta.systems.parts.meta_graph.heuristics import HEURISTICS
from dglmeta.systems.parts.meta_graph.quirks import published_loss
from dglmeta.systems.parts.meta_graph.setup import make_modules, prepare_graph
from dglmeta.tasks import FewShotBatch, FewShotGraph, evidence_loss
from dglmeta.train import RunFolder
from dglmeta.train.checkpoint import load_checkpoint

__all__ = ["Learned", "NewGraph", "candidate_links", "descend", "new_graph", "usual_steps"]

DEGREE_WIDTH = 5
"""Numbers of a node's degree profile."""


@dataclass(frozen=True)
class Learned:
    """What a run learned over its training graphs, and its settings.

    Parameters
    ----------
    config : Config
    model : VGAE
        Where descent begins.
    signature : GraphSignature or None
    """

    config: Config
    model: VGAE
    signature: GraphSignature | None

    @classmethod
    def read(cls, config: Config, run: RunFolder) -> Learned:
        """The best state of a run; the data it learned from are not needed.

        Raises
        ------
        ConfigError
            If the run's method learns no encoder.
        DataError
            If the checkpoint is missing, damaged, or of other settings.
        """
        if config.method in HEURISTICS:
            raise ConfigError(
                f"adapt: expected a run whose method has an encoder, got {config.method!r} in "
                f"{run.path}. Train meta-graph or maml."
            )
        saved = load_checkpoint(run.checkpoint)
        try:
            best = saved["best"]
            with torch.random.fork_rng(devices=[]):
                model, signature = make_modules(config, len(best["model"]["weight_in"]))
            model.load_state_dict(best["model"])
            if signature is not None:
                signature.load_state_dict(best["signature"])
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise DataError(
                f"adapt: expected {run.checkpoint} to fit the run's settings, got {error}. "
                f"Restore a copy, or train again."
            ) from error
        return cls(config, model, signature)

    @property
    def n_features(self) -> int | None:
        """Width of the features that a graph must come with; None if they are not read."""
        names = ("given",) if self.config.protocol == "paper" else self.config.features
        n_blocks = sum(name != "degrees" for name in names)
        made = DEGREE_WIDTH * names.count("degrees")
        apart = 2 if self.config.skip and self.config.protocol == "clean" else 1
        return (len(self.model.weight_in) // apart - made) // n_blocks if n_blocks else None


class NewGraph(NamedTuple):
    """A graph to predict links of."""

    name: str
    hg: HeteroCSR
    """One node type and one edge type, each edge in both directions."""
    ids: npt.NDArray[Any] | None
    """(n,) what the user calls the nodes; None for their numbers."""

    @property
    def usual_top(self) -> int:
        """How many pairs are told of where none asks for more or fewer."""
        return 10 * self.hg.n_nodes[NODE]


def usual_steps(run: RunFolder) -> int:
    """The median of the steps that were best on the run's test graphs, by validation edges.

    Raises
    ------
    DataError
        If the run has not finished.
    ConfigError
        If its result does not tell them.
    """
    chosen = run.read_result().get("adaptation", {}).get("chosen_step", [])
    if not chosen:
        raise ConfigError(
            f"adapt: expected the steps that served the test graphs best in {run.path}, got none. "
            f"Say how many with --steps."
        )
    return int(np.median(chosen))


def new_graph(ds: Dataset | GraphDataset, number: int = 0) -> NewGraph:
    """One graph of a data set of many; or a single graph, if it has one type of each.

    Raises
    ------
    ConfigError
        If there is no graph of that number.
    DataError
        If a single graph has several types.
    """
    n = len(ds) if isinstance(ds, GraphDataset) else 1
    if not 0 <= number < n:
        raise ConfigError(
            f"{ds.name}: expected the number of a graph, 0 to {n - 1}, got {number}. Change it."
        )
    if isinstance(ds, GraphDataset):
        return NewGraph(f"graph {ds.graph_names[number]} of {ds.name}", ds.graphs[number], None)
    schema = ds.csr.schema
    if len(schema.node_types) != 1 or len(schema.edge_types) != 1:
        raise DataError(
            f"{ds.name}: expected a graph of one node type and one edge type, got "
            f"{list(schema.node_types)} and {list(schema.edge_types)}. Give one relation only."
        )
    (node_type,), (triple,) = schema.node_types, schema.edge_types
    data = ds.csr.host.node_data.get(node_type, {})
    kept = {"feat": data["feat"]} if "feat" in data else {}
    src, dst = ds.csr.host.adjacencies[triple].coo()
    hg = undirected(ds.csr.n_nodes[node_type], src, dst, kept)
    return NewGraph(ds.name, hg, data.get("id"))


def candidate_links(learned: Learned, graph: NewGraph, *, steps: int, top: int) -> CandidateLinks:
    """The pairs of a graph that are likeliest to be links it lacks, after descent on its edges.

    Parameters
    ----------
    learned : Learned
    graph : NewGraph
    steps : int
        Of gradient descent, >= 0. All edges are known, so none is left to stop by.
    top : int
        Pairs wanted, >= 1; fewer where the graph has fewer without an edge.

    Raises
    ------
    ConfigError
        If ``steps`` or ``top`` is too small.
    DataError
        If the graph has no edge, no pair without one, or features of another width.
    """
    if steps < 0 or top < 1:
        raise ConfigError(
            f"adapt: expected at least 0 steps and 1 link, got {steps} and {top}. Raise them."
        )
    known = _whole(learned, graph)
    batch = FewShotBatch([known], noise=learned.config.d if learned.config.variational else 0)
    with torch.no_grad():
        film = {} if learned.signature is None else learned.signature(batch.whole)
    phi = descend(learned, batch, film, steps)
    (z,) = embeddings(batch, phi, film)
    return strongest_pairs(z, known.known, top, minus=learned.config.minus)


def descend(learned: Learned, batch: FewShotBatch, film: Params, steps: int) -> Params:
    """Phi of each graph after exactly so many steps on its known edges, as in a run's evaluation.

    Draws depend on the number of the step alone.
    """
    config = learned.config
    published = config.protocol == "paper"
    loss = published_loss if published else partial(evidence_loss, minus=config.minus)
    phi = one_per_task(parameters_of(learned.model), len(batch))
    move = mover(phi, config)
    for k in range(steps):
        pairs, graphs = batch.draw_training(k, np.random.default_rng([DRAWS, k])), batch.fold(k)
        phi = move(phi, lambda at: loss(encode(at, graphs, film), graphs, pairs))  # noqa: B023
    return phi


def _whole(learned: Learned, graph: NewGraph) -> FewShotGraph:
    """The graph with all its edges known."""
    n = graph.hg.n_nodes[NODE]
    feat = graph.hg.node_data.get(NODE, {}).get("feat")
    width = 0 if feat is None else feat.shape[1]
    if learned.n_features not in (None, width):
        raise DataError(
            f"{graph.name}: expected nodes with {learned.n_features} features, as in the graphs "
            f"the run was trained on, got {width}. Give the same ones, in the same order."
        )
    u, v = graph.hg.host.adjacencies[LINK].coo()
    edges = np.stack([u, v], axis=1)[u < v].astype(np.int64)
    if not 0 < len(edges) < n * (n - 1) // 2:
        raise DataError(
            f"{graph.name}: expected an edge at least and a pair without one, got {len(edges)} "
            f"edges among {n} nodes. Give another graph."
        )
    none = np.zeros((0, 2), np.int64)
    ds = GraphDataset("new", (graph.hg,), ("new",))
    return prepare_graph(learned.config, ds, 0, FewShotSplit(edges, none, none, none, none))
