"""Malformed messages, and messages that SageMaker does not confirm, do not make the worker act."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.register.delivery.message import MessageRefused, parse
from steps.register.delivery.sagemaker_truth import State, Truth
from tests.steps.register.support import executions, register_environment
from tests.steps.register.support.deliveries import alerts
from tests.steps.register.support.register_environment import RegisterEnvironment

ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/p/execution/abcdefghij12"
GOOD = {"token": "26vcYbeWsZ", "pipelineExecutionArn": ARN, "arguments": {"anything": ["goes"]}}


@pytest.mark.parametrize(
    "status", [{}, {"status": "Executing"}, {"status": "Stopping"}, {"Status": "Stopping"}]
)
def test_a_message_of_sagemaker_is_read(status: dict[str, str]) -> None:
    message = parse(json.dumps(GOOD | status))
    assert (message.token, message.execution_arn) == (GOOD["token"], ARN)
    assert message.stopping == ("Stopping" in status.values())


def test_the_token_shows_in_no_repr() -> None:
    assert str(GOOD["token"]) not in repr(parse(json.dumps(GOOD)))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "{",
        '"text"',
        "1e999",
        "{}" * 2,
        json.dumps(GOOD)[:-1],
        "[" * 100_000,
        json.dumps(GOOD | {"token": None}),
        json.dumps(GOOD | {"token": 1}),
        json.dumps(GOOD | {"token": "short"}),
        json.dumps(GOOD | {"token": "26vcYbeWs/"}),
        json.dumps(GOOD | {"token": "26vcYbeWsZ\n"}),
        json.dumps(GOOD | {"token": "26vcYbeWsé"}),
        json.dumps(GOOD | {"pipelineExecutionArn": None}),
        json.dumps(GOOD | {"pipelineExecutionArn": ["a"]}),
        json.dumps(GOOD | {"pipelineExecutionArn": ARN + "/../x"}),
        json.dumps(GOOD | {"pipelineExecutionArn": ARN + "\n"}),
        json.dumps(GOOD | {"pipelineExecutionArn": ARN.replace("execution", "step")}),
        json.dumps(GOOD)[:-1] + ', "token": "aaaaaaaaaa"}',
        json.dumps(GOOD | {"padding": "x" * 300_000}),
        json.dumps(GOOD | {"arguments": [[]] * 100}),
    ],
)
def test_a_malformed_body_is_refused(body: str) -> None:
    with pytest.raises(MessageRefused):
        parse(body)


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.text()
    | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))
    | DOCUMENTS.map(json.dumps)
)
def test_any_body_is_read_or_refused(body: str) -> None:
    with suppress(MessageRefused):
        parse(body)


@pytest.fixture
def truth(worker_environment: RegisterEnvironment, execution: executions.Execution) -> Truth:
    return Truth(
        register_environment.REGION,
        pipeline_name=register_environment.PIPELINE,
        queue_url=execution.queue_url,
    )


@pytest.mark.environment
def test_what_sagemaker_confirms_is_believed(truth: Truth, execution: executions.Execution) -> None:
    callback = truth.verify(parse(execution.body()))
    assert (callback.state, callback.execution_id) == (State.OPEN, execution.id)
    assert execution.token not in repr(callback)


def _state(name: str, value: Any) -> Callable[[executions.Execution], None]:
    return lambda execution: execution.state.__setitem__(name, value)


def _callback(name: str, value: Any) -> Callable[[executions.Execution], None]:
    return lambda execution: execution.step["Metadata"]["Callback"].__setitem__(name, value)


@pytest.mark.environment
@pytest.mark.parametrize(
    ("change", "body", "what"),
    [
        (lambda execution: None, {"token": "0000000000"}, "another token"),
        (lambda execution: None, {"pipelineExecutionArn": ARN}, "another pipeline's execution"),
        (lambda execution: None, {"status": "Stopping"}, "a stop that SageMaker does not know of"),
        (
            lambda execution: execution.environment.stub.executions.pop(execution.arn),
            {},
            "no such execution",
        ),
        (
            _state("pipeline_arn", "arn:aws:sagemaker:us-east-1:000000000000:pipeline/other"),
            {},
            "another pipeline's",
        ),
        (_state("steps", []), {}, "no single callback step"),
        (
            lambda execution: execution.state["steps"].append(execution.step),
            {},
            "no single callback step",
        ),
        (_callback("CallbackToken", "1111111111"), {}, "another token"),
        (_callback("SqsQueueUrl", "https://sqs/other"), {}, "another queue's callback"),
    ],
)
def test_what_sagemaker_does_not_confirm_is_refused(
    truth: Truth,
    execution: executions.Execution,
    change: Callable[[executions.Execution], None],
    body: dict[str, str],
    what: str,
) -> None:
    change(execution)
    with pytest.raises(MessageRefused, match=what) as refusal:
        truth.verify(parse(execution.body(**body)))
    assert execution.token not in str(refusal.value)


@pytest.mark.environment
def test_a_refused_message_is_never_answered_and_ends_in_the_dead_letter_queue(
    worker_environment: RegisterEnvironment,
    execution: executions.Execution,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import threading

    from steps.register.arguments import parse as arguments
    from steps.register.worker import Fate, Worker

    worker = Worker(arguments(execution.argv()), threading.Event())
    execution.send(execution.body(token="0000000000"))
    sqs = execution.environment.client("sqs")
    for _ in range(register_environment.MAX_RECEIVES):
        delivery = worker.queue.receive()
        assert delivery is not None
        assert worker.handle(delivery) is Fate.LEAVE
        sqs.change_message_visibility(
            QueueUrl=execution.queue_url, ReceiptHandle=delivery.receipt, VisibilityTimeout=0
        )
    assert not sqs.receive_message(QueueUrl=execution.queue_url, WaitTimeSeconds=1).get("Messages")
    assert execution.waiting(execution.dead_letters_url) == 1
    assert execution.answers() == []
    numbers = [int(line.split()[3]) for line in alerts(caplog)]
    assert numbers == [1, 2, 4, register_environment.MAX_RECEIVES]


@pytest.mark.environment
def test_a_success_of_which_there_is_no_record_raises_an_alert(
    worker_environment: RegisterEnvironment,
    execution: executions.Execution,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import threading

    from steps.register.arguments import parse as arguments
    from steps.register.worker import Fate, Worker

    execution.step["StepStatus"] = "Succeeded"
    worker = Worker(arguments(execution.argv()), threading.Event())
    execution.send()
    delivery = worker.queue.receive()
    assert delivery is not None
    for attempt in (1, 2, 3):
        assert worker.handle(replace(delivery, attempt=attempt)) is Fate.LEAVE
    assert [line.split(",")[0] for line in alerts(caplog)] == [
        f"ALERT answer-contradicts-evidence: receive {n} of {register_environment.MAX_RECEIVES}"
        for n in (1, 2)
    ]
    assert all("Success, but no record exists" in line for line in alerts(caplog))


def test_a_message_that_stays_alerts_at_growing_intervals_and_at_the_last(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from steps.register.delivery.fate import Fate, refused
    from steps.register.delivery.queue import Delivery

    caplog.set_level("INFO")
    for number in range(1, 121):
        delivery = Delivery("{}", "receipt", number)
        outcome = refused(MessageRefused("a message was refused"), delivery, 120)
        assert outcome.fate is Fate.LEAVE
    levels = {
        int(record.getMessage().split("receive ")[1].split()[0]): record.levelname
        for record in caplog.records
    }
    assert len(levels) == 120
    due = {1, 2, 4, 8, 16, 32, 64, 120}
    assert {number for number, level in levels.items() if level == "ERROR"} == due
    assert {level for number, level in levels.items() if number not in due} == {"INFO"}
    assert [int(line.split()[3]) for line in alerts(caplog)] == sorted(due)
