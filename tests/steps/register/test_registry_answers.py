"""The HTTP status of the registry's answer decides: a refusal is final, a missing answer is not.

Only a version that is PENDING_REGISTRATION is deleted because it is not READY.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from steps.governance.errors import (
    AccessDenied,
    Conflict,
    ContainerNotFound,
    GovernanceError,
    IdentityRefused,
    InvalidRequest,
    MalformedAnswer,
    NotFound,
    Unavailable,
)
from steps.governance.names import UcName
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.sdk.client import workspace_client
from steps.register.delivery.failures import FINAL
from steps.register.model_registry.registry import Registry
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.governance.support.troubled_server import Answer, Troubled, serving

NAME, SOURCE = UcName.parse("edgar.models.analyst"), "s3://b/model.tar.gz?versionId=1"
PASSING = [0, 408, 429, 500, 502, 503, 504, 520]


@pytest.fixture
def clock() -> FakedClock:
    return FakedClock()


@pytest.fixture
def server() -> Iterator[Troubled]:
    with serving() as state:
        yield state


@pytest.fixture
def registry(server: Troubled, clock: FakedClock) -> Registry:
    policy = clock.policy()
    client = workspace_client(server.host, lambda: {"Authorization": "Bearer t"}, policy=policy)
    return Registry(Workspace(server.host, "register-app", client, policy))


def refusal(status: int, code: str, message: str = "the service's own text") -> Answer:
    return Answer(status, json.dumps({"error_code": code, "message": message}))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(400, "SOMETHING_NEW"), InvalidRequest),
        (refusal(400, "INVALID_PARAMETER_VALUE"), InvalidRequest),
        (refusal(400, "INTERNAL_ERROR"), InvalidRequest),
        (refusal(422, "CONSTRAINT_VIOLATED"), InvalidRequest),
        (refusal(413, ""), InvalidRequest),
        (Answer(302, "the service's own text", {"Location": "/login.html"}), InvalidRequest),
        (refusal(401, "SOMETHING_NEW"), IdentityRefused),
        (refusal(403, "SOMETHING_NEW"), AccessDenied),
        (refusal(404, "SOMETHING_NEW"), NotFound),
        (refusal(404, "SCHEMA_DOES_NOT_EXIST"), ContainerNotFound),
        (refusal(404, "CATALOG_DOES_NOT_EXIST"), ContainerNotFound),
        (
            refusal(404, "RESOURCE_DOES_NOT_EXIST", "Schema 'edgar.models' does not exist."),
            ContainerNotFound,
        ),
        (refusal(409, "SOMETHING_NEW"), Conflict),
        (refusal(400, "RESOURCE_ALREADY_EXISTS"), Conflict),
        (refusal(400, "INVALID_STATE"), GovernanceError),
    ],
)
def test_the_status_decides_and_the_services_own_text_is_kept(
    registry: Registry,
    server: Troubled,
    clock: FakedClock,
    answer: Answer,
    kind: type[GovernanceError],
) -> None:
    server.script = [answer]
    for call in (
        lambda: registry.status(NAME, 1),
        lambda: registry.set_tag(NAME, 1, key="k", value="v"),
    ):
        with pytest.raises(GovernanceError) as error:
            call()
        assert type(error.value) is kind
        assert len(str(error.value)) < 900
        if kind not in (IdentityRefused,) and answer.status != 302:
            code = json.loads(answer.body)["error_code"] if answer.body.startswith("{") else ""
            words = (
                ("own text", "does not exist")
                if code or answer.body.startswith("{")
                else ("without the workspace's error_code",)
            )
            assert any(word in str(error.value) for word in words)
            assert code in str(error.value)
    assert clock.pauses == []
    assert len(server.asked) == 2
    # what is final is answered at once by the worker, and not delivered ten times
    assert issubclass(kind, FINAL) is (kind not in (IdentityRefused, GovernanceError))


@pytest.mark.parametrize("status", PASSING)
def test_a_read_is_repeated_and_then_unavailable(
    registry: Registry, server: Troubled, clock: FakedClock, status: int
) -> None:
    server.script = [Answer(status, '{"error_code": "SOMETHING_NEW"}')]
    with pytest.raises(
        Unavailable,
        match=r"the registry gave no answer while register-app tried to look up version 1",
    ):
        registry.status(NAME, 1)
    assert 50 < clock.passed < 60
    assert not issubclass(Unavailable, FINAL)


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_of_an_hour_ends_the_call(
    registry: Registry, server: Troubled, clock: FakedClock, status: int
) -> None:
    server.script = [Answer(status, headers={"Retry-After": "3600"})]
    with pytest.raises(Unavailable, match="asked to wait 3600 s") as error:
        registry.status(NAME, 1)
    assert error.value.retry_after_seconds == 3600
    assert len(server.asked) == 1
    assert clock.pauses == []


@pytest.mark.parametrize(
    "body",
    ["[]", '"text"', "7", "null", "<html>", "", '{"model_version": "x"}', '{"model_version": [1]}'],
)
def test_an_answer_of_another_shape_is_a_typed_error(
    registry: Registry, server: Troubled, body: str
) -> None:
    server.script = [Answer(body=body)]
    for call in (
        lambda: registry.status(NAME, 1),
        lambda: registry.has_alias(NAME, "a", 1),
        lambda: registry.has_model(NAME),
    ):
        with pytest.raises(MalformedAnswer):
            call()


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", None])
def test_a_version_without_a_number_is_a_typed_error(
    registry: Registry, server: Troubled, number: Any
) -> None:
    entry = {"name": str(NAME), "source": SOURCE, "status": "READY"} | (
        {"version": number} if number else {}
    )
    server.script = [Answer(body=json.dumps({"model_versions": [entry]}))]
    with pytest.raises(MalformedAnswer, match="read a version of"):
        registry.find(NAME, SOURCE)


def test_a_search_that_repeats_a_page_ends(registry: Registry, server: Troubled) -> None:
    server.script = [Answer(body='{"model_versions": [], "next_page_token": "again"}')]
    with pytest.raises(MalformedAnswer, match="the same page a second time"):
        registry.find(NAME, SOURCE)
    assert len(server.asked) == 2


def listed(*statuses: str | None) -> Answer:
    """A search's answer: one version of our source with each status."""
    entries = [
        {"name": str(NAME), "version": str(number), "source": SOURCE}
        | ({"status": status} if status else {})
        for number, status in enumerate(statuses, 1)
    ]
    return Answer(body=json.dumps({"model_versions": entries}))


def ensure(registry: Registry) -> int:
    def build(folder: Path) -> dict[str, str]:
        raise AssertionError("no version may be made")

    return registry.ensure_version(NAME, SOURCE, tags={}, build=build, guard=lambda: None)


@pytest.mark.parametrize(
    "status", ["FAILED_REGISTRATION", "ARCHIVED_IN_2031", "MODEL_VERSION_STATUS_UNKNOWN", None]
)
def test_a_version_that_is_neither_ready_nor_pending_is_left_alone_and_named(
    registry: Registry, server: Troubled, status: str | None
) -> None:
    server.script = [
        Answer(body='{"registered_model": {"name": "edgar.models.analyst"}}'),
        listed(status),
    ]
    with pytest.raises(
        Conflict, match=r"version 1 of edgar\.models\.analyst(.|\n)*got       status"
    ):
        ensure(registry)
    registry.discard(NAME, SOURCE, lambda: None, ready_too=True)
    assert {asked.split()[0] for asked in server.asked} == {"GET"}


def test_if_another_version_is_ready_it_is_used_and_the_odd_one_is_left(
    registry: Registry, server: Troubled
) -> None:
    server.script = [
        Answer(body='{"registered_model": {"name": "edgar.models.analyst"}}'),
        listed("FAILED_REGISTRATION", "READY"),
    ]
    assert ensure(registry) == 2
    assert {asked.split()[0] for asked in server.asked} == {"GET"}


def test_a_pending_version_is_deleted(registry: Registry, server: Troubled) -> None:
    server.script = [listed("PENDING_REGISTRATION", "READY"), Answer()]
    registry.discard(NAME, SOURCE, lambda: None)
    effects = [asked for asked in server.asked if not asked.startswith("GET")]
    assert effects == ["DELETE /api/2.0/mlflow/unity-catalog/model-versions/delete"]
