"""The data sets dglmeta knows by name. To add one is to add an entry here."""

from dglmeta.data.catalogue.entry import Entry
from dglmeta.data.catalogue.graphs import tu_entry
from dglmeta.data.catalogue.heterographs import DATASETS

__all__ = ["DATASETS", "Entry", "tu_entry"]
