"""Settings: frozen dataclasses, read from TOML."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from dglmeta.errors import ConfigError, DataError

__all__ = ["config_from_dict", "packaged_config", "read_config_file"]


def config_from_dict(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """A frozen config dataclass from a mapping, as read from TOML.

    Raises
    ------
    ConfigError
        If a field does not exist or has another type; the message lists the fields.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ConfigError(
            f"{kind.__qualname__}: unknown fields {unknown}. There are: {', '.join(fields)}."
        )
    ready = {}
    for name, value in values.items():
        default = fields[name].default
        ready[name] = tuple(value) if isinstance(value, list) else value
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            ready[name] = float(value)
        elif default is not dataclasses.MISSING and not isinstance(ready[name], type(default)):
            raise ConfigError(
                f"{kind.__qualname__}: expected {name} as {type(default).__name__}, got {value!r}."
            )
    return kind(**ready)


def read_config_file(path: Path) -> dict[str, Any]:
    """The ``[config]`` table of a TOML file, or the whole file when it has no such table.

    Raises
    ------
    DataError
        If the file is missing or not valid TOML.
    """
    try:
        return _settings(path.read_text(encoding="utf-8"))
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"config: expected a TOML file at {path}, got {error}.") from error


def packaged_config(
    system: str,
    data: str,
    strategy: str = "",
    encoder: str = "",
    method: str = "",
    variant: str = "",
) -> dict[str, Any]:
    """The settings tuned for a data set that come with dglmeta; empty when there are none.

    Parameters
    ----------
    system, data : str
        The file is ``configs/<system>-<data>.toml``.
    strategy, encoder, method, variant : str
        Their own tables, where the file has them, override ``[config]``: in rising order
        ``[encoder.<name>]``, ``[strategy.<name>]``, ``[encoder.<name>.strategy.<name>]``,
        ``[method.<name>]`` and ``[variant.<name>]``.
    """
    file = resources.files("dglmeta.configs").joinpath(f"{system}-{Path(data).name}.toml")
    if not file.is_file():
        return {}
    text = file.read_text(encoding="utf-8")
    values = tomllib.loads(text)
    of_encoder = dict(values.get("encoder", {}).get(encoder, {}))
    both = of_encoder.pop("strategy", {}).get(strategy, {})
    of_strategy = values.get("strategy", {}).get(strategy, {})
    of_method = values.get("method", {}).get(method, {})
    of_variant = values.get("variant", {}).get(variant, {})
    return {**_settings(text), **of_encoder, **of_strategy, **both, **of_method, **of_variant}


def _settings(text: str) -> dict[str, Any]:
    values = tomllib.loads(text)
    return dict(values.get("config", values))
