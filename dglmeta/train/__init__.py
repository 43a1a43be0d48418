"""Training: the one loop, checkpoints, and run folders."""

from dglmeta.train.checkpoint import load_checkpoint, save_checkpoint
from dglmeta.train.config import config_from_dict, packaged_config, read_config_file
from dglmeta.train.journal import Journal
from dglmeta.train.loop import History, Trainable, fit, restore
from dglmeta.train.replay import Replay
from dglmeta.train.row_adam import RowAdam
from dglmeta.train.run import RunFolder, describe_environment, peak_rss_mib
from dglmeta.train.search import run_search

__all__ = [
    "History",
    "Journal",
    "Replay",
    "RowAdam",
    "RunFolder",
    "Trainable",
    "config_from_dict",
    "describe_environment",
    "fit",
    "load_checkpoint",
    "packaged_config",
    "peak_rss_mib",
    "read_config_file",
    "restore",
    "run_search",
    "save_checkpoint",
]
