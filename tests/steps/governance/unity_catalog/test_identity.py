"""One principal, one host, one secret: proven at once, and the secret goes nowhere else."""

import json
import logging
import os

import boto3
import pytest

from steps.governance.errors import IdentityRefused, Unavailable, UsageError
from steps.governance.unity_catalog.identity import connect
from steps.governance.unity_catalog.retrying import CONNECTING_SECONDS
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.governance.support.token_endpoint import TokenEndpoint


@pytest.fixture
def clock() -> FakedClock:
    return FakedClock()


def test_the_right_secret_gives_a_client_that_carries_a_token(
    secret: str, tokens: TokenEndpoint
) -> None:
    tokens.accepted = {"app-1": "s3cret-one"}
    workspace = connect(host=tokens.origin, secret_id=secret, region="us-east-1")
    assert workspace.principal == "app-1"
    assert workspace.client.config.authenticate() == {"Authorization": "Bearer token-1"}
    assert len(tokens.asked) == 1


def test_a_token_in_the_environment_does_not_win(
    secret: str, tokens: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "dapi-of-somebody-else")
    tokens.accepted = {"app-1": "s3cret-one"}
    workspace = connect(host=tokens.origin, secret_id=secret, region="us-east-1")
    assert workspace.client.config.authenticate() == {"Authorization": "Bearer token-1"}


def test_a_wrong_secret_is_refused_once_and_shown_nowhere(
    secret: str, tokens: TokenEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens.accepted = {"app-1": "another"}
    with pytest.raises(IdentityRefused) as refusal:
        connect(host=tokens.origin, secret_id=secret, region="us-east-1")
    assert len(tokens.asked) == 1
    assert "app-1" in str(refusal.value)
    assert tokens.origin in str(refusal.value)
    assert "invalid_client" in str(refusal.value)
    assert "s3cret-one" not in str(refusal.value) + caplog.text


def test_a_rotated_secret_is_read_again(secret: str, tokens: TokenEndpoint) -> None:
    tokens.accepted = {"app-1": "s3cret-one"}
    tokens.expires_in = 0
    workspace = connect(host=tokens.origin, secret_id=secret, region="us-east-1")
    tokens.accepted = {"app-1": "s3cret-two"}
    boto3.client("secretsmanager").put_secret_value(
        SecretId=secret,
        SecretString=json.dumps({"clientId": "app-1", "clientSecret": "s3cret-two"}),
    )
    workspace.client.config.authenticate()
    assert tokens.asked[-2:] == [("app-1", "s3cret-one"), ("app-1", "s3cret-two")]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(
    secret: str, tokens: TokenEndpoint, clock: FakedClock, status: int
) -> None:
    tokens.accepted, tokens.first_answers = {"app-1": "s3cret-one"}, [status, status]
    connect(host=tokens.origin, secret_id=secret, region="us-east-1", policy=clock.policy())
    assert len(tokens.asked) == 3
    assert clock.pauses == [0.5, 1.0]


def test_a_lasting_fault_ends_within_the_budget(
    secret: str, tokens: TokenEndpoint, clock: FakedClock
) -> None:
    tokens.first_answers = [503] * 99
    with pytest.raises(Unavailable, match="HTTP 503"):
        connect(host=tokens.origin, secret_id=secret, region="us-east-1", policy=clock.policy())
    assert 50 < clock.passed < CONNECTING_SECONDS
    assert len(tokens.asked) == len(clock.pauses) + 1


def test_a_longer_pause_than_the_budget_ends_at_once_and_is_named(
    secret: str, tokens: TokenEndpoint, clock: FakedClock
) -> None:
    tokens.first_answers, tokens.headers = [429], {"Retry-After": "3600"}
    with pytest.raises(Unavailable, match=r"asked to wait 3600 s, 60 s are left") as error:
        connect(host=tokens.origin, secret_id=secret, region="us-east-1", policy=clock.policy())
    assert error.value.retry_after_seconds == 3600
    assert clock.pauses == []


@pytest.mark.parametrize(
    "answer",
    [
        *(
            {},
            [],
            None,
            "token",
            7,
            {"access_token": "t"},
            {"access_token": "t", "expires_in": "soon"},
        ),
        *({"access_token": None, "expires_in": 60}, {"access_token": ["t"], "expires_in": 60}),
        *({"access_token": "t\n", "expires_in": 60}, {"access_token": "t", "expires_in": 10**30}),
    ],
)
def test_an_answer_without_a_token_is_refused(
    secret: str, tokens: TokenEndpoint, answer: object
) -> None:
    tokens.instead = answer
    with pytest.raises(IdentityRefused, match="answered without a valid access token"):
        connect(host=tokens.origin, secret_id=secret, region="us-east-1")


def test_an_unreachable_workspace_is_named(secret: str, clock: FakedClock) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9 gave no access token"):
        connect(
            host="http://127.0.0.1:9", secret_id=secret, region="us-east-1", policy=clock.policy()
        )


def test_a_process_without_aws_credentials_ends_at_once(
    clock: FakedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    host = "https://dbc-0a1b2c3d-4e5f.cloud.databricks.com"
    with pytest.raises(IdentityRefused, match=r"no AWS credentials(.|\n)*NoCredentialsError"):
        connect(host=host, secret_id="a/b", region="us-east-1", policy=clock.policy())
    assert clock.pauses == []


def test_a_missing_secret_is_named(as_root: str, tokens: TokenEndpoint) -> None:
    with pytest.raises(
        IdentityRefused,
        match=r"the secret databricks/absent could not be read(.|\n)*ResourceNotFound",
    ):
        connect(host=tokens.origin, secret_id="databricks/absent", region="us-east-1")
    assert tokens.asked == []


@pytest.mark.parametrize(
    "content", ["", "text", "[]", '{"clientId": "app-1"}', '{"clientId": 1, "clientSecret": "x"}']
)
def test_a_secret_of_another_shape_is_refused_unshown(
    secret: str, tokens: TokenEndpoint, content: str
) -> None:
    if content:
        boto3.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=content)
    else:
        boto3.client("secretsmanager").put_secret_value(SecretId=secret, SecretBinary=b"\x00")
    with pytest.raises(IdentityRefused, match="holds no Databricks service principal"):
        connect(host=tokens.origin, secret_id=secret, region="us-east-1")
    assert tokens.asked == []


def test_a_host_that_is_no_workspace_is_refused_before_the_secret_is_read(
    secret: str, tokens: TokenEndpoint
) -> None:
    with pytest.raises(UsageError, match="refused before any secret was read"):
        connect(
            host="https://dbc-1.cloud.databricks.com.evil.example",
            secret_id=secret,
            region="us-east-1",
        )
    assert tokens.asked == []
