"""A Register step that no worker has taken for two minutes has a note, and no other step.

The clock is S3's, so the tests set it and wait for nothing.
"""

import io
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from pipeline import layout
from pipeline.configuration.config import Config
from pipeline.execution.attention import NOT_TAKEN, UNTAKEN_SECONDS, noted, noting
from pipeline.execution.outcome import Progress, StepState

ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/p/execution/4x7k2m9p1q0z"
NOW = datetime.now(UTC).replace(microsecond=0)
JUST_STARTED = -3600  # seconds before NOW, which is as old as this suite
LEASES = "executions/4x7k2m9p1q0z/register/leases/"


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "GetObject")


class S3:
    """The two calls that are read, at the time NOW."""

    def __init__(self, *leases: float, beat: dict[str, Any] | Exception, age: float = 0) -> None:
        self.leases, self.beat, self.age, self.asked = leases, beat, age, [("", "")]

    def get_paginator(self, operation: str) -> "S3":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, **request: str) -> list[dict[str, Any]]:
        self.asked.append((request["Bucket"], request["Prefix"]))
        date = {"ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(NOW, usegmt=True)}}}
        return [date | {"Contents": [{"LastModified": ago(seconds)} for seconds in self.leases]}]

    def get_object(self, **request: str) -> dict[str, Any]:
        self.asked.append((request["Bucket"], request["Key"]))
        if isinstance(self.beat, Exception):
            raise self.beat
        return {"Body": io.BytesIO(json.dumps(self.beat).encode()), "LastModified": ago(self.age)}


def register(seconds: float = UNTAKEN_SECONDS, **changes: Any) -> StepState:
    return StepState(
        "Register",
        **({"status": "Executing", "started": ago(seconds), "callback": True} | changes),
    )


def progress(step: StepState, status: str = "Executing") -> Progress:
    return Progress(ARN, status, (StepState("Train", "Succeeded"), step))


def note(configured: Config, s3: S3, step: StepState | None = None) -> str:
    train, found = noted(configured, s3, progress(step or register())).steps
    assert train.waits == ""
    return found.waits


def test_a_step_that_was_never_taken_names_the_missing_worker(configured: Config) -> None:
    s3 = S3(beat=refusal("AccessDenied"))
    assert note(configured, s3) == (
        f"{NOT_TAKEN} 2 min · no heartbeat of a worker can be read (AccessDenied): "
        "start a register worker"
    )
    bucket, _, key = layout.heartbeat(configured).removeprefix("s3://").partition("/")
    assert s3.asked[1:] == [(configured.storage.evidence_bucket, LEASES), (bucket, key)]


def test_an_old_heartbeat_is_shown_with_its_time_and_its_worker(configured: Config) -> None:
    s3 = S3(beat={"worker": "host:7", "state": "waiting"}, age=UNTAKEN_SECONDS)
    at = f"{ago(UNTAKEN_SECONDS):%Y-%m-%d %H:%M:%S} UTC"
    assert f"the last heartbeat is of {at}, by host:7: start a register worker" in note(
        configured, s3
    )


def test_a_worker_that_works_on_another_execution_is_named(configured: Config) -> None:
    s3 = S3(beat={"worker": "host:7", "state": "working", "execution": "other"}, age=29)
    assert "worker host:7 lives and works on execution other" in note(configured, s3)


def test_a_worker_that_finds_no_message_points_to_the_reconciler(configured: Config) -> None:
    s3 = S3(beat={"worker": "host:7", "state": "waiting"}, age=29)
    assert note(configured, s3).endswith(
        "of this execution: python -m pipeline.reconcile --env local"
    )


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(120, "2 min"), (239, "2 min"), (240, "4 min"), (3600, "32 min"), (7700, "2 h")],
)
def test_the_time_is_shown_when_it_has_doubled(
    configured: Config, seconds: float, shown: str
) -> None:
    s3 = S3(beat=refusal("AccessDenied"))
    assert note(configured, s3, register(seconds)).startswith(f"{NOT_TAKEN} {shown} · ")


def test_a_lease_that_is_renewed_is_a_worker_and_one_that_is_not_is_none(
    configured: Config,
) -> None:
    beat = refusal("AccessDenied")
    assert note(configured, S3(9000, 13, beat=beat), register(9999)) == ""
    assert note(configured, S3(9000, 121, beat=beat), register(9999)).startswith(
        f"{NOT_TAKEN} 2 min"
    )


@pytest.mark.parametrize(
    "step",
    [
        register(JUST_STARTED),
        register(waits="the workspace · gives up at 18:00"),
        register(callback=False),
        register(status="Stopping"),
        StepState("Register"),
    ],
    ids=["just started", "has a note", "another kind", "being stopped", "not reached"],
)
def test_nothing_is_asked_about_any_other_step(configured: Config, step: StepState) -> None:
    s3 = S3(beat=refusal("AccessDenied"))
    assert note(configured, s3, step) == step.waits
    assert s3.asked == [("", "")]


def test_a_refused_question_is_a_note_and_no_error(configured: Config) -> None:
    class Refusing(S3):
        def paginate(self, **_: str) -> list[dict[str, Any]]:
            raise self.error

        error: Exception = refusal("AccessDenied")

    s3 = Refusing(beat={})
    assert note(configured, s3) == "whether a worker has taken it is not known: AccessDenied"
    s3.error = EndpointConnectionError(endpoint_url="http://s3")
    assert note(configured, s3).endswith("is not known: EndpointConnectionError")


def test_follow_makes_no_client_before_it_is_needed(configured: Config) -> None:
    made: list[S3] = []

    def client() -> S3:
        made.append(S3(beat=refusal("AccessDenied")))
        return made[0]

    shown: list[Progress] = []
    show = noting(configured, client, shown.append)
    show(progress(register(JUST_STARTED)))
    show(progress(register(), status="Stopped"))
    assert made == []
    show(progress(register()))
    show(progress(register()))
    assert len(made) == 1
    assert [each.steps[1].waits.startswith(NOT_TAKEN) for each in shown] == [
        False,
        False,
        True,
        True,
    ]
