"""The record of a reading: the grants that Unity Catalog shows, their origin, and what it hides."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from databricks.sdk.errors import PermissionDenied

from steps.governance.documents.reading import Grant, Reading
from steps.governance.names import UcName
from steps.governance.unity_catalog import granted
from steps.governance.unity_catalog.credentials import Access, Credential
from steps.governance.unity_catalog.identity import Workspace

TABLE = UcName.parse("edgar.raw.filings")
ME, EVERYBODY = "00000000-0000-0000-0000-000000000001", "account users"
AT = datetime(2026, 11, 28, 22, 0, 0, 900_000, UTC)
Answer = Callable[[str, dict[str, Any]], Any]


class Answering:
    """A workspace client that answers GET requests by one function of path and query."""

    principal = ME

    def __init__(self, answer: Answer) -> None:
        self._answer, self.asked = answer, list[tuple[str, dict[str, Any]]]()

    @property
    def client(self) -> "Answering":
        return self

    @property
    def api_client(self) -> "Answering":
        return self

    def do(self, method: str, path: str, *, query: dict[str, Any]) -> Any:
        assert method == "GET"
        self.asked.append((path, dict(query)))
        return self._answer(path, query)


def access() -> Access:
    times = iter(range(9))

    def vend() -> Credential:
        at = AT + timedelta(minutes=next(times))
        return Credential("KEY-ID", "SECRET", "TOKEN", at, at + timedelta(hours=1))

    return Access("s3://b/raw", vend, now=lambda: AT)


def held(privilege: str, kind: str | None = None, name: str | None = None) -> dict[str, Any]:
    origin = {"inherited_from_type": kind, "inherited_from_name": name} if kind else {}
    return {"privilege": privilege} | origin


def workspace(
    grants: dict[str, list[dict[str, Any]]], owners: dict[str, str] | None = None
) -> Answering:
    """Shows each holder's grants, one privilege a page, and these owners by name."""

    def answer(path: str, query: dict[str, Any]) -> Any:
        name = path.rpartition("/")[2]
        if "effective-permissions" not in path:
            return {"owner": (owners or {}).get(name, "somebody")}
        assert path.endswith(f"/TABLE/{TABLE}")
        of_holder = grants.get(query["principal"], [])
        page = int(query.get("page_token", 0))
        more = {"next_page_token": str(page + 1)} if page + 1 < len(of_holder) else {}
        shown = [
            {"principal": query["principal"], "privileges": [each]}
            for each in of_holder[page : page + 1]
        ]
        return ({"privilege_assignments": shown} if shown else {}) | more

    return Answering(answer)


def read(answering: Answering) -> Reading:
    return granted.reading(cast("Workspace", answering), TABLE, access(), AT)


def test_each_grant_has_its_holder_and_the_place_where_it_was_made() -> None:
    found = read(
        workspace(
            {
                ME: [held("SELECT"), held("EXTERNAL_USE_SCHEMA", "SCHEMA", "edgar.raw")],
                EVERYBODY: [held("USE_CATALOG", "CATALOG", "edgar")],
                "others": [held("MODIFY")],
            }
        )
    )
    assert found.grants == [
        Grant(
            privilege="USE_CATALOG", holder=EVERYBODY, securable_type="CATALOG", securable="edgar"
        ),
        Grant(
            privilege="EXTERNAL_USE_SCHEMA",
            holder=ME,
            securable_type="SCHEMA",
            securable="edgar.raw",
        ),
        Grant(privilege="SELECT", holder=ME, securable_type="TABLE", securable=str(TABLE)),
    ]
    assert found.grants_unknown is None
    assert (found.principal, found.table, found.read_at) == (ME, str(TABLE), "2026-11-28T22:00:00Z")


def test_ownership_and_all_privileges_are_recorded_as_such() -> None:
    owners = {str(TABLE): ME, "edgar.raw": "another", "edgar": ME}
    found = read(workspace({ME: [held("ALL_PRIVILEGES", "SCHEMA", "edgar.raw")]}, owners))
    assert [(one.privilege, one.securable_type, one.securable) for one in found.grants or []] == [
        ("OWNER", "CATALOG", "edgar"),
        ("ALL_PRIVILEGES", "SCHEMA", "edgar.raw"),
        ("OWNER", "TABLE", str(TABLE)),
    ]


def test_a_container_that_is_not_shown_is_not_owned() -> None:
    shown = workspace({ME: [held("SELECT")]})

    def answer(path: str, query: dict[str, Any]) -> Any:
        if path.endswith("/catalogs/edgar"):
            raise PermissionDenied("no USE CATALOG")
        return shown._answer(path, query)

    assert [one.privilege for one in read(Answering(answer)).grants or []] == ["SELECT"]


def _malformed(**assignment: Any) -> Answer:
    return lambda path, query: {"privilege_assignments": [{"principal": ME} | assignment]}


def _denied(path: str, query: dict[str, Any]) -> Any:
    raise PermissionDenied("User does not have MANAGE on Table 'edgar.raw.filings'.")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (_denied, "User does not have MANAGE"),
        (lambda path, query: [], "could not be read"),
        (lambda path, query: {"privilege_assignments": ["text"]}, "could not be read"),
        (lambda path, query: {"privilege_assignments": [{}]}, "could not be read"),
        (_malformed(privileges=[{}]), "could not be read"),
        (_malformed(privileges=[held("SELECT", "GALAXY", "milky way")]), "could not be read"),
        (_malformed(privileges=[held("SELECT", "SCHEMA", "edgar.raw") | {"privilege": 1}]), "not"),
        (lambda path, query: {"next_page_token": "the same"}, "could not be read"),
    ],
)
def test_grants_that_cannot_be_seen_are_unknown_with_the_reason(
    answer: Answer, reason: str
) -> None:
    found = read(Answering(answer))
    assert found.grants is None
    assert reason in str(found.grants_unknown)
    assert "\n" not in str(found.grants_unknown)


def test_own_grants_are_kept_where_those_of_everybody_are_not_shown() -> None:
    shown = workspace({ME: [held("SELECT")]})

    def answer(path: str, query: dict[str, Any]) -> Any:
        if query.get("principal") == EVERYBODY:
            raise PermissionDenied("only yours")
        return shown._answer(path, query)

    found = read(Answering(answer))
    assert [one.privilege for one in found.grants or []] == ["SELECT"]
    assert found.grants_unknown == "grants to account users: only yours"


def test_every_page_is_asked_for_by_the_servers_own_length() -> None:
    answering = workspace({ME: [held("SELECT"), held("MODIFY"), held("BROWSE")]})
    assert len(read(answering).grants or []) == 3
    queries = [query for _, query in answering.asked if query.get("principal") == ME]
    assert [query["max_results"] for query in queries] == [0, 0, 0]
    assert [query.get("page_token") for query in queries] == [None, "1", "2"]


def test_the_credential_is_the_first_one_with_the_number_of_renewals_and_no_key() -> None:
    now = [AT]
    times = iter(range(0, 600, 45))

    def vend() -> Credential:
        at = AT + timedelta(minutes=next(times))
        return Credential("KEY-ID", "SECRET", "TOKEN", at, at + timedelta(hours=1))

    used = Access("s3://b/raw", vend, now=lambda: now[0])
    now[0] = AT + timedelta(minutes=50)
    used.credential()
    used.credential()
    found = granted.reading(cast("Workspace", workspace({})), TABLE, used, AT)
    assert found.credential.model_dump() == {
        "location": "s3://b/raw",
        "operation": "READ",
        "issued_at": "2026-11-28T22:00:00Z",
        "expires_at": "2026-11-28T23:00:00Z",
        "renewals": 1,
    }
    assert not {"KEY-ID", "SECRET", "TOKEN"} & set(found.model_dump_json().split('"'))
