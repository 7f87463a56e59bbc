"""The grants that the principals need in Unity Catalog: "Identities" of the architecture, as data.

    for grant in rights.needed(rights.places(config)):
        grant.statements("0a1b…")      # what a metastore admin runs in SQL

`pipeline.bootstrap` gives them; `pipeline.doctor` looks for each of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pipeline.configuration.config import Config
from pipeline.configuration.parameters import DEFAULTS

Securable = Literal["metastore", "catalog", "schema", "external_location", "storage_credential"]

PRINCIPALS = ("prepare", "train", "register", "scientist", "auditor", "approver", "reconciler")


def secret_name(environment: str, principal: str) -> str:
    """Return the name of the secret with a principal's Databricks identity."""
    return f"governed-finetune-{environment}/databricks/{principal}"


@dataclass(frozen=True)
class Places:
    """The schemas of an environment, `catalog.schema` each, and the location of curated tables."""

    raw: str
    curated: str
    models: str
    location: str

    @property
    def catalogs(self) -> tuple[str, ...]:
        """The catalogs of these schemas, each once."""
        return tuple(sorted({name.partition(".")[0] for name in self.schemas}))

    @property
    def schemas(self) -> tuple[str, ...]:
        """The three schemas."""
        return (self.raw, self.curated, self.models)


@dataclass(frozen=True)
class Grant:
    """Privileges of one principal on one securable; `metastore` needs no name."""

    principal: str
    kind: Securable
    name: str
    privileges: tuple[str, ...]

    def statement(self, privilege: str, application_id: str) -> str:
        """Return the SQL that grants one of the privileges."""
        what = privilege.replace("_", " ")
        on = " ".join([self.kind.replace("_", " ").upper(), self.name]).strip()
        return f"GRANT {what} ON {on} TO `{application_id}`"


def places(config: Config) -> Places:
    """Return the schemas of the tables and the model that the environment's parameters name."""
    names = (
        str(config.parameters.get(name, DEFAULTS[name]))
        for name in ("RawTable", "CuratedTable", "ModelName")
    )
    raw, curated, models = (name.rpartition(".")[0] for name in names)
    return Places(raw, curated, models, location(config.environment, "curated"))


def location(environment: str, content: str) -> str:
    """Return the name of an external location: a metastore has those of all its environments."""
    return f"governed_finetune_{environment.replace('-', '_')}_{content}"


def needed(where: Places) -> tuple[Grant, ...]:
    """Return every grant; nothing works with fewer, and no principal needs more."""
    return (*_catalogs(where), *_jobs(where), *_people(where))


def _catalogs(where: Places) -> Iterator[Grant]:
    for principal in PRINCIPALS:
        for catalog in where.catalogs:
            yield Grant(principal, "catalog", catalog, ("USE_CATALOG",))


def _jobs(where: Places) -> Iterator[Grant]:
    reading = ("USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA")
    yield Grant("prepare", "schema", where.raw, reading)
    writing = ("USE_SCHEMA", "SELECT", "MODIFY", "CREATE_TABLE", "EXTERNAL_USE_SCHEMA")
    yield Grant("prepare", "schema", where.curated, writing)
    making = ("EXTERNAL_USE_LOCATION", "CREATE_EXTERNAL_TABLE")
    yield Grant("prepare", "external_location", where.location, making)
    # Prepare reads the model's schema and whether the model exists and who owns it; it cannot use a
    # model.
    yield Grant("prepare", "schema", where.models, ("USE_SCHEMA", "BROWSE"))
    yield Grant("train", "schema", where.curated, reading)
    # Lineage edges need SELECT on their source and MODIFY on their target. Without EXTERNAL USE
    # SCHEMA the worker cannot read the tables' files.
    yield Grant("register", "schema", where.raw, ("USE_SCHEMA", "SELECT"))
    yield Grant("register", "schema", where.curated, ("USE_SCHEMA", "SELECT", "MODIFY"))
    registering = ("USE_SCHEMA", "CREATE_MODEL", "CREATE_MODEL_VERSION", "EXECUTE")
    yield Grant("register", "schema", where.models, registering)
    yield Grant("register", "metastore", "", ("CREATE_EXTERNAL_METADATA",))


def _people(where: Places) -> Iterator[Grant]:
    # The auditor reads each table's log and files again, with vended READ credentials. The
    # reconciler lists versions and lineage. It changes nothing: the worker does.
    for principal, external in (
        ("scientist", ()),
        ("auditor", ("EXTERNAL_USE_SCHEMA",)),
        ("reconciler", ()),
    ):
        for schema in (where.raw, where.curated):
            yield Grant(principal, "schema", schema, ("USE_SCHEMA", "SELECT", *external))
        yield Grant(principal, "schema", where.models, ("USE_SCHEMA", "EXECUTE"))
    # An alias belongs to the model's owner, which is `register`, or to who has MANAGE
    # [unverified: the API names owner and metastore admin; MANAGE is "similar to ownership"].
    approving = ("USE_SCHEMA", "EXECUTE", "APPLY_TAG", "MANAGE")
    yield Grant("approver", "schema", where.models, approving)
