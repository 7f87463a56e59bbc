"""Where each value of a configuration comes from, for `upsert --dry-run --explain`.

    rows("dev")[3]     # Row("pipeline.name", "governed-finetune-dev", "derived from environment")

An origin is the file, with the variables that it reads, a default, or the keys that a value was
derived from.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.configuration import config, derived, file, messages
from pipeline.configuration.parameters import DEFAULTS


class Row(NamedTuple):
    """One value, as JSON where it is not text, and its origin."""

    path: str
    value: str
    origin: str


def rows(
    environment: str, *, environ: Mapping[str, str] = os.environ, conf: Path = file.CONF
) -> list[Row]:
    """Return every value of an environment's configuration, in the order of the sections.

    Raises:
        UsageError: the file does not exist.
        ConfigError: the file has faults.
    """
    values = config.tree(config.load(environment, environ=environ, conf=conf))
    name = f"conf/{environment}.yaml"
    written = file.mapping(file.text(environment, conf), name)
    substituted, _ = messages.substituted(written, environ, environment)
    _, found = derived.complete(substituted, environment)
    texts = dict(_leaves(written))
    defaults = {key: DEFAULTS[key] for key in DEFAULTS if key not in values["parameters"]}
    return [
        *(
            Row(path, _text(value), _origin(path, name, texts, found))
            for path, value in _leaves(values)
        ),
        *(
            Row(
                f"parameters.{key}", _text(value), "default in pipeline/configuration/parameters.py"
            )
            for key, value in defaults.items()
        ),
    ]


def table(explained: Sequence[Row]) -> str:
    """Return the rows as text in three columns: path, origin, and the value, which may be long."""
    paths = max(len(row.path) for row in explained)
    origins = max(len(row.origin) for row in explained)
    return "\n".join(
        f"{row.path:<{paths}}  {row.origin:<{origins}}  {row.value}" for row in explained
    )


def _origin(
    path: str, name: str, written: Mapping[str, Any], found: Mapping[str, derived.Derived]
) -> str:
    if path == "environment":
        return "--env or $PIPELINE_ENV"
    variables = re.findall(r"\$\{(\w+)\}", str(written.get(path, "")))
    given = ", ".join([name, *(f"${variable}" for variable in variables)])
    section = path.partition(".")[0]
    if section in ("limits", "waits") and path not in written:
        return f"default in pipeline/configuration/sections/{section}.py"
    if path not in found:
        return given
    sources = f"derived from {', '.join(found[path].sources)}"
    return sources if found[path].part == "value" else f"{given}; {found[path].part} {sources}"


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict):
        yield path, node
        return
    for key, value in node.items():
        yield from _leaves(value, f"{path}.{key}" if path else str(key))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
