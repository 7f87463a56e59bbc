"""Copies of messages, mixed with others: one effect and one ledger entry for each execution."""

import random
import threading

import pytest

from steps.register.arguments import parse
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions
from tests.steps.register.support.deliveries import deliver
from tests.steps.register.support.register_environment import RegisterEnvironment

pytestmark = pytest.mark.environment


def handled(worker: Worker, messages: int) -> None:
    """Deliver until as many messages are deleted; refused ones stay in the queue."""
    while messages:
        messages -= deliver(worker) is Fate.DELETE


@pytest.mark.parametrize("copies", [10, pytest.param(100, marks=pytest.mark.long)])
def test_copies_of_one_message_have_one_effect(
    worker: Worker, execution: executions.Execution, copies: int
) -> None:
    for _ in range(copies):
        execution.send()
    handled(worker, copies)
    execution.check_settled()
    assert len(execution.answers()) == 1


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.long)])
def test_mixed_messages_have_one_effect_for_each_execution(
    worker_environment: RegisterEnvironment, execution: executions.Execution, count: int
) -> None:
    """The queue has copies of each execution's message in any order, and messages that are refused:
    text, an unknown execution, another execution's token.
    """
    draw, queue = random.Random(9), execution.queue_url  # noqa: S311 - a reproducible order
    others = [executions.new_execution(worker_environment) for _ in range(max(3, count // 100))]
    mixed = [execution, *others]
    bodies = [mixed[number % len(mixed)].body() for number in range(count)]
    refused = [
        "no JSON",
        execution.body(pipelineExecutionArn=f"{execution.arn[:-3]}xyz"),
        execution.body(token=others[0].token),
    ]
    for other in others:
        other.step["Metadata"]["Callback"]["SqsQueueUrl"] = queue
    sent = [*bodies, *refused]
    draw.shuffle(sent)
    for body in sent:
        execution.send(body)
    handled(Worker(parse(execution.argv()), threading.Event()), count)
    for each in mixed:
        answers = each.answers()
        assert len(answers) == 1
        assert answers[0]["status"] == "Succeeded"
    worker_environment.client("sqs").purge_queue(QueueUrl=queue)  # the refused ones
    for each in mixed:
        each.check_settled()
