"""The one reader of a queue's RedrivePolicy: against a real SQS stand-in, and its bad answers."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from steps.governance.dead_letters import DeadLetters
from steps.governance.errors import GovernanceError, MalformedAnswer, UsageError

REGION = "us-east-1"
TARGET = "arn:aws:sqs:us-east-1:000000000000:letters-dead"


@pytest.fixture
def queues(as_root: str) -> Iterator[str]:
    """The URL of a queue `letters`, which has no policy yet."""
    sqs().create_queue(QueueName="letters-dead")
    url = str(sqs().create_queue(QueueName="letters")["QueueUrl"])
    yield url
    sqs().delete_queue(QueueUrl=url)


def answering(policy: str) -> Any:
    """A client whose queue has this policy."""
    attributes = {"RedrivePolicy": policy}
    return SimpleNamespace(get_queue_attributes=lambda **_: {"Attributes": attributes})


def sqs() -> Any:
    return boto3.client("sqs", region_name=REGION)


def test_the_policy_names_queue_and_receives(queues: str) -> None:
    policy = json.dumps({"deadLetterTargetArn": TARGET, "maxReceiveCount": 120})
    sqs().set_queue_attributes(QueueUrl=queues, Attributes={"RedrivePolicy": policy})
    found = DeadLetters.of(sqs(), queues)
    assert found.max_receives == 120
    assert found.url == sqs().get_queue_url(QueueName="letters-dead")["QueueUrl"]


def test_a_queue_without_a_policy_is_a_fault_of_the_deployment(queues: str) -> None:
    with pytest.raises(UsageError, match="has no dead-letter queue") as refused:
        DeadLetters.of(sqs(), queues)
    assert queues in str(refused.value)


def test_a_queue_that_does_not_exist_is_named(queues: str) -> None:
    with pytest.raises(GovernanceError, match=f"read the attributes of {queues}-none"):
        DeadLetters.of(sqs(), f"{queues}-none")


def test_a_count_is_a_number_or_its_text() -> None:
    policy = json.dumps({"deadLetterTargetArn": TARGET, "maxReceiveCount": "10"})
    found = DeadLetters.of(answering(policy), "http://sqs/1/letters")
    assert found == DeadLetters("http://sqs/1/letters-dead", 10)


@pytest.mark.parametrize(
    "policy",
    [
        "<html>",
        "[]",
        "null",
        json.dumps({"maxReceiveCount": 3}),
        json.dumps({"deadLetterTargetArn": TARGET}),
        json.dumps({"deadLetterTargetArn": 7, "maxReceiveCount": 3}),
        json.dumps({"deadLetterTargetArn": "letters", "maxReceiveCount": 3}),
        json.dumps({"deadLetterTargetArn": "arn:aws:sqs:", "maxReceiveCount": 3}),
        json.dumps({"deadLetterTargetArn": TARGET, "maxReceiveCount": "many"}),
        json.dumps({"deadLetterTargetArn": TARGET, "maxReceiveCount": 0}),
    ],
)
def test_a_policy_that_is_none_is_a_malformed_answer(policy: str) -> None:
    with pytest.raises(MalformedAnswer, match="read the attributes of http://sqs/1/letters"):
        DeadLetters.of(answering(policy), "http://sqs/1/letters")
