"""The Databricks workspace: metastore, storage, catalog, principals, group and every grant.

A metastore admin asks: only who manages a securable sees all grants on it. All calls are reads. The
REST API is called for grants, since the SDK drops privileges that it does not know.
"""

from collections.abc import Iterator
from typing import Any, cast

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound

from pipeline import rights
from pipeline.configuration.config import Config
from pipeline.configuration.parameters import DEFAULTS
from pipeline.doctor.check import Check

_API = "/api/2.1/unity-catalog"
EVERYBODY = "account users"


def checked(config: Config, admin: WorkspaceClient, ids: dict[str, str]) -> Iterator[Check]:
    """Yield the checks of the workspace; `ids` are the principals' application ids by name."""
    yield from _metastore(config, admin)
    yield from _principals(config, admin, ids)
    absent = []
    for check, securable in _objects(config, admin):
        yield check
        if check.state != "ok":
            absent.append(securable)
    yield from _grants(config, admin, ids, absent)


def principals(config: Config, admin: WorkspaceClient) -> dict[str, str]:
    """Return the application ids of the environment's service principals that exist, by name."""
    prefix = f"governed-finetune-{config.environment}-"
    return {
        str(found.display_name).removeprefix(prefix): str(found.application_id)
        for found in admin.service_principals.list()
        if str(found.display_name).startswith(prefix)
    }


def _metastore(config: Config, admin: WorkspaceClient) -> Iterator[Check]:
    summary = admin.metastores.summary()
    yield Check.of(
        "metastore: external data access",
        bool(summary.external_access_enabled),
        expected="enabled; it is off by default",
        found="disabled",
        fix="Catalog Explorer > the metastore's details > External data access: enabled",
    )
    yield Check.of(
        "metastore: region",
        summary.region == config.aws.region,
        expected=f"{config.aws.region} (aws.region)",
        found=str(summary.region),
        fix="use a workspace of a metastore in the buckets' region",
    )


def _principals(config: Config, admin: WorkspaceClient, ids: dict[str, str]) -> Iterator[Check]:
    for principal in rights.PRINCIPALS:
        name = f"governed-finetune-{config.environment}-{principal}"
        yield Check.of(
            f"service principal {name}",
            principal in ids,
            expected="to exist in the workspace",
            found="none",
            fix=f"Settings > Identity and access > Service principals > Add: {name}",
        )
    stated: dict[str, str | None] = {
        "register.databricks_client_id": config.register.databricks_client_id
    }
    stated |= {
        f"databricks.client_ids.{who}": one for who, one in config.databricks.client_ids.items()
    }
    for key, client_id in stated.items():
        wanted = ids.get("register" if key.startswith("register") else key.rpartition(".")[2])
        if wanted is None:
            continue  # the principal is missing, and its check says so
        yield Check.of(
            key,
            client_id in (None, wanted),
            expected=str(wanted),
            found=str(client_id),
            fix=f"put the principal's application id in conf: {wanted}",
        )
    group = config.evidence.approvers_group
    found = list(admin.groups.list(filter=f'displayName eq "{group}"'))
    if found and "approver" not in ids:
        return  # who would be a member is missing
    yield Check.of(
        f"group {group}",
        bool(found and admin.groups.get(str(found[0].id)).members),
        expected="to have a member: nobody else approves",
        found="no members" if found else "no such group",
        fix=f"Settings > Identity and access > Groups > {group}: add who approves",
    )


def _objects(config: Config, admin: WorkspaceClient) -> Iterator[tuple[Check, tuple[str, str]]]:
    """Yield each object's check, with its kind and name as grants name it."""
    where = rights.places(config)
    for catalog in where.catalogs:
        fix = f"CREATE CATALOG {catalog}"
        yield _exists("catalog", catalog, admin.catalogs.get, fix), ("catalog", catalog)
    for schema in where.schemas:
        fix = f"CREATE SCHEMA {schema}"
        yield _exists("schema", schema, admin.schemas.get, fix), ("schema", schema)
    root = config.prepare.curated_root
    url = root.rstrip("/")
    location = where.location
    fix = f"CREATE EXTERNAL LOCATION {location} URL '{url}' WITH (STORAGE CREDENTIAL …)"
    found = _exists("external location", location, admin.external_locations.get, fix)
    yield found, ("external_location", location)
    yield from ((check, ("", "")) for check in _raw_table(config, admin))


def _raw_table(config: Config, admin: WorkspaceClient) -> Iterator[Check]:
    name = str(config.parameters.get("RawTable", DEFAULTS["RawTable"]))
    fix = f"load the filings into {name}"
    yield (check := _exists("table", name, admin.tables.get, fix))
    if check.state != "ok":
        return
    table = admin.tables.get(name)
    masked = [column.name for column in table.columns or () if column.mask]
    kinds = [*(["a row filter"] if table.row_filter else []), *(f"a mask on {m}" for m in masked)]
    yield Check.of(
        f"table {name}: no row filter or column mask",
        not kinds,
        expected="none: credentials are not vended for such tables",
        found=", ".join(kinds),
        fix=f"ALTER TABLE {name} DROP ROW FILTER, or read a table that is filtered already",
    )


def _exists(kind: str, name: str, get: Any, fix: str) -> Check:
    try:
        get(name)
    except NotFound:
        return Check.of(f"{kind} {name}", False, expected="to exist", found="none", fix=fix)
    return Check(f"{kind} {name}")


def _grants(
    config: Config,
    admin: WorkspaceClient,
    ids: dict[str, str],
    absent: list[tuple[str, str]],
) -> Iterator[Check]:
    held: dict[tuple[str, str], dict[str, set[str]]] = {}
    for grant in rights.needed(rights.places(config)):
        place = (grant.kind, grant.name)
        if grant.principal not in ids or place in absent:
            continue  # another check names its absence
        if place not in held:
            held[place] = effective(admin, *place)
        has = held[place].get(ids[grant.principal], set()) | held[place].get(EVERYBODY, set())
        for privilege in grant.privileges:
            on = " ".join([grant.kind, grant.name]).strip()
            yield Check.of(
                f"grant {privilege} on {on} to {grant.principal}",
                privilege in has,
                expected="granted: no other privilege includes it",
                found=", ".join(sorted(has)) or "nothing",
                fix=grant.statement(privilege, ids[grant.principal]),
            )


def effective(admin: WorkspaceClient, kind: str, name: str) -> dict[str, set[str]]:
    """Return every principal's privileges on a securable, inherited ones too."""
    target = name or str(admin.metastores.summary().metastore_id)
    answer = admin.api_client.do("GET", f"{_API}/effective-permissions/{kind}/{target}")
    return {
        each["principal"]: {entry["privilege"] for entry in each.get("privileges", ())}
        for each in cast(dict[str, Any], answer).get("privilege_assignments", ())
    }
