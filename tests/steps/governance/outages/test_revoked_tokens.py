"""A token that was revoked before its expiry is dropped once; then the secret is read again."""

import json
import logging

import boto3
import pytest

from steps.governance.errors import IdentityRefused
from steps.governance.unity_catalog.catalog import Catalog
from steps.governance.unity_catalog.identity import Workspace, connect
from steps.governance.unity_catalog.once import client_that_sends_once
from steps.governance.unity_catalog.refusals import translated
from steps.register.model_registry import mlflow_session
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.governance.support.troubled_server import Answer, Troubled
from tests.steps.governance.support.workspace_calls import NAME, TABLE, create_table

REFUSED = Answer(401, '{"error_code": "UNAUTHENTICATED", "message": "Token was revoked"}')
TOKEN, READ = "POST /oidc/v1/token", "GET /api/2.1/unity-catalog/tables/edgar.raw.filings"
CREATE = "POST /api/2.1/unity-catalog/tables"


def token(number: int) -> Answer:
    """Return the token endpoint's answer."""
    return Answer(
        body=json.dumps({"access_token": f"t{number}", "token_type": "Bearer", "expires_in": 3600})
    )


@pytest.fixture
def connected(secret: str, server: Troubled, clock: FakedClock) -> Workspace:
    """A workspace whose first token was given; the requests before are forgotten."""
    server.script = [token(1)]
    made = connect(host=server.host, secret_id=secret, region="us-east-1", policy=clock.policy())
    server.asked.clear()
    server.tokens.clear()
    return made


def rotate(secret: str) -> None:
    """Put another client secret into the secret of the fixture."""
    boto3.client("secretsmanager").put_secret_value(
        SecretId=secret,
        SecretString=json.dumps({"clientId": "app-1", "clientSecret": "s3cret-two"}),
    )


def test_a_revoked_token_is_replaced_and_later_calls_use_the_new_one(
    connected: Workspace, server: Troubled, clock: FakedClock, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = [REFUSED, token(2), Answer(body=TABLE)]
    assert Catalog(connected).table(NAME).location == "s3://b/raw"
    Catalog(connected).table(NAME)
    assert server.asked == [READ, TOKEN, READ, READ]
    assert [server.tokens[n] for n in (0, 2, 3)] == ["Bearer t1", "Bearer t2", "Bearer t2"]
    assert clock.pauses == []
    (line,) = [r.getMessage() for r in caplog.records if "dropped" in r.getMessage()]
    assert "t1" not in line


def test_an_effect_that_got_a_401_is_sent_again(connected: Workspace, server: Troubled) -> None:
    server.script = [REFUSED, token(2), Answer()]
    create_table(connected)
    assert server.asked == [CREATE, TOKEN, CREATE]


def test_a_rotated_secret_gives_a_third_token(
    connected: Workspace, secret: str, server: Troubled
) -> None:
    rotate(secret)
    server.script = [REFUSED, token(2), REFUSED, token(3), Answer(body=TABLE)]
    Catalog(connected).table(NAME)
    assert server.asked == [READ, TOKEN, READ, TOKEN, READ]
    assert server.tokens[1] != server.tokens[3]  # the two requests carried different secrets
    assert server.tokens[4] == "Bearer t3"


@pytest.mark.parametrize("rotated", [False, True])
def test_a_principal_that_is_refused_with_every_token_ends_the_call(
    connected: Workspace, secret: str, server: Troubled, clock: FakedClock, rotated: bool
) -> None:
    if rotated:
        rotate(secret)
    server.script = [REFUSED, token(2), REFUSED, *([token(3)] if rotated else []), REFUSED]
    with pytest.raises(IdentityRefused, match=r"(?s)app-1 was rejected.*Token was revoked") as end:
        Catalog(connected).table(NAME)
    assert server.asked == [READ, TOKEN] * (2 if rotated else 1) + [READ]
    assert clock.pauses == []
    assert "s3cret" not in str(end.value) + repr(end.value.__cause__)


def test_a_token_endpoint_that_refuses_after_a_revocation_ends_the_call(
    connected: Workspace, server: Troubled
) -> None:
    server.script = [REFUSED, Answer(401, '{"error": "invalid_client"}')]
    with pytest.raises(IdentityRefused, match="refused the service principal app-1"):
        Catalog(connected).table(NAME)
    assert server.asked == [READ, TOKEN]


def test_the_client_that_sends_once_replaces_a_revoked_token(
    connected: Workspace, server: Troubled
) -> None:
    server.script = [REFUSED, token(2), Answer(body=TABLE)]
    with translated("p", "look up"):
        client_that_sends_once(connected).tables.get(str(NAME))
    assert server.asked == [READ, TOKEN, READ]


def test_mlflow_gets_the_new_token_too(
    connected: Workspace, server: Troubled, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = mlflow_session.mlflow_client(connected)
    model = '{"registered_model": {"name": "edgar.models.m"}}'
    server.script = [REFUSED, token(2), Answer(body=model)]
    with mlflow_session.translated("p", "look up"):
        assert client.get_registered_model("edgar.models.m").name == "edgar.models.m"
    assert server.asked[1] == TOKEN
    assert server.tokens[0] == "Bearer t1"
    assert server.tokens[-1] == "Bearer t2"
    assert "Bearer t" not in caplog.text
