"""A gateway's page with an error status is a lost answer of the workspace, not an absent object or
a missing right: for databricks-sdk, for mlflow's client and at the token endpoint.
"""

from collections.abc import Callable

import pytest
import requests

from steps.governance.errors import (
    AccessDenied,
    GovernanceError,
    IdentityRefused,
    InvalidRequest,
    NotFound,
    Unavailable,
)
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Catalog
from steps.governance.unity_catalog.identity import Workspace, connect
from steps.governance.unity_catalog.own_refusals import own_refusal
from steps.governance.unity_catalog.refusals import translated
from steps.governance.unity_catalog.table_kinds import TableInfo
from steps.register.delivery.failures import impossible
from steps.register.model_registry.registry import Registry
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.governance.support.troubled_server import Answer, Troubled
from tests.steps.governance.support.workspace_calls import NAME, TABLE, create_table, vend

MODEL = UcName.parse("edgar.models.analyst")
SECRET = "Bearer of-somebody"
PAGES = {
    "nginx": f"<html><head><title>404 Not Found</title></head><pre>NOT_FOUND {SECRET}</pre></html>",
    "nothing": "",
    "JSON of a gateway": '{"code": 404, "message": "no route", "error": "NOT_FOUND"}',
    "page": f"<html>blocked: {SECRET}</html>",
    "text": "default backend - 404",
    "a list": '["RESOURCE_DOES_NOT_EXIST"]',
    "no code": '{"error_code": null, "message": "does not exist", "detail": "Not Found"}',
    "not UTF-8": "\udcff\udcfe",
}
_OFTEN = ("nginx", "nothing", "JSON of a gateway")
READS: dict[str, Callable[[Workspace], object]] = {
    "table": lambda workspace: Catalog(workspace).table(NAME),
    "vend": vend,
    "node": lambda workspace: _node(workspace),
    "version": lambda workspace: Registry(workspace).status(MODEL, 1),
    "search": lambda workspace: Registry(workspace).find(MODEL, "s3://b/k"),
    "alias": lambda workspace: Registry(workspace).has_alias(MODEL, "a", 1),
}
EFFECTS: dict[str, Callable[[Workspace], object]] = {
    "create": create_table,
    "tag": lambda workspace: Registry(workspace).set_tag(MODEL, 1, key="k", value="v"),
}
pages = pytest.mark.parametrize(
    "page", [pytest.param(each, marks=[] if each in _OFTEN else pytest.mark.long) for each in PAGES]
)
statuses = pytest.mark.parametrize(
    "status",
    [403, 404, *(pytest.param(each, marks=pytest.mark.long) for each in (400, 405, 409, 501, 505))],
)


def _node(workspace: Workspace) -> object:
    with translated("p", "look up a node"):
        return workspace.client.external_metadata.get_external_metadata("x")


@pages
@statuses
@pytest.mark.parametrize("call", READS)
def test_a_page_for_a_read_is_asked_again_within_the_budget(
    workspace: Workspace, server: Troubled, clock: FakedClock, call: str, status: int, page: str
) -> None:
    """It is named by its status, is neither "not found" nor "denied", and is not quoted."""
    server.script = [Answer(status, PAGES[page])]
    with pytest.raises(Unavailable, match=f"HTTP {status}, a page that is not the work") as error:
        READS[call](workspace)
    assert 50 < clock.passed < 60
    assert SECRET not in str(error.value)
    assert not impossible(error.value)


@pages
@statuses
@pytest.mark.parametrize("call", EFFECTS)
def test_a_page_for_an_effect_is_a_lost_answer(
    workspace: Workspace, server: Troubled, call: str, status: int, page: str
) -> None:
    """Whether it happened is looked up; it is not sent again blindly."""
    server.script = [Answer(status, PAGES[page])]
    with pytest.raises(Unavailable, match=f"HTTP {status}, a page"):
        EFFECTS[call](workspace)
    (effect,) = [each for each in server.asked if not each.startswith("GET")]
    assert effect == server.asked[0]


def test_a_table_is_found_once_the_gateway_has_its_route_again(
    workspace: Workspace, server: Troubled, clock: FakedClock
) -> None:
    server.script = [Answer(404, PAGES["nginx"]), Answer(403, PAGES["page"]), Answer(body=TABLE)]
    found: TableInfo = Catalog(workspace).table(NAME)
    assert found.location == "s3://b/raw"
    assert clock.pauses == [0.5, 1.0]


@pages
@statuses
def test_a_page_for_the_first_token_is_no_refused_identity(
    secret: str, server: Troubled, clock: FakedClock, status: int, page: str
) -> None:
    server.script = [Answer(status, PAGES[page])]
    with pytest.raises(Unavailable, match=f"HTTP {status}, a page"):
        connect(host=server.host, secret_id=secret, region="us-east-1", policy=clock.policy())


# What the workspace itself answers
_NO_ENDPOINT = '{"error_code": "ENDPOINT_NOT_FOUND", "message": "no"}'
OWN: dict[str, tuple[int, str, tuple[type[GovernanceError], ...]]] = {
    "absent": (404, '{"error_code": "TABLE_DOES_NOT_EXIST", "message": "no"}', (NotFound,)),
    "denied": (403, '{"error_code": "PERMISSION_DENIED", "message": "no"}', (AccessDenied,)),
    "a number": (403, '{"error_code": 403, "message": "Invalid access token."}', (AccessDenied,)),
    "as a text": (404, "NOT_FOUND: Table 'a.b.c' does not exist.", (NotFound,)),
    "SCIM": (404, '{"schemas": [], "detail": "no such group", "status": "404"}', (NotFound,)),
    "no endpoint": (501, _NO_ENDPOINT, (InvalidRequest, NotFound)),
    "401 page": (401, PAGES["nginx"], (IdentityRefused,)),
}


@pytest.mark.parametrize("case", OWN)
def test_a_refusal_of_the_workspace_is_believed_at_once(
    workspace: Workspace, server: Troubled, clock: FakedClock, case: str
) -> None:
    status, body, kind = OWN[case]
    server.script = [Answer(status, body)]
    for call in READS["table"], READS["version"]:
        server.asked.clear()
        with pytest.raises(kind):
            call(workspace)
        assert len(server.asked) == 1
    assert clock.pauses == []


def test_an_oauth_error_is_a_refusal_at_the_token_endpoint_only() -> None:
    answer = requests.Response()
    answer._content = b'{"error": "invalid_client", "error_description": "bad secret s3cret"}'
    answer.url = "https://w/oidc/v1/token"
    assert own_refusal(answer) == ("invalid_client", "")
    answer.url = "https://w/api/2.1/unity-catalog/tables/a.b.c"
    assert own_refusal(answer) is None
