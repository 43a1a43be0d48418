"""Episodes of several tasks: mini-batches of graphs, dealt to tasks, in support and target.

    gc   60 % of the task's graphs are support, the others target
    nc   of each class of node 30 % are support, all other nodes target
    lp   20 % of a graph's edges are support, 20 % target; messages run over the rest in both,
         and either comes with as many pairs that no edge of the graph joins

or other shares. Source: SAME, arXiv 2201.03326, section 4, with choices at random and drawn anew
for each pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from dglmeta.errors import ConfigError, DataError
from dglmeta.nn.multi_task import TASKS
from dglmeta.tasks.episodes.layout import Episode, Part, build_episodes
from dglmeta.tasks.episodes.links import split_links
from dglmeta.tasks.episodes.parts import (
    Asked,
    Deal,
    Shares,
    deal_graphs,
    split_graphs,
    split_nodes,
)
from dglmeta.tasks.graphs.rows import GraphRows
from dglmeta.tasks.graphs.spans import check_numbers

__all__ = ["Episode", "Episodes", "Part"]

Ids = npt.NDArray[np.int64]

PUBLISHED = Shares()


class Episodes:
    """Draws episodes from the graphs of a data set.

    Parameters
    ----------
    rows : GraphRows
    tasks : sequence of str
        Of :data:`dglmeta.nn.multi_task.TASKS`, each once.
    batch : int
        Graphs of an episode, about: those of a pass are cut as evenly as can be.
    joint : bool
        Whether both parts have one layout of all graphs, so that an encoder reads them once;
        otherwise the graphs whose class one part asks for are not in the other.
    every : bool
        Whether each graph serves every task and all is asked in the target, which is the support,
        too: multi-task learning without adaptation.
    shares : Shares
        How much is support.
    dtype : torch.dtype
        float32 or float64, of all but ids and classes.

    Raises
    ------
    ConfigError
        If a task is unknown or given twice, or a mini-batch is too small for the tasks.
    DataError
        If graphs or nodes have no classes and a task asks for them.

    Examples
    --------
    >>> from dglmeta.data import toy_graphs
    >>> from dglmeta.tasks.graphs.rows import graph_rows
    >>> rows = graph_rows(toy_graphs(), ["feat"], scaling="none", train=np.arange(8))
    >>> pass_ = Episodes(rows, ["gc", "lp"], batch=4).draw(np.arange(8), np.random.default_rng(0))
    >>> [sorted(episode.target.questions) for episode in pass_]
    [['gc', 'lp'], ['gc', 'lp']]
    """

    def __init__(
        self,
        rows: GraphRows,
        tasks: Sequence[str],
        *,
        batch: int = 16,
        joint: bool = False,
        every: bool = False,
        shares: Shares = PUBLISHED,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.rows, self.tasks, self.batch = rows, tuple(tasks), batch
        self.joint, self.every, self.shares, self.dtype = joint, every, shares, dtype
        _check_tasks(rows, self.tasks)
        self._check_size("a batch", batch)

    @property
    def least(self) -> int:
        """Fewest graphs of an episode: one a task, two for their classes."""
        return 1 if self.every else len(self.tasks) + ("gc" in self.tasks)

    def draw(self, numbers: Ids, rng: np.random.Generator) -> list[Episode]:
        """The episodes of one pass; every graph is in one of them.

        Parameters
        ----------
        numbers : (n,) integers
            Graphs to use.
        rng : numpy.random.Generator

        Raises
        ------
        ConfigError
            If there are too few graphs for the tasks.
        DataError
            If a graph is not one of the table's.

        Notes
        -----
        Cost O(n log n) in the nodes, edges and pairs asked about, without a loop over graphs.
        """
        numbers = check_numbers("Episodes", numbers, len(self.rows))
        self._check_size("graphs", len(numbers))
        n_batches = max(1, min(round(len(numbers) / self.batch), len(numbers) // self.least))
        deal = deal_graphs(self.rows, self.tasks, numbers, n_batches, rng, every=self.every)
        support, target, heard = _ask(deal, self.shares, rng)
        if self.every:
            support = target = {t: _merged(support[t], target[t]) for t in self.tasks}
        return build_episodes(deal, support, target, heard, joint=self.joint, dtype=self.dtype)

    def _check_size(self, what: str, n: int) -> None:
        if n < self.least:
            raise ConfigError(
                f"Episodes: expected {what} of {self.least} at least, for the tasks "
                f"{', '.join(self.tasks)}, got {n}. Give more or ask for fewer tasks."
            )


def _ask(
    deal: Deal, shares: Shares, rng: np.random.Generator
) -> tuple[dict[str, Asked], dict[str, Asked], Ids]:
    """What support and target ask of each task, and the edges that messages run over."""
    splits: dict[str, tuple[Asked, Asked]] = {}
    heard = deal.edges
    if "gc" in deal.tasks:
        splits["gc"] = split_graphs(deal, shares.graphs)
    if "nc" in deal.tasks:
        splits["nc"] = split_nodes(deal, rng, shares.nodes)
    if "lp" in deal.tasks:
        *split, heard = split_links(deal, rng, support=shares.links, target=shares.target_links)
        splits["lp"] = split[0], split[1]
    support, target = ({task: split[k] for task, split in splits.items()} for k in (0, 1))
    return support, target, heard


def _merged(one: Asked, other: Asked) -> Asked:
    """What two parts ask, as one part; of links still edges before negatives."""
    rows, label, batch = (np.concatenate(pair, axis=-1) for pair in zip(one, other, strict=True))
    negative = (label < 1) & (rows.ndim == 2)
    order = np.lexsort((negative, batch))
    return Asked(rows[..., order], label[order], batch[order])


def _check_tasks(rows: GraphRows, tasks: tuple[str, ...]) -> None:
    if not tasks or len(set(tasks)) < len(tasks) or not set(tasks) <= set(TASKS):
        raise ConfigError(
            f"Episodes: expected tasks of {', '.join(TASKS)}, each once, got "
            f"{', '.join(tasks) or 'none'}. Name some of these."
        )
    for task, what, label in (("gc", "graphs", rows.graph_label), ("nc", "nodes", rows.node_label)):
        if task in tasks and label is None:
            raise DataError(
                f"Episodes: expected classes of {what} for the task {task!r}, got a data set "
                f"without. Leave the task out."
            )
