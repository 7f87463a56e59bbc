"""A principal without a secret: the AWS role's token is exchanged, and goes nowhere else."""

import logging
from collections.abc import Iterator

import pytest

from steps.governance.errors import IdentityRefused, Unavailable
from steps.governance.sign_in import role_token
from steps.governance.unity_catalog.identity import connect
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.governance.support.token_endpoint import TokenEndpoint
from tests.support.http_server import Handler, served

CLIENT = "0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f"
NAMED = f"federated:{CLIENT}"
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


class Sts:
    """Answers GetWebIdentityToken with a token that has the number of the request, or an error."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.errors: list[tuple[int, str]] = []

    def answer(self, body: str) -> tuple[int, str]:
        self.requests.append(body)
        if self.errors:
            status, code = self.errors.pop(0)
            return status, (
                f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Code>{code}</Code>'
                "<Message>no</Message></Error></ErrorResponse>"
            )
        return 200, (
            f'<GetWebIdentityTokenResponse xmlns="{NAMESPACE}"><GetWebIdentityTokenResult>'
            f"<WebIdentityToken>jwt-{len(self.requests)}</WebIdentityToken>"
            "<Expiration>2030-01-01T00:00:00Z</Expiration>"
            "</GetWebIdentityTokenResult></GetWebIdentityTokenResponse>"
        )


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sts]:
    state = Sts()

    class Server(Handler):
        def do_POST(self) -> None:
            status, text = state.answer(self.body().decode())
            self.answer(status, text.encode(), {"Content-Type": "text/xml"})

    with served(Server) as origin:
        monkeypatch.setenv("AWS_ENDPOINT_URL", origin)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
        yield state


@pytest.fixture
def clock() -> FakedClock:
    return FakedClock()


def test_the_roles_token_is_exchanged_for_the_principals(sts: Sts, tokens: TokenEndpoint) -> None:
    tokens.accepted = {CLIENT: "jwt-1"}
    workspace = connect(host=tokens.origin, secret_id=NAMED, region="us-east-1")
    assert workspace.principal == CLIENT
    assert workspace.client.config.authenticate() == {"Authorization": "Bearer token-1"}
    assert tokens.forms == [
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": "jwt-1",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "client_id": CLIENT,
            "scope": "all-apis",
        }
    ]
    (asked,) = sts.requests
    for part in ("Audience.member.1=databricks", "DurationSeconds=300", "SigningAlgorithm=ES384"):
        assert part in asked


def test_each_access_token_has_a_new_token_of_the_role(sts: Sts, tokens: TokenEndpoint) -> None:
    tokens.accepted, tokens.expires_in = {CLIENT: "jwt-1"}, 0
    workspace = connect(host=tokens.origin, secret_id=NAMED, region="us-east-1")
    tokens.accepted = {CLIENT: "jwt-2"}
    workspace.client.config.authenticate()
    assert [form["subject_token"] for form in tokens.forms] == ["jwt-1", "jwt-2"]


@pytest.mark.parametrize("refusal", [400, 401])
def test_a_token_that_expired_while_the_workspace_was_away_is_replaced_once(
    sts: Sts, tokens: TokenEndpoint, clock: FakedClock, refusal: int
) -> None:
    tokens.accepted, tokens.first_answers = {CLIENT: "jwt-2"}, [503, 503, refusal]
    connect(host=tokens.origin, secret_id=NAMED, region="us-east-1", policy=clock.policy())
    assert [form["subject_token"] for form in tokens.forms] == ["jwt-1"] * 3 + ["jwt-2"]


def test_a_principal_without_a_policy_is_refused_and_no_token_is_shown(
    sts: Sts, tokens: TokenEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(IdentityRefused) as refusal:
        connect(host=tokens.origin, secret_id=NAMED, region="us-east-1")
    assert len(tokens.asked) == 2
    assert "give this principal a federation policy" in str(refusal.value)
    assert CLIENT in str(refusal.value)
    shown = str(refusal.value) + caplog.text + repr(refusal.value.__context__)
    assert "jwt-1" not in shown
    assert "jwt-2" not in shown


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("OutboundWebIdentityFederationDisabledException", "enable-outbound-web-identity"),
        ("AccessDenied", "DatabricksIdentity=federated"),
    ],
)
def test_what_aws_refuses_names_who_can_allow_it(
    sts: Sts, tokens: TokenEndpoint, code: str, advice: str
) -> None:
    sts.errors = [(403, code)]
    with pytest.raises(IdentityRefused, match=advice):
        connect(host=tokens.origin, secret_id=NAMED, region="us-east-1")
    assert tokens.asked == []


def test_an_outage_of_sts_is_waited_for(sts: Sts, tokens: TokenEndpoint, clock: FakedClock) -> None:
    sts.errors = [(503, "ServiceUnavailable"), (429, "Throttling")]
    tokens.accepted = {CLIENT: "jwt-3"}
    connect(host=tokens.origin, secret_id=NAMED, region="us-east-1", policy=clock.policy())
    assert len(sts.requests) == 3


def test_an_outage_of_sts_ends_within_the_budget(
    sts: Sts, tokens: TokenEndpoint, clock: FakedClock
) -> None:
    sts.errors = [(503, "ServiceUnavailable")] * 10_000
    with pytest.raises(Unavailable, match="STS did not state the identity"):
        connect(host=tokens.origin, secret_id=NAMED, region="us-east-1", policy=clock.policy())


def test_without_a_role_there_is_one_message(
    tokens: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    with pytest.raises(IdentityRefused, match="AWS does not state the identity"):
        role_token.token("us-east-1")
