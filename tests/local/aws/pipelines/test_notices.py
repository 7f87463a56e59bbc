"""Who is subscribed to the topic of the layer watch learns how an execution ended."""

import json
from collections.abc import Iterator

import pytest

from tests.local.aws.support.server import Server, eventually

pytestmark = pytest.mark.environment
TOPIC = "arn:aws:sns:us-east-1:000000000000:governed-finetune-local"


@pytest.fixture(scope="module")
def queue(server: Server) -> Iterator[str]:
    """The URL of a queue that is subscribed to the topic; other tests share the account."""
    sqs, sns = server.client("sqs"), server.client("sns")
    url: str = sqs.create_queue(QueueName="notices")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = found["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": TOPIC}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    subscribed = sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    yield url
    sns.unsubscribe(SubscriptionArn=subscribed)
    sqs.delete_queue(QueueUrl=url)


def received(server: Server, queue: str, arn: str) -> list[str]:
    """The messages about an execution; the first one may take a moment."""
    texts: list[str] = []

    def receive() -> bool:
        answer = server.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        bodies = [json.loads(each["Body"])["Message"] for each in answer.get("Messages", [])]
        texts.extend(text for text in bodies if arn in text)
        return bool(texts)

    eventually(receive)
    receive()
    return texts


def test_a_rejection_is_one_message_with_the_command_to_type(server: Server, queue: str) -> None:
    arn = server.start_execution(MaxEvalLoss="0.01")
    assert server.finished(arn) == "Failed"
    (text,) = received(server, queue, arn)
    assert json.loads(text) == (
        f"governed-finetune local: Failed, {arn}. "
        f"python -m pipeline.report --env local --execution {arn}"
    )


def test_a_registration_is_one_message(server: Server, queue: str) -> None:
    arn = server.start_execution()
    (message,) = server.messages(arn)
    server.answer(message["token"])
    assert server.finished(arn) == "Succeeded"
    (text,) = received(server, queue, arn)
    assert f"local: Succeeded, {arn}." in text


def test_a_stop_is_one_message(server: Server, queue: str) -> None:
    arn = server.start_execution()
    server.client("sagemaker", "scientist").stop_pipeline_execution(PipelineExecutionArn=arn)
    assert server.finished(arn) == "Stopped"
    (text,) = received(server, queue, arn)
    assert f"local: Stopped, {arn}." in text
