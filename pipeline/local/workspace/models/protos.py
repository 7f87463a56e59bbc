"""mlflow's protobuf messages and their routes, without `import mlflow`, which takes six seconds.

The generated modules import one another relatively, so they load as well under a package of another
name.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from google.protobuf.json_format import (  # type: ignore[import-untyped]  # google ships no types
    MessageToDict,
    ParseDict,
    ParseError,
)

__all__ = ["ParseError", "message", "methods", "parse_json", "to_json"]

_ALIAS = "pipeline_local_workspace_mlflow_protos"


def _load(name: str) -> Any:
    if _ALIAS not in sys.modules:
        spec = find_spec("mlflow")  # finds the package without importing it
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(
                "mlflow is not installed; the workspace needs its protobuf modules."
            )
        package = ModuleType(_ALIAS)
        package.__path__ = [f"{spec.submodule_search_locations[0]}/protos"]
        sys.modules[_ALIAS] = package
    return import_module(f"{_ALIAS}.{name}")


def methods(module: str, service: str) -> list[tuple[str, str, Any]]:
    """Yield (HTTP method, path, descriptor) of every RPC of a service, from the proto's options."""
    options = _load("databricks_pb2").rpc
    descriptor = _load(module).DESCRIPTOR.services_by_name[service]
    return [
        (
            endpoint.method,
            f"/api/{endpoint.since.major}.{endpoint.since.minor}{endpoint.path}",
            method,
        )
        for method in descriptor.methods
        for endpoint in method.GetOptions().Extensions[options].endpoints
    ]


def message(module: str, name: str) -> Any:
    """Return a message class of one of mlflow's proto modules."""
    return getattr(_load(module), name)


def parse_json(
    document: dict[str, Any], message_class: Any, *, ignore_unknown: bool = False
) -> Any:
    """Return a message from its JSON form.

    Raises:
        ParseError: a field is unknown, or its value of another type.
    """
    return ParseDict(document, message_class(), ignore_unknown_fields=ignore_unknown)


def to_json(filled: Any) -> dict[str, Any]:
    """Return a message's JSON form, with the proto's field names."""
    document: dict[str, Any] = MessageToDict(filled, preserving_proto_field_name=True)
    return document
