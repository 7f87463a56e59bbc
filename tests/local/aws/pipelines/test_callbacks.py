"""The token of a Callback step: open, answered once, unchanged by the same answer again."""

import uuid

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.environment


@pytest.fixture
def waiting(server):
    """An execution that waits in Register, and its token."""
    arn = server.start_execution()
    (message,) = server.messages(arn)
    yield arn, message["token"]
    if server.status(arn) == "Executing":
        server.answer(message["token"])
    server.finished(arn)


def test_an_answer_counts_once_and_may_be_repeated(server, waiting):
    arn, token = waiting
    key = uuid.uuid4().hex
    assert server.answer(token, ClientRequestToken=key)["PipelineExecutionArn"] == arn
    assert server.answer(token, ClientRequestToken=key)["PipelineExecutionArn"] == arn
    with pytest.raises(ClientError, match=r"ConflictException.*answered already"):
        server.answer(token)
    with pytest.raises(ClientError, match="ConflictException"):
        server.client("sagemaker", "register").send_pipeline_execution_step_failure(
            CallbackToken=token, ClientRequestToken=key
        )
    assert server.finished(arn) == "Succeeded"


def test_a_failure_fails_the_step_with_its_reason(server, waiting):
    arn, token = waiting
    server.client("sagemaker", "register").send_pipeline_execution_step_failure(
        CallbackToken=token, FailureReason="the archive is not the one of the manifest"
    )
    assert server.finished(arn) == "Failed"
    assert (
        server.steps(arn)["Register"]["FailureReason"]
        == "the archive is not the one of the manifest"
    )


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([], "expected model_uri, model_version, got none"),
        (
            [("model_version", "1"), ("model_uri", "u"), ("more", "1")],
            "got model_uri, model_version, more",
        ),
        (
            [("model_version", "1" * 1025), ("model_uri", "u")],
            "outputParameters.1.member.value.*less than or equal to 1024",
        ),
    ],
)
def test_outputs_are_exactly_those_declared(server, waiting, outputs, message):
    arn, token = waiting
    with pytest.raises(ClientError, match=message):
        server.answer(
            token, OutputParameters=[{"Name": name, "Value": value} for name, value in outputs]
        )
    assert server.status(arn) == "Executing"


def test_an_unknown_token_is_not_found(server):
    with pytest.raises(ClientError, match="ResourceNotFound"):
        server.client("sagemaker").send_pipeline_execution_step_success(CallbackToken="0123456789")
    with pytest.raises(
        ClientError, match="AccessDenied"
    ):  # the worker learns nothing about tokens that are not its own
        server.answer("0123456789")
