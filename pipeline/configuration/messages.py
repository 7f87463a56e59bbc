"""Turn pydantic's errors and missing variables into faults: (key path, what is wrong)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from pipeline.configuration.fields import LOCAL
from pipeline.errors import nearest

Fault = tuple[str, str]
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_UNKNOWN_KEY = "unexpected_keyword_argument"


def substituted(node: Any, environ: Mapping[str, str], environment: str) -> tuple[Any, list[Fault]]:
    """Return the tree with every `${NAME}` replaced, and a fault for each unset variable."""
    faults: list[Fault] = []

    def walk(node: Any, path: str) -> Any:
        if isinstance(node, dict):
            return {
                key: walk(value, f"{path}.{key}" if path else str(key))
                for key, value in node.items()
            }
        if isinstance(node, list):
            return [walk(value, f"{path}.{index}") for index, value in enumerate(node)]
        if not isinstance(node, str):
            return node
        faults.extend(
            (path, _unset(name, environment))
            for name in _VARIABLE.findall(node)
            if not environ.get(name)
        )
        return _VARIABLE.sub(lambda match: environ.get(match[1], ""), node)

    return walk(node, ""), faults


def _unset(name: str, environment: str) -> str:
    remedy = f"export {name}=…"
    if environment == LOCAL:
        remedy = 'start the embedded environment and run: eval "$(python -m pipeline.local env)"'
    return f"${{{name}}} is not set in the environment; {remedy}"


def described(errors: list[ErrorDetails], schema: Mapping[str, Any]) -> list[Fault]:
    """Return a fault for each error.

    A missing key is left out if an unknown key is near to it: that is one fault, a misspelt key.
    """
    unknown = {
        error["loc"]: _meant(error["loc"], schema)
        for error in errors
        if error["type"] == _UNKNOWN_KEY
    }
    misspelt = {(*loc[:-1], meant) for loc, meant in unknown.items() if meant}
    return [
        (_dotted(error["loc"]), _described(error, schema, unknown))
        for error in errors
        if not (error["type"] == "missing" and error["loc"] in misspelt)
    ]


def _described(
    error: ErrorDetails, schema: Mapping[str, Any], unknown: Mapping[Any, str | None]
) -> str:
    node = _node(error["loc"], schema)
    expected = node.get("description", "another value").rstrip(".")
    match error["type"]:
        case "unexpected_keyword_argument":
            meant = unknown[error["loc"]]
            return f"unknown key; did you mean {meant!r}?" if meant else "unknown key; remove it"
        case "missing":
            return (
                f"missing section: {expected}"
                if "properties" in node
                else f"missing; expected {expected}"
            )
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return f"expected {expected}, got {error['input']!r}"


def _meant(loc: tuple[int | str, ...], schema: Mapping[str, Any]) -> str | None:
    return nearest(str(loc[-1]), _node(loc[:-1], schema).get("properties", {}))


def _node(loc: tuple[int | str, ...], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of the JSON schema that describes this key."""
    node = schema
    for key in loc:
        inner = dict(_followed(node, schema))
        properties = inner.get("properties", {})
        node = properties.get(key) or inner.get("items") or inner.get("additionalProperties") or {}
        if not isinstance(node, Mapping):
            return {}
    return {**dict(_followed(node, schema)), **node}


def _followed(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    reference = node.get("$ref")
    yield from (schema["$defs"][reference.rsplit("/", 1)[-1]] if reference else node).items()


def _dotted(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(key) for key in loc if key != "[key]") or "(file)"
