"""Who allowed this job to read a table: its effective grants, as Unity Catalog shows them.

    access = catalog.read_access(table)
    reading(workspace, table.name, access, read_at=utc_now())  # documents.reading.Reading

A right comes from a grant to the principal, from a grant to the group that contains everybody, or
from ownership, which is recorded as the privilege OWNER. Ownership of a schema or a catalog gives
the right to use it, so it is recorded too. A privilege on the metastore is not inherited
[docs.databricks.com]. Grants to other groups are not looked up: the API does not list who is in
them.

The REST API is called directly, since the SDK drops privileges that it does not know
(steps/prepare/rights.py). All calls are reads. A record of rights is evidence, not a check: what
Unity Catalog does not show becomes `grants_unknown`, and the job continues.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from steps.governance.documents.reading import Grant, Reading, VendedCredential
from steps.governance.errors import AccessDenied, GovernanceError, MalformedAnswer, NotFound
from steps.governance.names import UcName
from steps.governance.unity_catalog.credentials import Access
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.refusals import translated

EVERYBODY = "account users"
OWNER = "OWNER"
_API = "/api/2.1/unity-catalog"
_PAGE = 0  # the server's own page length, as the API's documentation recommends
_MOST_PAGES = 1000


def reading(workspace: Workspace, table: UcName, access: Access, read_at: datetime) -> Reading:
    """Return the record of one reading of `table` by this job's principal.

    `access` is the vended right by which the table is read.
    """
    grants, unknown = _shown(_Shown(workspace, table))
    return Reading(
        principal=workspace.principal,
        table=str(table),
        read_at=rfc3339(read_at),
        credential=vended(access),
        grants=grants,
        grants_unknown=unknown,
    )


def vended(access: Access) -> VendedCredential:
    """Return scope and times of the first credential of a read access, without its keys."""
    return VendedCredential(
        location=access.location,
        operation="READ",
        issued_at=rfc3339(access.first.issued_at),
        expires_at=rfc3339(access.first.expires_at),
        renewals=access.renewals,
    )


def rfc3339(time: datetime) -> str:
    """Return a time in UTC, in whole seconds: 2026-11-28T22:00:00Z."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown(shown: "_Shown") -> tuple[list[Grant] | None, str | None]:
    """Return the grants and None, or None and the reason.

    Both, if Unity Catalog shows the principal's own grants and not those of everybody.
    """
    try:
        own = {*shown.granted_to(shown.principal), *shown.owned()}
    except GovernanceError as error:
        return None, _one_line(error)
    try:
        of_everybody = set(shown.granted_to(EVERYBODY))
    except GovernanceError as error:
        return _ordered(own), f"grants to {EVERYBODY}: {_one_line(error)}"
    return _ordered(own | of_everybody), None


class _Shown:
    """What the workspace shows this job about one table."""

    def __init__(self, workspace: Workspace, table: UcName) -> None:
        self.principal, self._client, self._table = workspace.principal, workspace.client, table

    def granted_to(self, holder: str) -> Iterator[Grant]:
        """Yield the grants to `holder` on the table and on what contains it."""
        doing = f"look up the grants on table {self._table}"
        query: dict[str, Any] = {"principal": holder, "max_results": _PAGE}
        for _ in range(_MOST_PAGES):
            answer = self._get(f"effective-permissions/TABLE/{self._table}", doing, query)
            try:
                yield from self._grants(answer, holder)
                token = answer.get("next_page_token") or ""
            except (AttributeError, LookupError, TypeError, ValidationError):
                raise _malformed(doing) from None
            if not token:
                return
            query["page_token"] = token
        raise _malformed(doing)

    def _grants(self, answer: Mapping[str, Any], holder: str) -> Iterator[Grant]:
        for assignment in answer.get("privilege_assignments") or ():
            if assignment["principal"] != holder:
                continue
            for held in assignment.get("privileges") or ():
                yield Grant.model_validate(
                    {
                        "privilege": held["privilege"],
                        "holder": holder,
                        "securable_type": held.get("inherited_from_type") or "TABLE",
                        "securable": held.get("inherited_from_name") or str(self._table),
                    }
                )

    def owned(self) -> Iterator[Grant]:
        """Yield one grant for each of table, schema and catalog that the principal owns."""
        table = self._table
        for kind, path, name in (
            ("TABLE", "tables", str(table)),
            ("SCHEMA", "schemas", table.schema_name),
            ("CATALOG", "catalogs", table.catalog),
        ):
            try:
                owner = self._get(f"{path}/{name}", f"look up {name}").get("owner")
            except (AccessDenied, NotFound):
                continue  # an owner always sees what it owns
            if owner == self.principal:
                yield Grant.model_validate(
                    {"privilege": OWNER, "holder": owner, "securable_type": kind, "securable": name}
                )

    def _get(
        self, path: str, doing: str, query: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        with translated(self.principal, doing):
            answer = self._client.api_client.do("GET", f"{_API}/{path}", query=dict(query or {}))
        if not isinstance(answer, dict):
            raise _malformed(doing)
        return answer


def _malformed(doing: str) -> MalformedAnswer:
    return MalformedAnswer(f"the workspace's answer could not be read: {doing}")


def _ordered(grants: set[Grant]) -> list[Grant]:
    return sorted(
        grants, key=lambda one: (one.securable_type, one.securable, one.privilege, one.holder)
    )


def _one_line(error: GovernanceError) -> str:
    """Return the workspace's own words on one line."""
    text = str(error.__cause__ or error.what).partition(" Config: ")[0]
    return " ".join(text.split())[:300]
