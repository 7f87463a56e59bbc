"""The metastore, catalogs and schemas.

Paths in docstrings are below /api/2.1/unity-catalog.
"""

from __future__ import annotations

from pipeline.local.workspace.api import Call, Json, Routes, flag, page
from pipeline.local.workspace.catalog.grants import drop_grants
from pipeline.local.workspace.catalog.principals import known_principal
from pipeline.local.workspace.errors import InvalidState, NotServed, ResourceExists
from pipeline.local.workspace.rights.securables import Kind, Securable
from pipeline.local.workspace.store import Store

_UC = "/api/2.1/unity-catalog"

routes = Routes()


@routes.get(f"{_UC}/metastore_summary", "getMetastoreSummary")
def metastore_summary(call: Call) -> Json:
    """Return the metastore (GET /metastore_summary). Needs no privilege."""
    settings = call.workspace.settings
    return call.workspace.metastore | {"external_access_enabled": settings.external_access}


@routes.get(f"{_UC}/current-metastore-assignment", "getMetastoreAssignment")
def metastore_assignment(call: Call) -> Json:
    """Return the metastore's id (GET /current-metastore-assignment). Needs no privilege."""
    return {"metastore_id": call.workspace.metastore["metastore_id"], "workspace_id": 1}


@routes.post(f"{_UC}/catalogs", "createCatalog")
def create_catalog(call: Call) -> Json:
    """Create a catalog (POST /catalogs). Needs CREATE CATALOG on the metastore."""
    catalog = call.target(Kind.CATALOG, call.text("name")).checked()
    call.access.require(
        "CREATE_CATALOG", Securable(Kind.METASTORE, call.workspace.metastore["metastore_id"])
    )
    return create(call, catalog, {"name": catalog.name, "catalog_type": "MANAGED_CATALOG"})


@routes.post(f"{_UC}/schemas", "createSchema")
def create_schema(call: Call) -> Json:
    """Create a schema (POST /schemas). Needs CREATE SCHEMA and USE CATALOG on the catalog."""
    parent = Securable(Kind.CATALOG, call.text("catalog_name"))
    schema = call.target(Kind.SCHEMA, f"{parent.name}.{call.text('name')}").checked()
    require_create(call, "CREATE_SCHEMA", parent)
    names = {"name": schema.name.rpartition(".")[2], "catalog_name": parent.name}
    return create(call, schema, names)


@routes.get(f"{_UC}/catalogs", "listCatalogs")
def list_catalogs(call: Call) -> Json:
    """Return the catalogs that the caller may see (GET /catalogs)."""
    return listed(call, Kind.CATALOG, "", ("USE_CATALOG",))


@routes.get(f"{_UC}/schemas", "listSchemas")
def list_schemas(call: Call) -> Json:
    """Return the schemas of a catalog that the caller may see (GET /schemas).

    The catalog itself has to be visible: USE CATALOG, BROWSE, or the right to manage it.
    """
    catalog = call.target(Kind.CATALOG, call.query.get("catalog_name", ""))
    call.access.require_view(("USE_CATALOG",), catalog)
    return listed(call, Kind.SCHEMA, f"{catalog.name}.", ("USE_SCHEMA",))


@routes.get(f"{_UC}/volumes", "listVolumes")
def list_volumes(call: Call) -> Json:
    """Return no volume (GET /volumes), since none exists here. The schema has to be visible."""
    return _none(call, "volumes")


@routes.get(f"{_UC}/functions", "listFunctions")
def list_functions(call: Call) -> Json:
    """Return no function (GET /functions), since none exists here. The schema has to be visible."""
    return _none(call, "functions")


def _none(call: Call, key: str) -> Json:
    schema = f"{call.query.get('catalog_name', '')}.{call.query.get('schema_name', '')}"
    call.access.require_view(("USE_SCHEMA",), call.target(Kind.SCHEMA, schema))
    return {key: []}


@routes.get(f"{_UC}/catalogs/{{name}}", "getCatalog")
def get_catalog(call: Call) -> Json:
    """Return a catalog (GET /catalogs/{name}). Needs USE CATALOG, BROWSE or MANAGE."""
    return call.access.require_view(("USE_CATALOG",), call.target(Kind.CATALOG, call.path["name"]))


@routes.get(f"{_UC}/schemas/{{name}}", "getSchema")
def get_schema(call: Call) -> Json:
    """Return a schema (GET /schemas/{name}). Needs USE SCHEMA, BROWSE or MANAGE."""
    return call.access.require_view(("USE_SCHEMA",), call.target(Kind.SCHEMA, call.path["name"]))


@routes.patch(f"{_UC}/catalogs/{{name}}", "updateCatalog")
def update_catalog(call: Call) -> Json:
    """Change a catalog (PATCH /catalogs/{name}). Needs MANAGE."""
    return update(call, call.target(Kind.CATALOG, call.path["name"]))


@routes.patch(f"{_UC}/schemas/{{name}}", "updateSchema")
def update_schema(call: Call) -> Json:
    """Change a schema (PATCH /schemas/{name}). Needs MANAGE."""
    return update(call, call.target(Kind.SCHEMA, call.path["name"]))


@routes.delete(f"{_UC}/catalogs/{{name}}", "deleteCatalog")
def delete_catalog(call: Call) -> Json:
    """Delete a catalog (DELETE /catalogs/{name}). Needs MANAGE.

    Raises:
        InvalidState: it holds something, and `force` is not set.
    """
    return _delete_container(
        call, call.target(Kind.CATALOG, call.path["name"]), (Kind.SCHEMA, Kind.TABLE, Kind.MODEL)
    )


@routes.delete(f"{_UC}/schemas/{{name}}", "deleteSchema")
def delete_schema(call: Call) -> Json:
    """Delete a schema (DELETE /schemas/{name}). Needs MANAGE.

    Raises:
        InvalidState: it holds something, and `force` is not set.
    """
    return _delete_container(
        call, call.target(Kind.SCHEMA, call.path["name"]), (Kind.TABLE, Kind.MODEL)
    )


# What other kinds of objects share


def create(call: Call, securable: Securable, fields: Json) -> Json:
    """Store a new object, owned by its creator.

    Raises:
        ResourceExists: the name is taken.
    """
    refuse_existing(call, securable)
    described = {
        name: call.body[name]
        for name in ("comment", "properties", "storage_root")
        if call.body.get(name)
    }
    document = call.stamp() | described | fields | {"full_name": securable.name}
    call.store.put(securable.kind.name, securable.name, document)
    return document


def refuse_existing(call: Call, securable: Securable) -> None:
    """Check that the name is free.

    Raises:
        ResourceExists: it is taken; the code names the kind of a catalog, schema or table.
    """
    if call.store.get(securable.kind.name, securable.name) is not None:
        own_code = securable.kind in (Kind.CATALOG, Kind.SCHEMA, Kind.TABLE)
        code = f"{securable.kind.name}_ALREADY_EXISTS" if own_code else None
        raise ResourceExists(f"{securable} already exists.", code=code)


def require_create(call: Call, privilege: str, container: Securable) -> None:
    """Require the right to create in a catalog or schema, and to use that container."""
    call.access.require(privilege, container)
    call.access.require(
        "USE_CATALOG" if container.kind is Kind.CATALOG else "USE_SCHEMA", container
    )


def listed(call: Call, kind: Kind, prefix: str, privileges: tuple[str, ...]) -> Json:
    """Return one page of the objects of a kind that the caller may see."""
    seen = [
        document
        for key, document in call.store.items(kind.name, prefix)
        if call.access.sees(privileges, Securable(kind, key))
    ]
    return page(seen, call.query, key=f"{kind.name.lower()}s")


def update(call: Call, securable: Securable) -> Json:
    """Change owner, comment and properties; renaming is not served."""
    document = call.access.require_manage(securable)
    if call.body.get("new_name"):
        raise NotServed(f"not implemented here: renaming {securable}")
    if owner := call.body.get("owner"):
        document["owner"] = known_principal(call.store, owner)
    document |= {name: call.body[name] for name in ("comment", "properties") if name in call.body}
    document |= call.touch()
    call.store.put(securable.kind.name, securable.name, document)
    return document


def delete(call: Call, securable: Securable) -> Json:
    """Remove an object with the grants on it. Files of external objects are not deleted."""
    call.access.require_manage(securable)
    forget(call.store, securable)
    return {}


def forget(store: Store, securable: Securable) -> None:
    """Remove an object and the grants on it, without a check of rights."""
    store.delete(securable.kind.name, securable.name)
    drop_grants(store, securable)


def _delete_container(call: Call, container: Securable, kinds: tuple[Kind, ...]) -> Json:
    call.access.require_manage(container)
    inside = [
        Securable(kind, key)
        for kind in kinds
        for key, _ in call.store.items(kind.name, f"{container.name}.")
    ]
    if inside and not flag(call.query, "force"):
        raise InvalidState(
            f"{container} is not empty: it holds {inside[0]}. Delete that first, or use force."
        )
    for securable in inside:
        forget(call.store, securable)
    return delete(call, container)
