"""AWS states to others which role a caller has: who may ask, for what, and what the token holds."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from jwt import PyJWKSet

from pipeline.local.aws import infrastructure
from pipeline.local.setup import federation
from pipeline.local.setup.grants import PRINCIPALS
from steps.governance.sign_in import role_token
from tests.local.aws.support.refusals import refused
from tests.local.aws.support.server import Server, make_server

pytestmark = pytest.mark.environment
ASKED: dict[str, Any] = {
    "Audience": ["databricks"],
    "DurationSeconds": 300,
    "SigningAlgorithm": "ES384",
}


@pytest.fixture(scope="module")
def federated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An account whose roles may state who they are."""
    found = make_server(tmp_path_factory.mktemp("federated"))
    found.start()
    try:
        client = found.client("cloudformation")
        found.outputs = infrastructure.deploy(client, {"DatabricksIdentity": "federated"})
        refused(
            found.client("sts", "prepare").get_web_identity_token,
            "OutboundWebIdentityFederationDisabled",
            **ASKED,
        )
        found.client("iam").enable_outbound_web_identity_federation()
        yield found
    finally:
        found.stop()


def claims(server: Server, token: str) -> dict[str, Any]:
    keys = PyJWKSet.from_dict(json.loads((server.state / "aws/web-identity/jwks.json").read_text()))
    found: dict[str, Any] = jwt.decode(token, keys["1"], ["ES384"], audience="databricks")
    return found


@pytest.mark.parametrize("role", PRINCIPALS)
def test_a_principals_role_gets_a_signed_token_with_its_own_name(
    federated: Server, role: str
) -> None:
    answer = federated.client("sts", role).get_web_identity_token(**ASKED)
    found = claims(federated, answer["WebIdentityToken"])
    assert found["sub"] == f"arn:aws:iam::000000000000:role/governed-finetune-local-{role}"
    info = federated.client("iam").get_outbound_web_identity_federation_info()
    assert (found["iss"], info["JwtVendingEnabled"]) == (info["IssuerIdentifier"], True)
    assert 0 < found["exp"] - time.time() <= 300


@pytest.mark.parametrize("role", ["pipeline", "ci", "mirror"])
def test_no_other_role_gets_one(federated: Server, role: str) -> None:
    refused(federated.client("sts", role).get_web_identity_token, **ASKED)


@pytest.mark.parametrize(
    "change",
    [
        {"Audience": ["somebody-else"]},
        {"Audience": ["databricks", "somebody-else"]},
        {"DurationSeconds": 301},
        {"SigningAlgorithm": "RS256"},
    ],
)
def test_no_token_for_others_or_for_longer(federated: Server, change: dict[str, Any]) -> None:
    refused(federated.client("sts", "prepare").get_web_identity_token, **ASKED | change)


def test_without_federation_no_role_gets_one(server: Server) -> None:
    for role in PRINCIPALS:
        refused(server.client("sts", role).get_web_identity_token, **ASKED)


def test_the_switch_answers_as_in_aws(federated: Server) -> None:
    iam = federated.client("iam")
    with pytest.raises(iam.exceptions.FeatureEnabledException):
        iam.enable_outbound_web_identity_federation()
    iam.disable_outbound_web_identity_federation()
    try:
        with pytest.raises(iam.exceptions.FeatureDisabledException):
            iam.get_outbound_web_identity_federation_info()
        refused(
            federated.client("sts", "train").get_web_identity_token,
            "OutboundWebIdentityFederationDisabled",
            **ASKED,
        )
    finally:
        iam.enable_outbound_web_identity_federation()


def test_the_private_key_is_readable_by_its_owner_alone(federated: Server) -> None:
    folder = Path(federated.state / "aws" / "web-identity")
    assert (folder / "key.pem").stat().st_mode & 0o077 == 0
    assert "PRIVATE" not in (folder / "jwks.json").read_text()
    assert set(json.loads((folder / "jwks.json").read_text())["keys"][0]) >= {"x", "y"}
    assert "d" not in json.loads((folder / "jwks.json").read_text())["keys"][0]


def test_a_step_requests_what_its_role_may_request(federated: Server) -> None:
    assert federation.AUDIENCE == role_token.AUDIENCE == ASKED["Audience"][0]
    assert ASKED["DurationSeconds"] == role_token.SECONDS
    assert ASKED["SigningAlgorithm"] == role_token.ALGORITHM
