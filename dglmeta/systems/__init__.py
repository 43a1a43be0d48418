"""The five systems, one file each."""

from dglmeta.systems.autolinc import AutoLINC
from dglmeta.systems.base import Result, System
from dglmeta.systems.hgcvae import HGCVAE
from dglmeta.systems.meta_graph import MetaGraph
from dglmeta.systems.same import SAME
from dglmeta.systems.selar import SELAR

__all__ = ["HGCVAE", "SAME", "SELAR", "AutoLINC", "MetaGraph", "Result", "System"]
