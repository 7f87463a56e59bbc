"""The dead-letter queue: only the reconciler takes messages out, and it may send them again."""

import json

import pytest

from tests.local.aws.support.refusals import refused

pytestmark = pytest.mark.environment


@pytest.fixture
def dead_letters(server):
    """The URL of the dead-letter queue, as the register queue's policy names it."""
    url = server.outputs["RegisterQueueUrl"]
    answer = server.client("sqs", "reconciler").get_queue_attributes(
        QueueUrl=url, AttributeNames=["RedrivePolicy"]
    )
    arn = json.loads(answer["Attributes"]["RedrivePolicy"])["deadLetterTargetArn"]
    return f"{url.rpartition('/')[0]}/{arn.rpartition(':')[2]}"


def test_the_reconciler_redrives_a_dead_letter(server, dead_letters):
    server.client("sqs").send_message(QueueUrl=dead_letters, MessageBody="{}")
    sqs = server.client("sqs", "reconciler")
    (message,) = sqs.receive_message(QueueUrl=dead_letters)["Messages"]
    receipt = message["ReceiptHandle"]
    sqs.change_message_visibility(
        QueueUrl=dead_letters, ReceiptHandle=receipt, VisibilityTimeout=60
    )
    sqs.send_message(QueueUrl=server.outputs["RegisterQueueUrl"], MessageBody=message["Body"])
    sqs.delete_message(QueueUrl=dead_letters, ReceiptHandle=receipt)
    worker = server.client("sqs", "register")
    url = server.outputs["RegisterQueueUrl"]
    (again,) = worker.receive_message(QueueUrl=url)["Messages"]
    worker.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])


@pytest.mark.parametrize(
    "role",
    ["pipeline", "prepare", "train", "register", "ci", "scientist", "auditor", "approver"],
)
def test_nobody_else_takes_a_dead_letter_out(server, dead_letters, role):
    refused(server.client("sqs", role).receive_message, QueueUrl=dead_letters)


def test_the_reconciler_neither_receives_registrations_nor_answers_nor_writes(server):
    sqs = server.client("sqs", "reconciler")
    refused(sqs.receive_message, QueueUrl=server.outputs["RegisterQueueUrl"])
    refused(sqs.purge_queue, QueueUrl=server.outputs["RegisterQueueUrl"])
    sagemaker = server.client("sagemaker", "reconciler")
    refused(sagemaker.send_pipeline_execution_step_success, CallbackToken="a" * 10)
    refused(sagemaker.stop_pipeline_execution, PipelineExecutionArn=server.start_execution())
    bucket = "governed-finetune-local-evidence-000000000000-us-east-1"
    for key in ("executions/x/register/record.json", "ledger/000000000001.json"):
        request = {"Bucket": bucket, "Key": key, "Body": b"{}", "IfNoneMatch": "*"}
        refused(server.client("s3", "reconciler").put_object, **request)


def test_only_the_register_queue_moves_messages_to_the_dead_letters(server, dead_letters):
    answer = server.client("sqs", "reconciler").get_queue_attributes(
        QueueUrl=dead_letters, AttributeNames=["RedriveAllowPolicy", "Policy"]
    )["Attributes"]
    allowed = json.loads(answer["RedriveAllowPolicy"])
    assert allowed["redrivePermission"] == "byQueue"
    (source,) = allowed["sourceQueueArns"]
    assert source.endswith(":governed-finetune-local-register")
    assert "OnlyTheReconcilerTakesMessagesOut" in answer["Policy"]
