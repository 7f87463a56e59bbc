"""Reads are retried within a budget, effects are sent once, and databricks-sdk never retries."""

import logging
import time
from collections.abc import Iterator
from email.utils import format_datetime
from typing import Any

import pytest
from databricks.sdk.service.catalog import (
    CreateRequestExternalLineage,
    DataSourceFormat,
    TableOperation,
    TableType,
)

from steps.governance.catalog import Catalog
from steps.governance.errors import (
    ContainerNotFound,
    GovernanceError,
    InvalidRequest,
    MalformedAnswer,
    NotFound,
    Unavailable,
)
from steps.governance.identity import Workspace
from steps.governance.lineage import Lineage, job, table
from steps.governance.names import UcName, metadata_name
from steps.governance.once import client_that_sends_once
from steps.governance.refusals import translated
from steps.governance.sdk_client import workspace_client
from tests.steps.governance.faked_clock import START, FakedClock
from tests.steps.governance.troubled_server import Answer, Troubled, serving

NAME = UcName.parse("edgar.raw.filings")
TABLE = (
    '{"table_id": "1", "storage_location": "s3://b/raw", "data_source_format": "DELTA", '
    '"full_name": "a.b.c"}'
)
VENDED = (
    '{"aws_temp_credentials": {"access_key_id": "a", "secret_access_key": "s", '
    '"session_token": "t"},'
    ' "expiration_time": 1900000000000}'
)
PASSING = [0, 408, 429, 500, 502, 503, 504]


@pytest.fixture
def clock() -> FakedClock:
    return FakedClock()


@pytest.fixture
def server() -> Iterator[Troubled]:
    with serving() as state:
        yield state


@pytest.fixture
def workspace(server: Troubled, clock: FakedClock) -> Workspace:
    policy, renewed = clock.policy(), iter(range(1, 999))
    client = workspace_client(
        server.host, lambda: {"Authorization": f"Bearer {next(renewed)}"}, policy=policy
    )
    return Workspace(server.host, "the-principal", client, policy)


def create_table(workspace: Workspace) -> object:
    kind, form = TableType.EXTERNAL, DataSourceFormat.DELTA
    with translated("p", "create a table"):
        return workspace.client.tables.create("n", "c", "s", kind, form, "s3://b/x")


def vend(workspace: Workspace) -> object:
    api = workspace.client.temporary_table_credentials
    with translated("p", "vend"):
        return api.generate_temporary_table_credentials(operation=TableOperation.READ, table_id="1")


@pytest.mark.parametrize("status", PASSING)
def test_a_read_is_repeated_until_it_is_answered(
    workspace: Workspace,
    server: Troubled,
    clock: FakedClock,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.script = [Answer(status), Answer(status), Answer(status), Answer(body=TABLE)]
    assert Catalog(workspace).table(NAME).location == "s3://b/raw"
    assert server.asked == ["GET /api/2.1/unity-catalog/tables/edgar.raw.filings"] * 4
    assert clock.pauses == [0.5, 1.0, 2.0]
    waits = [record for record in caplog.records if record.name == "steps.governance.retrying"]
    assert [record.levelno for record in waits] == [logging.WARNING] * 3
    cause = f"HTTP {status}" if status else "ConnectionError"
    assert f"edgar.raw.filings: {cause}" in waits[0].getMessage()
    assert "attempt 2 follows in 0.5 s, 60 s are left" in waits[0].getMessage()


@pytest.mark.parametrize("status", PASSING)
def test_vending_a_credential_is_a_read(
    workspace: Workspace, server: Troubled, clock: FakedClock, status: int
) -> None:
    server.script = [Answer(status), Answer(body=VENDED)]
    vend(workspace)
    assert clock.pauses == [0.5]


def test_a_repeated_read_carries_a_token_that_is_valid_by_then(
    workspace: Workspace, server: Troubled
) -> None:
    server.script = [Answer(502), Answer(body=TABLE)]
    Catalog(workspace).table(NAME)
    assert len(set(server.tokens)) == 2


@pytest.mark.parametrize("status", [502, 429])
def test_a_read_that_is_never_answered_ends_within_its_budget(
    workspace: Workspace, server: Troubled, clock: FakedClock, status: int
) -> None:
    server.script = [Answer(status)]
    with pytest.raises(
        Unavailable,
        match=rf"the-principal tried to look up table .*(.|\n)*HTTP {status} \(attempt ",
    ):
        Catalog(workspace).table(NAME)
    assert 50 < clock.passed < 60


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("effect", [False, True])
def test_a_retry_after_beyond_the_budget_ends_the_call_at_once(
    workspace: Workspace, server: Troubled, clock: FakedClock, status: int, effect: bool
) -> None:
    server.script = [Answer(status, headers={"Retry-After": "3600"})]
    began = time.monotonic()
    with pytest.raises(Unavailable) as error:
        create_table(workspace) if effect else Catalog(workspace).table(NAME)
    assert error.value.retry_after_seconds == 3600
    assert clock.pauses == []
    assert time.monotonic() - began < 5
    assert len(server.asked) == 1
    assert "the service asked to wait 3600 s, 60 s are left of the 60 s for this call" in str(
        error.value
    )


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        *(
            ("7", 7.0),
            (" 7 ", 7.0),
            ("0", 0.5),
            ("soon", 0.5),
            ("-5", 0.5),
            ("1.5", 0.5),
            ("", 0.5),
        ),
        (format_datetime(START.replace(second=20), usegmt=True), 20.0),
        (format_datetime(START.replace(year=2020), usegmt=True), 0.5),
        ("Sat, 28 Nov 2026 12:00:09 -0000", 9.0),
        ("Mon, 99 Foo 2026 99:99:99 GMT", 0.5),
    ],
)
def test_retry_after_is_honoured_in_seconds_and_as_a_date(
    workspace: Workspace, server: Troubled, clock: FakedClock, header: str, pause: float
) -> None:
    server.script = [Answer(503, headers={"Retry-After": header}), Answer(body=TABLE)]
    Catalog(workspace).table(NAME)
    assert clock.pauses == [pause]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 501])
def test_a_final_refusal_is_not_repeated(
    workspace: Workspace, server: Troubled, clock: FakedClock, status: int
) -> None:
    body = (
        '{"error_code": "X", "message": "Unexpected error: Please try again later or try a '
        'faster operation."}'
    )
    server.script = [Answer(status, body)]  # databricks-sdk repeats what has such a text
    with pytest.raises(GovernanceError) as error:
        Catalog(workspace).table(NAME)
    assert not isinstance(error.value, Unavailable)
    assert len(server.asked) == 1
    assert clock.pauses == []


@pytest.mark.parametrize("status", [0, 408, 500, 502, 503, 504])
def test_an_effect_without_an_answer_is_sent_once(
    workspace: Workspace, server: Troubled, status: int
) -> None:
    server.script = [Answer(status), Answer()]
    with pytest.raises(Unavailable):
        create_table(workspace)
    assert len(server.asked) == 1


def test_an_effect_that_a_rate_limit_refused_is_sent_again(
    workspace: Workspace, server: Troubled, clock: FakedClock
) -> None:
    server.script = [Answer(429, headers={"Retry-After": "3"}), Answer()]
    create_table(workspace)
    assert clock.pauses == [3.0]


def test_an_effect_that_found_no_connection_is_sent_again(clock: FakedClock) -> None:
    client = workspace_client(
        "http://127.0.0.1:9", lambda: {"Authorization": "Bearer t"}, policy=clock.policy()
    )
    with pytest.raises(Unavailable, match=r"ConnectionError \(NewConnectionError\)"):
        create_table(Workspace("http://127.0.0.1:9", "p", client))
    assert len(clock.pauses) > 3


def test_a_table_whose_creation_was_lost_is_found_and_not_created_twice(
    workspace: Workspace, server: Troubled
) -> None:
    server.script = [Answer(502), Answer(body=TABLE)]
    made = Catalog(workspace).create_external_table(NAME, "s3://b/raw", columns=[], properties={})
    assert made.location == "s3://b/raw"
    assert [asked.split()[0] for asked in server.asked] == ["POST", "GET", "GET"]


def test_a_table_that_was_not_created_is_created_by_the_next_attempt(
    workspace: Workspace, server: Troubled, caplog: pytest.LogCaptureFixture
) -> None:
    missing = Answer(404, '{"error_code": "TABLE_DOES_NOT_EXIST", "message": "no"}')
    server.script = [Answer(502), missing, Answer(), Answer(body=TABLE)]
    Catalog(workspace).create_external_table(NAME, "s3://b/raw", columns=[], properties={})
    (waited,) = [
        record.getMessage()
        for record in caplog.records
        if "attempt 2 follows" in record.getMessage()
    ]
    assert "create edgar.raw.filings" in waited
    assert "HTTP 502" in waited
    assert [asked.split()[0] for asked in server.asked] == ["POST", "GET", "POST", "GET"]


def test_a_client_that_sends_once_repeats_nothing_and_waits_for_nothing(
    workspace: Workspace, server: Troubled, clock: FakedClock
) -> None:
    once, node = client_that_sends_once(workspace), job(metadata_name("arn:1"))
    server.script = [Answer(429, headers={"Retry-After": "3600"})]
    request = CreateRequestExternalLineage(source=table(NAME), target=node)
    for call in (
        lambda: once.tables.get("a.b.c"),
        lambda: once.external_lineage.create_external_lineage_relationship(request),
    ):
        with pytest.raises(Unavailable) as error, translated("p", "call"):
            call()
        assert error.value.retry_after_seconds == 3600
    assert len(server.asked) == 2
    assert clock.pauses == []


def test_creating_a_client_sends_no_request(workspace: Workspace, server: Troubled) -> None:
    client_that_sends_once(workspace)
    assert server.asked == []


def test_a_token_in_the_environment_and_a_profile_do_not_win(
    workspace: Workspace, server: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "dapi-of-somebody-else")
    server.script = [Answer(body=TABLE)]
    client_that_sends_once(workspace).tables.get("a.b.c")
    assert server.tokens == ["Bearer 1"]


WRONG = ["[]", '"text"', "7", "null", "true", "<html>login</html>", "", "{", '{"a":']


@pytest.mark.parametrize("body", WRONG)
@pytest.mark.parametrize("call", ["table", "vend", "schema", "edges", "node", "create"])
def test_an_answer_that_is_no_json_object_is_one_typed_error(
    workspace: Workspace, server: Troubled, clock: FakedClock, body: str, call: str
) -> None:
    catalog, lineage, end = Catalog(workspace), Lineage(workspace), table(NAME)
    calls: dict[str, Any] = {
        "table": lambda: catalog.table(NAME),
        "vend": lambda: vend(workspace),
        "schema": lambda: catalog.require_schema(NAME),
        "edges": lambda: lineage.ensure_edge(end, job(metadata_name("a"))),
        "node": lambda: workspace.client.external_metadata.get_external_metadata("x"),
        "create": lambda: create_table(workspace) if body else catalog.table(NAME),
    }
    server.script = [Answer(body=body)]
    with pytest.raises(MalformedAnswer, match="could not be read"), translated("p", "look it up"):
        calls[call]()
    assert clock.pauses == []


def test_an_effect_may_be_answered_with_nothing(workspace: Workspace, server: Troubled) -> None:
    server.script = [Answer(body="")]
    create_table(workspace)


@pytest.mark.parametrize(
    "body",
    [
        *(
            '{"columns": "text"}',
            '{"columns": [1]}',
            '{"columns": {"a": 1}}',
            '{"row_filter": "f"}',
            '{"columns": [null]}',
        ),
        *(
            '{"table_id": 7, "storage_location": "s3://b"}',
            '{"table_id": "1", "storage_location": ["s3://b"]}',
            "{}",
        ),
    ],
)
def test_fields_of_other_types_are_a_typed_error(
    workspace: Workspace, server: Troubled, body: str
) -> None:
    merged = body.replace("{", '{"data_source_format": "DELTA", ', 1).replace(", }", "}")
    server.script = [Answer(body=merged)]
    with pytest.raises(GovernanceError):
        Catalog(workspace).table(NAME)


@pytest.mark.parametrize(
    "body",
    [
        '{"aws_temp_credentials": "text"}',
        (
            '{"aws_temp_credentials": {"access_key_id": 1, "secret_access_key": "s", '
            '"session_token": "t"}}'
        ),
        VENDED.replace("1900000000000", '"soon"'),
        VENDED.replace("1900000000000", "null"),
        VENDED.replace("1900000000000", "1e300"),
        VENDED.replace("1900000000000", "[]"),
    ],
)
def test_a_credential_of_another_shape_is_a_typed_error(
    workspace: Workspace, server: Troubled, body: str
) -> None:
    server.script = [Answer(body=TABLE), Answer(body=body)]
    catalog = Catalog(workspace)
    found = catalog.table(NAME)
    with pytest.raises(MalformedAnswer):
        catalog.read_access(found)


@pytest.mark.parametrize(
    "relation", ['"text"', "[]", '{"source": {}}', '{"source": null, "target": "x"}', "7"]
)
def test_an_edge_of_another_shape_is_a_typed_error(
    workspace: Workspace, server: Troubled, relation: str
) -> None:
    server.script = [
        Answer(
            body='{"external_lineage_relationships": [{"external_lineage_info": ' + relation + "}]}"
        )
    ]
    with pytest.raises(MalformedAnswer):
        Lineage(workspace).ensure_edge(table(NAME), job(metadata_name("a")))


def test_a_fault_of_our_own_is_not_blamed_on_the_workspace() -> None:
    with pytest.raises(TypeError), translated("p", "call"):
        len(7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"error_code": "TABLE_DOES_NOT_EXIST", "message": "Table does not exist."}', NotFound),
        ('{"error_code": "SCHEMA_DOES_NOT_EXIST", "message": "no"}', ContainerNotFound),
        ('{"error_code": "CATALOG_DOES_NOT_EXIST", "message": "no"}', ContainerNotFound),
        (
            '{"error_code": "NOT_FOUND", "message": "Schema \'edgar.x\' does not exist."}',
            ContainerNotFound,
        ),
    ],
)
def test_a_missing_schema_is_another_error_than_a_missing_object(
    workspace: Workspace, server: Troubled, body: str, kind: type[Exception]
) -> None:
    server.script = [Answer(404, body)]
    with pytest.raises(NotFound) as error:
        Catalog(workspace).table(NAME)
    assert type(error.value) is kind


def test_a_refused_request_keeps_the_services_code_and_text(
    workspace: Workspace, server: Troubled
) -> None:
    server.script = [Answer(400, '{"error_code": "SOMETHING_NEW", "message": "not like this"}')]
    with pytest.raises(InvalidRequest, match="SOMETHING_NEW: not like this"):
        Catalog(workspace).table(NAME)
