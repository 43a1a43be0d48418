"""Episodes of several tasks on many graphs, and how embeddings of these are judged."""

from dglmeta.tasks.episodes.holdout import LinkHoldout, hold_out_links
from dglmeta.tasks.episodes.merge import merge_episodes
from dglmeta.tasks.episodes.parts import Shares
from dglmeta.tasks.episodes.passes import Episode, Episodes, Part
from dglmeta.tasks.episodes.probe import PROBES, probe

__all__ = [
    "PROBES",
    "Episode",
    "Episodes",
    "LinkHoldout",
    "Part",
    "Shares",
    "hold_out_links",
    "merge_episodes",
    "probe",
]
