"""Losses of nodes in classes of unequal size, by name."""

from dglmeta.tasks.imbalance.losses import CLASS_LOSSES, ClassLoss, class_loss
from dglmeta.tasks.imbalance.renode import renode_weights
from dglmeta.tasks.imbalance.tam import TopologyMargins

__all__ = ["CLASS_LOSSES", "ClassLoss", "TopologyMargins", "class_loss", "renode_weights"]
