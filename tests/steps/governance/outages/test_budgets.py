"""A job outlives outages of its budget, waits with growing pauses, and logs what it waits for."""

import re
from collections.abc import Callable, Iterator

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from steps.governance.errors import Unavailable
from steps.governance.evidence import Evidence
from steps.governance.sign_in import identities as secrets
from steps.governance.unity_catalog.budgets import (
    CONNECTING_SECONDS,
    DELIVERING_SECONDS,
    WORKING_SECONDS,
)
from steps.governance.unity_catalog.catalog import Catalog
from steps.governance.unity_catalog.identity import Workspace, connect
from steps.governance.unity_catalog.retrying import Policy
from steps.governance.unity_catalog.sdk.client import workspace_client
from tests.steps.governance.support.cut_store import CutStore, cutting
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.governance.support.token_endpoint import TokenEndpoint
from tests.steps.governance.support.troubled_server import Answer, Troubled
from tests.steps.governance.support.workspace_calls import NAME, TABLE

MINUTE = 60.0


def of_a_job(clock: FakedClock) -> Policy:
    """Return the policy that Prepare and Train connect with, on a clock that does not wait."""
    return Policy(WORKING_SECONDS, clock.policy().clock, starting_seconds=CONNECTING_SECONDS)


def answering_after(seconds: float, clock: FakedClock, answer: Answer) -> Iterator[Answer]:
    """Return 503 until this much time has passed on the clock."""
    while clock.passed < seconds:
        yield Answer(503)
    while True:
        yield answer


@pytest.fixture
def job(server: Troubled, clock: FakedClock) -> Workspace:
    policy = of_a_job(clock)
    client = workspace_client(server.host, lambda: {"Authorization": "Bearer t"}, policy=policy)
    return Workspace(server.host, "the-principal", client, policy)


def out_for(server: Troubled, clock: FakedClock, seconds: float) -> None:
    """Let the server answer 503 until this much time has passed on the clock."""
    server.answers = answering_after(seconds, clock, Answer(body=TABLE))


def test_the_stated_budgets_are_long_enough() -> None:
    assert CONNECTING_SECONDS >= 15 * MINUTE
    assert WORKING_SECONDS >= 30 * MINUTE
    assert DELIVERING_SECONDS >= 6 * 60 * MINUTE


@pytest.mark.parametrize("minutes", [1, 10, 30])
def test_a_job_outlives_an_outage_within(
    job: Workspace, server: Troubled, clock: FakedClock, minutes: int
) -> None:
    out_for(server, clock, minutes * MINUTE)
    assert Catalog(job).table(NAME).location == "s3://b/raw"
    assert minutes * MINUTE <= clock.passed < minutes * MINUTE + 31
    assert clock.pauses == sorted(clock.pauses)


def test_a_job_ends_after_its_budget_with_the_reason(
    job: Workspace, server: Troubled, clock: FakedClock, caplog: pytest.LogCaptureFixture
) -> None:
    out_for(server, clock, 60 * MINUTE)
    with pytest.raises(Unavailable, match=r"(?s)look up table.*HTTP 503 \(attempt \d+, after "):
        Catalog(job).table(NAME)
    assert 30 * MINUTE <= clock.passed <= WORKING_SECONDS
    lines = [r.getMessage() for r in caplog.records if "gives up at" in r.getMessage()]
    assert 3 < len(lines) < 16 < len(clock.pauses)
    assert re.search(r"tables/edgar.raw.filings: HTTP 503; attempt 2 follows in 0.5 s", lines[0])
    assert {line.partition("(")[2] for line in lines} == {
        "waits since 12:00:00, gives up at 12:32:00 UTC)"
    }


@pytest.mark.parametrize("minutes", [1, 10, 15])
def test_the_start_of_a_job_outlives_an_outage(
    secret: str, tokens: TokenEndpoint, clock: FakedClock, minutes: int
) -> None:
    tokens.accepted = {"app-1": "s3cret-one"}
    tokens.refuses_while = lambda: 503 if clock.passed < minutes * MINUTE else None
    connect(host=tokens.origin, secret_id=secret, region="us-east-1", policy=of_a_job(clock))
    assert minutes * MINUTE <= clock.passed < minutes * MINUTE + 31


def test_the_start_of_a_job_ends_after_its_budget(
    secret: str, tokens: TokenEndpoint, clock: FakedClock
) -> None:
    tokens.refuses_while = lambda: 503
    with pytest.raises(Unavailable, match="gave no access token"):
        connect(host=tokens.origin, secret_id=secret, region="us-east-1", policy=of_a_job(clock))
    assert 15 * MINUTE <= clock.passed <= CONNECTING_SECONDS


def test_a_later_token_has_the_budget_of_a_working_job(
    secret: str, tokens: TokenEndpoint, clock: FakedClock
) -> None:
    tokens.accepted, tokens.expires_in = {"app-1": "s3cret-one"}, 0
    made = connect(host=tokens.origin, secret_id=secret, region="us-east-1", policy=of_a_job(clock))
    tokens.refuses_while = lambda: 503 if clock.passed < 30 * MINUTE else None
    made.client.config.authenticate()
    assert clock.passed >= 30 * MINUTE


def test_a_job_starts_although_secrets_manager_does_not_answer_at_first(
    secret: str, tokens: TokenEndpoint, clock: FakedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens.accepted = {"app-1": "s3cret-one"}
    real = boto3.client

    def unanswered(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://secretsmanager")

    def client(service: str, **how: object) -> object:
        made = real(service, **how)
        if clock.passed < 15 * MINUTE:
            made.meta.events.register("before-send", unanswered)
        return made

    monkeypatch.setattr(secrets.boto3, "client", client)
    connect(host=tokens.origin, secret_id=secret, region="us-east-1", policy=of_a_job(clock))
    assert clock.passed >= 15 * MINUTE


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[CutStore]:
    with cutting(b"{}") as started:
        monkeypatch.setenv("AWS_ENDPOINT_URL", started.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield started


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    "act",
    [lambda e: e.read("s3://b/x"), lambda e: e.write_once("s3://b/x", b"{}")],
    ids=["read", "write"],
)
def test_evidence_outlives_an_outage_of_s3(
    store: CutStore, clock: FakedClock, status: int, act: Callable[[Evidence], object]
) -> None:
    store.refuses_while = lambda: status if clock.passed < 30 * MINUTE else None
    act(Evidence("us-east-1", of_a_job(clock)))
    assert clock.passed >= 30 * MINUTE
    clock.passed = 0.0
    store.refuses_while = lambda: status
    with pytest.raises(Unavailable, match="S3 gave no answer"):
        act(Evidence("us-east-1", of_a_job(clock)))
