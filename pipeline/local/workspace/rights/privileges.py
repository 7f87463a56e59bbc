"""The privileges, the kinds of securables that they apply to, and those that no other right
implies.

Source: docs.databricks.com "Unity Catalog privileges and securable objects" and the docstrings of
databricks-sdk 0.156. Only privileges that this stand-in enforces are listed; grants of others are
refused.
"""

from __future__ import annotations

from pipeline.local.workspace.errors import InvalidParameter
from pipeline.local.workspace.rights.securables import Kind

ALL = "ALL_PRIVILEGES"

# Neither ownership nor ALL PRIVILEGES includes these: they let data leave Databricks and have to be
# granted by name.
EXPLICIT_ONLY = frozenset({"EXTERNAL_USE_SCHEMA", "EXTERNAL_USE_LOCATION"})
# ALL PRIVILEGES does not include the right to grant either.
NOT_IN_ALL = EXPLICIT_ONLY | {"MANAGE"}

_EVERY_OBJECT = {ALL, "MANAGE", "BROWSE"}
_TABLE = _EVERY_OBJECT | {"SELECT", "MODIFY", "APPLY_TAG"}
_MODEL = _EVERY_OBJECT | {"EXECUTE", "CREATE_MODEL_VERSION", "APPLY_TAG"}
_SCHEMA = _TABLE | _MODEL | {"USE_SCHEMA", "EXTERNAL_USE_SCHEMA", "CREATE_TABLE", "CREATE_MODEL"}
_STORAGE = _EVERY_OBJECT | {"READ_FILES", "WRITE_FILES", "CREATE_EXTERNAL_TABLE"}

APPLICABLE: dict[Kind, set[str]] = {
    Kind.METASTORE: {
        "CREATE_CATALOG",
        "CREATE_STORAGE_CREDENTIAL",
        "CREATE_EXTERNAL_LOCATION",
        "CREATE_EXTERNAL_METADATA",
    },
    Kind.CATALOG: _SCHEMA | {"USE_CATALOG", "CREATE_SCHEMA"},
    Kind.SCHEMA: _SCHEMA,
    Kind.TABLE: _TABLE,
    Kind.MODEL: _MODEL,
    Kind.EXTERNAL_LOCATION: _STORAGE | {"EXTERNAL_USE_LOCATION"},
    Kind.STORAGE_CREDENTIAL: _STORAGE | {"CREATE_EXTERNAL_LOCATION"},
    Kind.EXTERNAL_METADATA: _EVERY_OBJECT | {"MODIFY"},
}


def parse(text: str, kind: Kind) -> str:
    """Return the privilege's canonical name; clients write `USE CATALOG` or `USE_CATALOG`."""
    privilege = text.upper().replace(" ", "_")
    if privilege not in APPLICABLE[kind]:
        raise InvalidParameter(
            f"Privilege {text} is not applicable to this entity type: {kind.value}."
        )
    return privilege


def expand(granted: set[str], kind: Kind) -> set[str]:
    """Return the granted privileges with ALL PRIVILEGES expanded to all of the kind that may be
    implied.
    """
    implied = APPLICABLE[kind] - NOT_IN_ALL if ALL in granted else set()
    return (granted & APPLICABLE[kind]) | implied
