"""The exceptions dglmeta raises on purpose, each with when it is raised.

Every message has the form ``where: expected what, got value. what to do.``
"""

__all__ = [
    "BudgetError",
    "ConfigError",
    "DataError",
    "DeviceError",
    "DglmetaError",
    "LabelStoreError",
    "SchemaError",
]


class DglmetaError(Exception):
    """Base class of every error dglmeta raises on purpose."""


class SchemaError(DglmetaError, ValueError):
    """A node type, edge type or meta-path that the graph's schema does not have."""


class DataError(DglmetaError, ValueError):
    """Input data that is missing, damaged, or outside the range it must lie in."""


class LabelStoreError(DglmetaError):
    """A label store that is damaged, unfinished, or belongs to another graph."""


class ConfigError(DglmetaError, ValueError):
    """A setting that does not exist, has the wrong type, or contradicts another."""


class DeviceError(DglmetaError, RuntimeError):
    """A device that was asked for and is not there or cannot be used."""


class BudgetError(DglmetaError, MemoryError):
    """A memory or time budget that the computation cannot meet; raised before allocating."""
