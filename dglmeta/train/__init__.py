"""Training: the one loop, checkpoints, and run folders."""

from dglmeta.train.checkpoint import load_checkpoint, save_checkpoint
from dglmeta.train.loop import History, Trainable, fit, restore
from dglmeta.train.run import RunFolder, config_from_dict, describe_environment, peak_rss_mib

__all__ = [
    "History",
    "RunFolder",
    "Trainable",
    "config_from_dict",
    "describe_environment",
    "fit",
    "load_checkpoint",
    "peak_rss_mib",
    "restore",
    "save_checkpoint",
]
