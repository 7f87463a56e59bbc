"""Tables: external Delta tables at a location, as external clients may create them.

Paths in docstrings are below /api/2.1/unity-catalog.
"""

from __future__ import annotations

import uuid

from pipeline.local.workspace.api import Call, Json, Routes
from pipeline.local.workspace.catalog.catalog import (
    create,
    delete,
    listed,
    refuse_existing,
    require_create,
    update,
)
from pipeline.local.workspace.catalog.locations import normalize, overlaps
from pipeline.local.workspace.catalog.storage import location_of
from pipeline.local.workspace.errors import InvalidParameter
from pipeline.local.workspace.rights.securables import Kind, Securable

_TABLES = "/api/2.1/unity-catalog/tables"
VIEW = ("SELECT",)
_ONLY_BY_SQL = ("row_filter", "table_type", "data_source_format")

routes = Routes()


@routes.post(_TABLES, "createTable")
def create_table(call: Call) -> Json:
    """Needs what the SDK's docstring lists: two rights on the schema, two on the location, use of
    the containers.
    """
    schema = Securable(Kind.SCHEMA, f"{call.text('catalog_name')}.{call.text('schema_name')}")
    table = call.target(Kind.TABLE, f"{schema.name}.{call.text('name')}").checked()
    if (call.body.get("table_type"), call.body.get("data_source_format")) != ("EXTERNAL", "DELTA"):
        raise InvalidParameter(
            "Only table_type EXTERNAL with data_source_format DELTA can be created from outside."
        )
    if any(column.get("mask") for column in call.body.get("columns") or []):
        raise InvalidParameter(
            "column masks are not supported when a table is created from outside."
        )
    url = normalize(call.text("storage_location"))
    require_create(call, "CREATE_TABLE", schema)
    call.access.require("EXTERNAL_USE_SCHEMA", schema)
    location = location_of(call, url)
    call.access.require("CREATE_EXTERNAL_TABLE", location)
    call.access.require("EXTERNAL_USE_LOCATION", location)
    refuse_existing(call, table)
    refuse_overlap(call, url)
    return create(call, table, _fields(call, table, url))


@routes.get(_TABLES, "listTables")
def list_tables(call: Call) -> Json:
    """Return the tables of a schema that the caller may see (GET /tables).

    The schema itself has to be visible: USE SCHEMA, BROWSE, or the right to manage it.
    """
    schema = call.target(
        Kind.SCHEMA, f"{call.query.get('catalog_name')}.{call.query.get('schema_name')}"
    )
    call.access.require_view(("USE_SCHEMA",), schema)
    return listed(call, Kind.TABLE, f"{schema.name}.", VIEW)


@routes.get(f"{_TABLES}/{{name}}", "getTable")
def get_table(call: Call) -> Json:
    """Return a table (GET /tables/{name}). Needs SELECT, BROWSE or MANAGE."""
    return call.access.require_view(VIEW, call.target(Kind.TABLE, call.path["name"]))


@routes.get(f"{_TABLES}/{{name}}/exists", "tableExists")
def table_exists(call: Call) -> Json:
    """Return whether a table exists and the caller may see it (GET /tables/{name}/exists).

    Needs USE SCHEMA, BROWSE, or the right to manage the schema.
    """
    table = call.target(Kind.TABLE, call.path["name"]).checked()
    schema = table.parent or table
    if not call.access.manages(schema) and "BROWSE" not in call.access.granted(schema):
        call.access.require("USE_SCHEMA", schema)
    found = call.store.get(Kind.TABLE.name, table.name) is not None
    return {"table_exists": found and call.access.sees(VIEW, table)}


@routes.patch(f"{_TABLES}/{{name}}", "updateTable")
def update_table(call: Call) -> Json:
    """Changes owner and comment; sets the row filter, the type and the format, which in Databricks
    only SQL and pipelines do.
    """
    table = call.target(Kind.TABLE, call.path["name"])
    document = update(call, table)
    changed = {name: call.body[name] for name in _ONLY_BY_SQL if name in call.body}
    if changed:
        document |= changed
        call.store.put(Kind.TABLE.name, table.name, document)
    return document


@routes.delete(f"{_TABLES}/{{name}}", "deleteTable")
def delete_table(call: Call) -> Json:
    """Delete a table (DELETE /tables/{name}). Needs MANAGE. Its files remain."""
    return delete(call, call.target(Kind.TABLE, call.path["name"]))


def refuse_overlap(call: Call, url: str) -> None:
    """Refuse a location that overlaps another table's: tables never share files."""
    for other in call.store.all(Kind.TABLE.name):
        if overlaps(url, other["storage_location"]):
            raise InvalidParameter(
                f"[LOCATION_OVERLAP] Input path url '{url}' overlaps with table "
                f"'{other['full_name']}'."
            )


def _fields(call: Call, table: Securable, url: str) -> Json:
    catalog, schema, name = table.name.split(".")
    return {
        "name": name,
        "catalog_name": catalog,
        "schema_name": schema,
        "table_id": str(uuid.uuid4()),
        "table_type": "EXTERNAL",
        "data_source_format": "DELTA",
        "storage_location": url,
        "columns": call.body.get("columns") or [],
    }
