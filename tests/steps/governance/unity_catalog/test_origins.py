"""Neither a secret nor a token reaches another origin: not by a redirect, not by a description.

The other origin is a real server that counts what reaches it. Other hosts are in test_hosts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from steps.governance.errors import GovernanceError
from steps.governance.unity_catalog.identity import connect
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.governance.support.token_endpoint import TokenEndpoint
from tests.steps.governance.support.troubled_server import Answer, Troubled
from tests.support.http_server import Handler, served

TOKEN = '{"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600}'
STATUSES = (301, 302, 303, 307, 308)


@dataclass
class Other:
    """Another origin, and the paths that anybody asked it for."""

    origin: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def other() -> Iterator[Other]:
    state = Other()

    class Server(Handler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            self.answer_json(200, {"access_token": "stolen", "expires_in": 3600})

        do_POST = do_GET

    with served(Server) as state.origin:
        yield state


@pytest.mark.parametrize("status", STATUSES)
def test_a_redirected_token_request_sends_the_secret_nowhere(
    secret: str, tokens: TokenEndpoint, other: Other, clock: FakedClock, status: int
) -> None:
    tokens.first_answers = [status] * 99
    tokens.headers = {"Location": f"{other.origin}/oidc/v1/token"}
    with pytest.raises(GovernanceError) as refused:
        connect(host=tokens.origin, secret_id=secret, region="us-east-1", policy=clock.policy())
    assert other.asked == []
    assert "s3cret-one" not in str(refused.value)


@pytest.mark.parametrize("status", STATUSES)
def test_a_redirected_call_sends_the_token_nowhere(
    secret: str, server: Troubled, other: Other, clock: FakedClock, status: int
) -> None:
    moved = Answer(status, "", {"Location": f"{other.origin}/api/2.0/preview/scim/v2/Me"})
    server.script = [Answer(body=TOKEN), *[moved] * 99]
    policy = clock.policy()
    workspace = connect(host=server.host, secret_id=secret, region="us-east-1", policy=policy)
    with pytest.raises(Exception) as refused:  # noqa: PT011 - the SDK's own classes
        workspace.client.current_user.me()
    assert other.asked == []
    assert "t0ken" not in str(refused.value)


def test_no_description_of_endpoints_is_asked_for(secret: str, server: Troubled) -> None:
    """It could name a token endpoint of another origin; ours is a path of the checked host."""
    server.script = [Answer(body=TOKEN)]
    connect(host=server.host, secret_id=secret, region="us-east-1")
    assert server.asked == ["POST /oidc/v1/token"]
