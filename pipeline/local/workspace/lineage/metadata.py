"""External metadata: objects in the catalog for things outside of it, such as a SageMaker training
job.
"""

from __future__ import annotations

import re

from pipeline.local.workspace.api import Call, Json, Routes, lineage_page, timestamp
from pipeline.local.workspace.catalog.catalog import forget
from pipeline.local.workspace.catalog.grants import put_grants
from pipeline.local.workspace.catalog.principals import known_principal
from pipeline.local.workspace.errors import AlreadyExists, InvalidParameter
from pipeline.local.workspace.lineage import limits
from pipeline.local.workspace.rights.access import EVERYONE
from pipeline.local.workspace.rights.securables import Kind, Securable

_PATH = "/api/2.0/lineage-tracking/external-metadata"
# Source: a third party; the limit on length is our choice [unverified]
_NAME = re.compile(r"[A-Za-z0-9_]{1,255}")
EDGE = "EDGE"
_FIELDS = ("system_type", "entity_type", "columns", "description", "properties", "url", "owner")
_SYSTEM_TYPES = """
    AMAZON_REDSHIFT AZURE_SYNAPSE CONFLUENT DATABRICKS GOOGLE_BIGQUERY KAFKA LOOKER MICROSOFT_FABRIC
    MICROSOFT_SQL_SERVER MONGODB MYSQL ORACLE OTHER POSTGRESQL POWER_BI SALESFORCE SAP SERVICENOW
    SNOWFLAKE STREAM_NATIVE TABLEAU TERADATA WORKDAY
"""

routes = Routes()


@routes.post(_PATH, "createExternalMetadata")
def create(call: Call) -> Json:
    """Needs CREATE EXTERNAL METADATA on the metastore; every account user may then browse the
    object.
    """
    metadata = call.target(Kind.EXTERNAL_METADATA, _name(call.text("name")))
    metastore = Securable(Kind.METASTORE, call.workspace.metastore["metastore_id"])
    if not call.access.is_admin():
        call.access.require("CREATE_EXTERNAL_METADATA", metastore)
    if call.store.get(metadata.kind.name, metadata.name) is not None:
        raise AlreadyExists(f"{metadata} already exists.")
    given = {field: call.body[field] for field in _FIELDS if field in call.body}
    document = _checked({"name": metadata.name, "owner": call.principal} | given | _created(call))
    known_principal(call.store, document["owner"])
    call.store.put(metadata.kind.name, metadata.name, document)
    put_grants(call.store, metadata, {EVERYONE: ["BROWSE"]})
    return document


@routes.get(_PATH, "listExternalMetadata")
def list_metadata(call: Call) -> Json:
    """Return the objects that the caller may browse or manages (GET …/external-metadata)."""
    visible = [
        document
        for key, document in call.store.items(Kind.EXTERNAL_METADATA.name)
        if call.access.sees(("BROWSE",), Securable(Kind.EXTERNAL_METADATA, key))
    ]
    return lineage_page(visible, call.query, key="external_metadata")


@routes.get(f"{_PATH}/{{name}}", "getExternalMetadata")
def get(call: Call) -> Json:
    """Return an object (GET …/external-metadata/{name}).

    Needs BROWSE, which `create` grants to every account user.
    """
    return call.access.require_view(
        ("BROWSE",), call.target(Kind.EXTERNAL_METADATA, call.path["name"])
    )


@routes.patch(f"{_PATH}/{{name}}", "updateExternalMetadata")
def update(call: Call) -> Json:
    """Change the fields that update_mask names; a new owner needs a separate call and MANAGE."""
    metadata = call.target(Kind.EXTERNAL_METADATA, call.path["name"])
    fields = masked(call, _FIELDS)
    if "owner" in fields and len(fields) > 1:
        raise InvalidParameter(
            "update_mask: either owner or other fields, not both in one request."
        )
    if "owner" in fields:
        document = call.access.require_manage(metadata)
        known_principal(call.store, call.text("owner"))
    else:
        document = require_modify(call, metadata)
    document |= {field: call.body.get(field) for field in fields}
    document |= {"update_time": timestamp(), "updated_by": call.principal}
    call.store.put(metadata.kind.name, metadata.name, _checked(document))
    return document


@routes.delete(f"{_PATH}/{{name}}", "deleteExternalMetadata")
def delete(call: Call) -> Json:
    """Delete the object and its edges, so that no edge lacks an end [unverified]."""
    metadata = call.target(Kind.EXTERNAL_METADATA, call.path["name"])
    document = call.access.require_manage(metadata)
    end = {"external_metadata": {"name": document["name"]}}
    for key, edge in call.store.items(EDGE):
        if end in (edge["source"], edge["target"]):
            call.store.delete(EDGE, key)
    forget(call.store, metadata)
    return {}


def require_modify(call: Call, metadata: Securable) -> Json:
    """Return the object if the caller may change it or add edges to it."""
    return (
        call.access.get(metadata)
        if call.access.is_admin()
        else call.access.require("MODIFY", metadata)
    )


def masked(call: Call, allowed: tuple[str, ...]) -> list[str]:
    """Return the fields that update_mask names; `*` means all."""
    mask = call.query.get("update_mask") or ""
    fields = list(allowed) if mask == "*" else mask.split(",")
    if unknown := sorted(set(fields) - set(allowed)):
        raise InvalidParameter(
            f"update_mask: expected some of {', '.join(allowed)}, got {', '.join(unknown) or '-'}."
        )
    return fields


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidParameter(
            f"'{name}' is not a valid name: expected letters, digits and underscores."
        )
    return name


def _checked(document: Json) -> Json:
    if document.get("system_type") not in _SYSTEM_TYPES.split():
        raise InvalidParameter(
            f"system_type: expected one of SystemType, got {document.get('system_type')}."
        )
    if not document.get("entity_type"):
        raise InvalidParameter("Missing required field: entity_type.")
    limits.check_properties(document.get("properties") or {})
    limits.check_columns(document.get("columns") or [])
    return document


def _created(call: Call) -> Json:
    now, stamp = timestamp(), call.stamp()
    return {
        "id": stamp["id"],
        "metastore_id": stamp["metastore_id"],
        "create_time": now,
        "created_by": call.principal,
        "update_time": now,
        "updated_by": call.principal,
    }
