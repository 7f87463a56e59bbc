"""Who may do what in the embedded catalog: the table "Identities" of docs/architecture.md, as data.

`seed` applies it with the Databricks SDK; the same grants, given by an administrator, are what a
real workspace needs.
"""

from dataclasses import dataclass
from typing import Literal

Securable = Literal["metastore", "catalog", "schema", "external_location", "storage_credential"]

CATALOG = "edgar"
SCHEMAS = ("raw", "curated", "models")
RAW_TABLE = "edgar.raw.filings"
PRINCIPALS = ("prepare", "train", "register", "scientist")


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
    # Prepare looks the model's schema up, and sees whether a model is there and whose it is; it can
    # use no model.
    Grant("prepare", "schema", "edgar.models", ("USE_SCHEMA", "BROWSE")),
    Grant("train", "schema", "edgar.curated", ("USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA")),
    # Lineage edges need SELECT on what they start from and MODIFY on what they end in; without
    # EXTERNAL USE SCHEMA the worker can read no file with it.
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
)
