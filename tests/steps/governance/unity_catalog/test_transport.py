"""Reads are retried within a budget, effects are sent once, and databricks-sdk never retries."""

import logging
import time
from email.utils import format_datetime

import pytest
from databricks.sdk.service.catalog import CreateRequestExternalLineage

from steps.governance.errors import GovernanceError, Unavailable
from steps.governance.names import metadata_name
from steps.governance.unity_catalog.catalog import Catalog
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.lineage import job, table
from steps.governance.unity_catalog.once import client_that_sends_once
from steps.governance.unity_catalog.refusals import translated
from steps.governance.unity_catalog.sdk.client import workspace_client
from tests.steps.governance.support.faked_clock import START, FakedClock
from tests.steps.governance.support.troubled_server import Answer, Troubled
from tests.steps.governance.support.workspace_calls import NAME, TABLE, VENDED, create_table, vend

PASSING = [0, 408, 429, 500, 502, 503, 504]


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
    waits = [
        record
        for record in caplog.records
        if record.name == "steps.governance.unity_catalog.retrying"
    ]
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
