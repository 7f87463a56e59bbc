"""The grants in the embedded catalog: the table "Identities" of docs/architecture.md, as data.

`seed` applies them with the Databricks SDK. A real workspace needs the same grants from its
administrator.
"""

from dataclasses import dataclass
from typing import Literal

Securable = Literal["metastore", "catalog", "schema", "external_location", "storage_credential"]

CATALOG = "edgar"
SCHEMAS = ("raw", "curated", "models")
RAW_TABLE = "edgar.raw.filings"
PRINCIPALS = ("prepare", "train", "register", "scientist", "auditor", "approver", "reconciler")


@dataclass(frozen=True)
class Grant:
    """Privileges of one principal on one securable; `metastore` needs no name."""

    principal: str
    kind: Securable
    name: str
    privileges: tuple[str, ...]


GRANTS = (
    *(Grant(principal, "catalog", CATALOG, ("USE_CATALOG",)) for principal in PRINCIPALS),
    Grant("prepare", "schema", "edgar.raw", ("USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA")),
    Grant(
        "prepare",
        "schema",
        "edgar.curated",
        ("USE_SCHEMA", "SELECT", "MODIFY", "CREATE_TABLE", "EXTERNAL_USE_SCHEMA"),
    ),
    Grant(
        "prepare",
        "external_location",
        "curated",
        ("EXTERNAL_USE_LOCATION", "CREATE_EXTERNAL_TABLE"),
    ),
    # Prepare reads the model's schema and whether the model exists and who owns it; it cannot use a
    # model.
    Grant("prepare", "schema", "edgar.models", ("USE_SCHEMA", "BROWSE")),
    Grant("train", "schema", "edgar.curated", ("USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA")),
    # Lineage edges need SELECT on their source and MODIFY on their target. Without EXTERNAL USE
    # SCHEMA the worker cannot read the tables' files.
    Grant("register", "schema", "edgar.raw", ("USE_SCHEMA", "SELECT")),
    Grant("register", "schema", "edgar.curated", ("USE_SCHEMA", "SELECT", "MODIFY")),
    Grant(
        "register",
        "schema",
        "edgar.models",
        ("USE_SCHEMA", "CREATE_MODEL", "CREATE_MODEL_VERSION", "EXECUTE"),
    ),
    Grant("register", "metastore", "", ("CREATE_EXTERNAL_METADATA",)),
    Grant("scientist", "schema", "edgar.raw", ("USE_SCHEMA", "SELECT")),
    Grant("scientist", "schema", "edgar.curated", ("USE_SCHEMA", "SELECT")),
    Grant("scientist", "schema", "edgar.models", ("USE_SCHEMA", "EXECUTE")),
    # The auditor reads each table's log and files again, with vended READ credentials.
    Grant("auditor", "schema", "edgar.raw", ("USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA")),
    Grant("auditor", "schema", "edgar.curated", ("USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA")),
    Grant("auditor", "schema", "edgar.models", ("USE_SCHEMA", "EXECUTE")),
    # The reconciler lists versions and lineage. It changes nothing: the worker does.
    Grant("reconciler", "schema", "edgar.raw", ("USE_SCHEMA", "SELECT")),
    Grant("reconciler", "schema", "edgar.curated", ("USE_SCHEMA", "SELECT")),
    Grant("reconciler", "schema", "edgar.models", ("USE_SCHEMA", "EXECUTE")),
    # An alias belongs to the model's owner, which is `register`, or to who has MANAGE
    # [unverified: the API names owner and metastore admin; MANAGE is "similar to ownership"].
    Grant("approver", "schema", "edgar.models", ("USE_SCHEMA", "EXECUTE", "APPLY_TAG", "MANAGE")),
)
