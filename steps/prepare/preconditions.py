"""Check before anything is read whether Register will succeed, so that no training is wasted.

    preconditions.check(arguments, workspace)

The check covers whether the model's schema exists, whether the model's name is free or a model's,
whether the register principal may set the alias, and whether it holds the other rights that it
needs. All faults are in one message. Questions that the workspace does not answer to this job are
one warning: Register finds out later (docs/decisions/012-prepare-asks-for-register.md).
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from steps.governance.errors import AccessDenied, GovernanceError, NotFound
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Catalog
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.refusals import translated
from steps.prepare.arguments import UNKNOWN, Arguments
from steps.prepare.rights import Need, NotAnswered, Rights, is_individual, one_line

log = logging.getLogger(__name__)


@dataclass
class _Found:
    """The faults, their remedies, and the questions that got no answer."""

    faults: list[str] = field(default_factory=list)
    remedies: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)

    def wrong(self, fault: str, remedy: str) -> None:
        self.faults.append(fault)
        self.remedies.append(remedy)


def check(arguments: Arguments, workspace: Workspace) -> None:
    """Check everything that Register will need.

    Raises:
        GovernanceError: Register would refuse; with every reason, and what to do about each.
        Unavailable: the workspace did not answer.
    """
    found, name = _Found(), arguments.model_name
    needs = list(_lineage_needs(arguments))
    if _schema_is_there(workspace, name, found):
        needs += _model_needs(workspace, arguments, found)
    _check_rights(workspace, arguments.register_principal, needs, found)
    if found.unasked:
        log.warning("could not be asked: %s; Register will find out", "; ".join(found.unasked))
    if found.faults:
        raise GovernanceError(
            f"Register would refuse model {name}, nothing was read",
            expected="a model and rights with which Register can end",
            got="; ".join(found.faults),
            do="; ".join(dict.fromkeys(found.remedies)),
        )


def _schema_is_there(workspace: Workspace, name: UcName, found: _Found) -> bool:
    """Return False if the catalog or the schema is known to be missing."""
    try:
        Catalog(workspace).require_schema(name)
    except NotFound as error:
        found.wrong(
            f"schema {name.schema_name} of the model does not exist ({one_line(error)})",
            "correct ModelName, or have the schema created",
        )
        return False
    except AccessDenied as error:
        found.unasked.append(f"whether schema {name.schema_name} is there ({one_line(error)})")
    return True


def _model_needs(workspace: Workspace, arguments: Arguments, found: _Found) -> list[Need]:
    """Return the rights that Register needs for the model, which may not exist yet."""
    name, principal = arguments.model_name, arguments.register_principal
    get = workspace.client.registered_models.get
    within = ("USE_SCHEMA",)
    try:
        # A principal that holds only BROWSE sees a model only with `include_browse` [docstring of
        # databricks-sdk 0.156].
        model = _looked_up(
            workspace, f"look up model {name}", lambda: get(str(name), include_browse=True)
        )
    except NotAnswered as error:
        found.unasked.append(f"whether model {name} is there ({error})")
        return list(_uses(name, within))
    if model is None:
        _refuse_taken(workspace, name, found)
        return list(_uses(name, (*within, "CREATE_MODEL")))
    owner = str(model.owner or "")
    if not owner:
        found.unasked.append(f"who owns model {name}")
    if owner != principal and is_individual(owner) and principal != UNKNOWN:
        found.wrong(
            f"model {name} belongs to {owner}, and only its owner may set an alias (Register "
            f"acts as {principal})",
            f"choose another ModelName, or make `{principal}` the model's owner",
        )
    if owner in (principal, ""):
        return list(_uses(name, within))
    if not is_individual(owner):
        found.unasked.append(
            f"whether the register principal is a member of {owner}, which owns model {name}"
        )
    return [*_uses(name, within), Need("FUNCTION", str(name), ("CREATE_MODEL_VERSION",))]


def _refuse_taken(workspace: Workspace, name: UcName, found: _Found) -> None:
    """Find a table or function of this name. Models share their names with functions."""
    client = workspace.client
    lookups: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("table", lambda: client.tables.get(str(name), include_browse=True)),
        ("function", lambda: client.functions.get(str(name), include_browse=True)),
    )
    for kind, get in lookups:
        try:
            taken = _looked_up(workspace, f"look up {kind} {name}", get) is not None
        except NotAnswered as error:
            found.unasked.append(f"whether {name} is a {kind} ({error})")
            continue
        if taken:
            found.wrong(
                f"{name} is the name of a {kind}, not of a model", "choose another ModelName"
            )


def _looked_up(workspace: Workspace, doing: str, get: Callable[[], Any]) -> Any | None:
    """Return the object of that name, or None.

    Raises:
        NotAnswered: the workspace does not show it to this job.
    """
    try:
        with translated(workspace.principal, doing):
            return get()
    except NotFound:
        return None
    except AccessDenied as error:
        raise NotAnswered(one_line(error)) from error


def _lineage_needs(arguments: Arguments) -> Iterator[Need]:
    """Yield the rights for lineage edges: read the source of an edge, change its target."""
    yield Need("METASTORE", "", ("CREATE_EXTERNAL_METADATA",))
    for table, privileges in (
        (arguments.raw_table, ("SELECT",)),
        (arguments.curated_table, ("SELECT", "MODIFY")),
    ):
        yield from _uses(table, ("USE_SCHEMA",))
        yield Need("TABLE", str(table), privileges)


def _uses(name: UcName, privileges: tuple[str, ...]) -> Iterator[Need]:
    yield Need("CATALOG", name.catalog, ("USE_CATALOG",))
    yield Need("SCHEMA", name.schema_name, privileges)


def _check_rights(workspace: Workspace, principal: str, needs: list[Need], found: _Found) -> None:
    """Compare the register principal's rights with its needs."""
    if principal == UNKNOWN:
        found.unasked.append(
            "the rights of the register principal (register.databricks_client_id is null)"
        )
        return
    rights, unknown = Rights(workspace, principal), dict[str, list[str]]()
    for need in dict.fromkeys(needs):
        try:
            lacking = _lacking(rights, need)
        except NotAnswered as error:
            unknown.setdefault(str(error), []).append(need.on)
            continue
        for privilege in (each.replace("_", " ") for each in lacking):
            found.wrong(
                f"{principal} lacks {privilege} on {need.on}",
                f"GRANT {privilege} ON {need.on} TO `{principal}`",
            )
    found.unasked += [
        f"the rights of {principal} on {', '.join(on)} ({why})" for why, on in unknown.items()
    ]


def _lacking(rights: Rights, need: Need) -> list[str]:
    """Return the missing privileges.

    For a table that does not exist yet they are those on its schema, which new tables inherit.
    """
    try:
        return rights.lacking(need)
    except NotFound as error:
        if need.kind in ("CATALOG", "SCHEMA"):
            return []  # this job, or the check of the schema, names it
        if need.kind != "TABLE":
            raise NotAnswered(one_line(error)) from error
        schema = need.name.rpartition(".")[0]
    try:
        return rights.lacking(Need("SCHEMA", schema, need.privileges))
    except NotFound:
        return []
