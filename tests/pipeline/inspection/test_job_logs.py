"""The lines of a job's log: merged by time, followed to the end, without secrets."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.configuration import config
from pipeline.errors import UsageError
from pipeline.execution.outcome import Progress, StepState
from pipeline.inspection import job_logs
from pipeline.logs.__main__ import chosen, following

STEP = StepState("Train", "Executing", streams="job-1/")


class Logs:
    """CloudWatch Logs with pages of two events; an empty page comes before the last one."""

    exceptions = SimpleNamespace(ResourceNotFoundException=KeyError)

    def __init__(self, streams: dict[str, list[tuple[int, str]]]) -> None:
        self.streams = streams

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **request: str) -> Iterator[dict[str, Any]]:
        if request["logGroupName"] != "/aws/sagemaker/TrainingJobs":
            raise self.exceptions.ResourceNotFoundException
        for name in self.streams:
            if name.startswith(request["logStreamNamePrefix"]):
                yield {"logStreams": [{"logStreamName": name}]}

    def get_log_events(self, **request: Any) -> dict[str, Any]:
        assert request["startFromHead"]
        at, events = int(request.get("nextToken", 0)), self.streams[request["logStreamName"]]
        page = events[at : at + 2]
        found = [{"timestamp": when, "message": text} for when, text in page]
        return {"events": found, "nextForwardToken": str(at + len(page))}


def test_the_lines_of_all_hosts_are_merged_by_time(configured: config.Config) -> None:
    first = [(number, f"a{number}") for number in (1, 3, 5, 7, 9)]
    second = [(number, f"b{number}") for number in (2, 4)]
    logs = Logs({"job-1/algo-1": first, "job-1/algo-2": second, "job-10/algo-1": [(0, "other")]})
    found = [line.text for line in job_logs.lines(configured, logs, STEP)]
    assert found == ["a1", "b2", "a3", "b4", "a5", "a7", "a9"]


def test_a_log_is_followed_until_the_step_has_ended_and_no_line_is_lost(
    configured: config.Config,
) -> None:
    logs = Logs({"job-1/algo-1": [(1, "one")]})
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        logs.streams["job-1/algo-1"].append((2, "two"))
        if len(pauses) == 2:
            logs.streams["job-1/algo-2"] = [(3, "the other host")]

    found = job_logs.followed(configured, logs, STEP, ended=lambda: len(pauses) == 2, sleep=sleep)
    assert [line.text for line in found] == ["one", "two", "two", "the other host"]


def test_a_group_that_does_not_exist_yet_has_no_lines(configured: config.Config) -> None:
    prepare = StepState("Prepare", streams="applications/a/jobs/b/")
    assert list(job_logs.lines(configured, Logs({}), prepare)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key AKIAIOSFODNN7EXAMPLE used", "key [hidden] used"),
        ("'ASIAIOSFODNN7EXAMPLE'", "'[hidden]'"),
        ('{"client_secret": "abc123", "host": "h"}', '{"client_secret": "[hidden]", "host": "h"}'),
        ("aws_secret_access_key=wJalr/XUtn+FEMI", "aws_secret_access_key=[hidden]"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [hidden]"),
        (f"token dapi{'0a' * 16}", "token [hidden]"),
        ("https://anna:pass@host/x", "https://[hidden]@host/x"),
        ("?X-Amz-Signature=0f0f0f&x=1", "?X-Amz-Signature=[hidden]&x=1"),
        ("CallbackToken: 1MPDSrKjbA", "CallbackToken: [hidden]"),
        ("step=12 train_loss=3.2107; tokens_per_second=1812.4;",) * 2,
        ("s3://bucket/executions/4x7k/manifest.json sha256 0a1b",) * 2,
    ],
)
def test_a_secret_is_hidden_and_other_text_is_not(text: str, shown: str) -> None:
    assert job_logs.redacted(text) == shown


PREPARE = StepState("Prepare", "Succeeded", streams="applications/a/jobs/b/")
TRAIN = StepState("Train", "Failed", streams="job/")
GATE = StepState("Gate")


def progress(*steps: StepState) -> Progress:
    return Progress("arn", "Failed", steps)


def test_the_log_of_the_step_that_failed_is_chosen() -> None:
    assert chosen(progress(PREPARE, TRAIN, GATE), None) is TRAIN
    assert chosen(progress(PREPARE, GATE), None) is PREPARE
    assert chosen(progress(PREPARE, TRAIN), "Prepare") is PREPARE


def test_a_step_that_does_not_exist_has_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="no step 'Trian'; did you mean 'Train'"):
        chosen(progress(PREPARE, TRAIN), "Trian")
    with pytest.raises(UsageError, match="no step with a log has begun"):
        chosen(progress(GATE), None)


def test_a_run_is_followed_from_step_to_step_until_it_has_ended() -> None:
    """A step that has not begun is waited for."""
    seen = [
        Progress("arn", "Executing", (GATE,)),
        Progress("arn", "Executing", (PREPARE,)),
        Progress("arn", "Executing", (PREPARE, TRAIN, GATE)),
        Progress("arn", "Executing", (PREPARE, TRAIN, GATE)),
        Progress("arn", "Succeeded", (PREPARE, TRAIN, GATE)),
    ]
    pauses: list[float] = []

    def look() -> Progress:
        return seen.pop(0)

    assert following(look, "", sleep=pauses.append) is PREPARE
    assert following(look, "Prepare", sleep=pauses.append) is TRAIN
    assert following(look, "Train", sleep=pauses.append) is None
    assert len(pauses) == 2
