"""Grants: privileges of principals on securables, given by those who may give them.

Paths in docstrings are below /api/2.1/unity-catalog.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.local.workspace.api import Call, Json, Routes
from pipeline.local.workspace.catalog.principals import known_principal
from pipeline.local.workspace.errors import PermissionDenied
from pipeline.local.workspace.rights.access import EVERYONE, GRANT, grants_on
from pipeline.local.workspace.rights.privileges import parse
from pipeline.local.workspace.rights.securables import Kind, Securable
from pipeline.local.workspace.store import Store

_PERMISSIONS = "/api/2.1/unity-catalog/permissions/{kind}/{name}"
_EFFECTIVE = "/api/2.1/unity-catalog/effective-permissions/{kind}/{name}"
_ASSIGNMENTS = "/api/2.1/unity-catalog/privilege-assignments/{kind}/{name}"

routes = Routes()


def put_grants(store: Store, securable: Securable, grants: dict[str, list[str]]) -> None:
    """Replace the grants on a securable; principals without a privilege are dropped."""
    store.put(
        GRANT,
        f"{securable.kind.name}:{securable.name}",
        {who: held for who, held in grants.items() if held},
    )


def drop_grants(store: Store, securable: Securable) -> None:
    """Remove all grants on a securable."""
    store.delete(GRANT, f"{securable.kind.name}:{securable.name}")


@routes.patch(_PERMISSIONS, "updatePermissions")
def update(call: Call) -> Json:
    """Grant and revoke (PATCH /permissions/{kind}/{name}). Needs MANAGE.

    Granting EXTERNAL USE SCHEMA needs the catalog's owner, EXTERNAL USE LOCATION the location's.

    Raises:
        NotFound: the securable or a principal does not exist.
        InvalidParameter: a privilege does not apply to this kind of securable.
        PermissionDenied: the caller does not manage the securable, or may not grant the privilege.
    """
    securable = _securable(call)
    call.access.require_manage(securable)
    grants = {who: set(held) for who, held in grants_on(call.store, securable).items()}
    for change in call.body.get("changes") or []:
        principal = known_principal(call.store, change.get("principal") or "")
        added = {parse(text, securable.kind) for text in change.get("add") or []}
        for privilege in added:
            _may_give(call, privilege, securable)
        removed = {parse(text, securable.kind) for text in change.get("remove") or []}
        grants[principal] = (grants.get(principal, set()) | added) - removed
    put_grants(call.store, securable, {who: sorted(held) for who, held in grants.items()})
    return _assignments(call, securable)


@routes.get(_PERMISSIONS, "getPermissions")
@routes.get(_ASSIGNMENTS, "listPrivilegeAssignments")
def get(call: Call) -> Json:
    """Return the direct grants (GET /permissions/{kind}/{name}, or /privilege-assignments/…).

    Those who manage the securable see all grants, others only their own and those of everybody.

    Raises:
        PermissionDenied: the request names another principal, and the caller is not a manager.
    """
    return _assignments(call, _securable(call))


@routes.get(_EFFECTIVE, "getEffectivePermissions")
def get_effective(call: Call) -> Json:
    """Return direct and inherited grants, each with the securable it comes from.

    A schema's and a catalog's are inherited, a metastore's are not [docs.databricks.com].
    """
    securable = _securable(call)
    found: dict[str, list[Json]] = {}
    for source in (securable, *securable.ancestors()):
        inherited = {"inherited_from_type": source.kind.name, "inherited_from_name": source.name}
        for principal, held in grants_on(call.store, source).items():
            privileges = [
                {"privilege": privilege} | (inherited if source != securable else {})
                for privilege in held
            ]
            found.setdefault(principal, []).extend(privileges)
    visible = _visible(call, securable)
    return {
        "privilege_assignments": [
            {"principal": principal, "privileges": held}
            for principal, held in found.items()
            if visible(principal)
        ]
    }


def _securable(call: Call) -> Securable:
    securable = call.target(Kind.parse(call.path["kind"]), call.path["name"])
    call.access.get(securable)
    return securable


def _may_give(call: Call, privilege: str, securable: Securable) -> None:
    """Only the owner of the catalog or location may grant the two external-use privileges; MANAGE
    does not suffice.
    """
    giver = securable
    if privilege == "EXTERNAL_USE_SCHEMA" and securable.kind is Kind.SCHEMA:
        giver = securable.parent or securable
    elif privilege not in ("EXTERNAL_USE_SCHEMA", "EXTERNAL_USE_LOCATION"):
        return
    if not call.access.owns(giver):
        raise PermissionDenied.not_owner(giver.kind.value, giver.name)


def _assignments(call: Call, securable: Securable) -> Json:
    visible = _visible(call, securable)
    grants = grants_on(call.store, securable)
    return {
        "privilege_assignments": [
            {"principal": principal, "privileges": held}
            for principal, held in grants.items()
            if visible(principal)
        ]
    }


def _visible(call: Call, securable: Securable) -> Callable[[str], bool]:
    """Return all grants to those who manage the securable, and to others those that they hold:
    their own and their group's. That a group's grants are shown to its members is [unverified].
    """
    everybody = call.access.manages(securable)
    wanted, held = call.query.get("principal"), (call.principal, EVERYONE)
    if not everybody and wanted not in (None, *held):
        raise PermissionDenied.missing("MANAGE", securable.kind.value, securable.name)
    return lambda principal: (everybody or principal in held) and wanted in (None, principal)
