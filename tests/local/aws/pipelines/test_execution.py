"""An execution of the compiled definition, through unchanged boto3 clients: branches, retries,
stops, answers.
"""

import datetime
import json
import uuid

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.environment
PIPELINE = "governed-finetune-local"


def test_a_good_loss_goes_to_register_and_its_answer_ends_the_execution(server):
    arn = server.start_execution()
    (message,) = server.messages(arn)
    assert message == {
        "token": message["token"],
        "pipelineExecutionArn": arn,
        "arguments": {},
        "status": "Executing",
    }
    assert len(message["token"]) == 10
    server.answer(message["token"])
    assert server.finished(arn) == "Succeeded"

    steps = server.steps(arn)
    assert list(steps) == ["Register", "Gate", "Train", "Prepare"]  # newest first
    check_steps(server, steps, message["token"])
    name = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
    assert name.startswith(f"pipelines-{arn.rsplit('/', 1)[1]}-Train-")
    job = server.client("sagemaker", "register").describe_training_job(TrainingJobName=name)
    assert {item["MetricName"]: item["Value"] for item in job["FinalMetricDataList"]} == {
        "eval:loss_before": 7.5,
        "eval:loss": 2.5,
    }


def check_steps(server, steps, token):
    """Check the records of the four steps of an execution that succeeded."""
    assert {step["StepStatus"] for step in steps.values()} == {"Succeeded"}
    assert all(step["EndTime"] >= step["StartTime"] for step in steps.values())
    assert {step["AttemptCount"] for step in steps.values()} == {1}
    assert steps["Gate"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    assert steps["Register"]["Metadata"]["Callback"] == {
        "CallbackToken": token,
        "SqsQueueUrl": server.outputs["RegisterQueueUrl"],
        "OutputParameters": [
            {"Name": "model_version", "Value": "1"},
            {"Name": "model_uri", "Value": "models:/a.b.c/1"},
        ],
    }
    emr = steps["Prepare"]["Metadata"]["EMRServerless"]
    assert emr["ApplicationId"] == server.outputs["ApplicationId"]
    assert emr["JobRunName"] == "prepare"
    run = server.client("emr-serverless", "register").get_job_run(
        applicationId=emr["ApplicationId"], jobRunId=emr["JobRunId"]
    )["jobRun"]
    assert (run["state"], run["executionRole"]) == ("SUCCESS", server.outputs["PrepareRoleArn"])


def test_a_bad_loss_fails_the_execution_with_loss_and_bound_and_registers_nothing(server):
    arn = server.start_execution(MaxEvalLoss="0.01")
    assert server.finished(arn) == "Failed"
    steps = server.steps(arn)
    assert list(steps) == ["Rejected", "Gate", "Train", "Prepare"]
    assert steps["Gate"]["Metadata"] == {"Condition": {"Outcome": "False"}}
    reason = "eval loss 2.5 is not within 0.01"
    assert steps["Rejected"]["FailureReason"] == reason
    assert steps["Rejected"]["Metadata"] == {"Fail": {"ErrorMessage": reason}}
    described = server.client("sagemaker", "scientist").describe_pipeline_execution(
        PipelineExecutionArn=arn
    )
    assert described["FailureReason"] == reason
    with pytest.raises(ClientError, match="Fail step and cannot be retried"):
        server.client("sagemaker", "scientist").retry_pipeline_execution(
            PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex
        )


def test_a_loss_of_nan_is_rejected(server):
    arn = server.start_execution(Loss="nan")
    assert server.finished(arn) == "Failed"
    assert server.steps(arn)["Rejected"]["FailureReason"] == "eval loss nan is not within 3.0"


def test_a_crashed_step_has_its_last_line_as_reason_and_no_later_step_starts(server):
    arn = server.start_execution(Prepare="crash no such table")
    assert server.finished(arn) == "Failed"
    steps = server.steps(arn)
    assert list(steps) == ["Prepare"]
    assert steps["Prepare"]["FailureReason"].startswith("ClientError: Job failed")
    assert steps["Prepare"]["FailureReason"].endswith("RuntimeError: no such table")
    described = server.client("sagemaker", "scientist").describe_pipeline_execution(
        PipelineExecutionArn=arn
    )
    assert described["FailureReason"] == "Step failure: One or multiple steps failed."


def test_a_retry_repeats_what_failed_and_keeps_what_succeeded(server, tmp_path):
    arn = server.start_execution(Train=f"once {tmp_path / 'marker'}")
    assert server.finished(arn) == "Failed"
    before = server.steps(arn)
    assert (
        before["Train"]["FailureReason"] == "AlgorithmError: the first time it fails, exit code: 1"
    )
    server.client("sagemaker", "scientist").retry_pipeline_execution(
        PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex
    )
    (message,) = server.messages(arn)
    server.answer(message["token"])
    assert server.finished(arn) == "Succeeded"
    after = server.steps(arn)
    assert after["Prepare"] == before["Prepare"]
    assert (after["Train"]["StepStatus"], after["Train"]["AttemptCount"]) == ("Succeeded", 2)


def test_the_same_client_request_token_starts_one_execution(server):
    scientist = server.client("sagemaker", "scientist")
    token = uuid.uuid4().hex
    start = {"PipelineName": PIPELINE, "ClientRequestToken": token}
    bad = [{"Name": "Prepare", "Value": "crash"}]
    first = scientist.start_pipeline_execution(**start, PipelineParameters=bad)
    assert (
        scientist.start_pipeline_execution(**start, PipelineParameters=bad)["PipelineExecutionArn"]
        == (first["PipelineExecutionArn"])
    )
    with pytest.raises(ClientError, match="ConflictException"):
        scientist.start_pipeline_execution(**start)
    server.finished(first["PipelineExecutionArn"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MaxEvalLos", "1", "unknown pipeline parameters MaxEvalLos"),
        ("MaxEvalLoss", "low", "MaxEvalLoss: expected Float, got 'low'"),
        ("Mode", "fast", "Mode: expected one of auto, off, got 'fast'"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused_before_anything_starts(
    server, name, value, message
):
    scientist = server.client("sagemaker", "scientist")
    before = scientist.list_pipeline_executions(PipelineName=PIPELINE)["PipelineExecutionSummaries"]
    with pytest.raises(ClientError, match=message):
        server.start_execution(**{name: value})
    assert (
        scientist.list_pipeline_executions(PipelineName=PIPELINE)["PipelineExecutionSummaries"]
        == before
    )


def test_two_executions_at_once_have_their_own_jobs_and_answers(server):
    first, second = server.start_execution(Loss="1.5"), server.start_execution(Loss="1.25")
    (one,), (two,) = server.messages(first), server.messages(second)
    assert one["token"] != two["token"]
    server.answer(two["token"])
    assert server.finished(second) == "Succeeded"
    assert server.status(first) == "Executing"
    server.answer(one["token"])
    assert server.finished(first) == "Succeeded"
    jobs = [server.steps(arn)["Train"]["Metadata"]["TrainingJob"]["Arn"] for arn in (first, second)]
    losses = [
        server.client("sagemaker").describe_training_job(TrainingJobName=arn.rsplit("/", 1)[1])[
            "FinalMetricDataList"
        ][1]
        for arn in jobs
    ]
    assert [loss["Value"] for loss in losses] == [1.5, 1.25]


@pytest.mark.parametrize("step", ["Prepare", "Train"])
def test_stopping_in_a_job_ends_its_processes_and_the_execution_as_stopped(server, step):
    arn = server.start_execution(**{step: "sleep family" if step == "Train" else "sleep"})
    server.eventually(lambda: "asleep" in _output(server, arn, step))
    server.client("sagemaker", "scientist").stop_pipeline_execution(
        PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex
    )
    assert server.finished(arn) == "Stopped"
    steps = server.steps(arn)
    assert (next(iter(steps)), steps[step]["StepStatus"]) == (step, "Stopped")
    assert server.job_processes() == []


def test_stopping_in_register_notifies_the_worker_and_waits_for_its_answer(server):
    arn = server.start_execution()
    (first,) = server.messages(arn)
    scientist = server.client("sagemaker", "scientist")
    scientist.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)
    (second,) = server.messages(arn)
    assert second == first | {"status": "Stopping"}
    assert server.status(arn) == "Stopping"
    assert server.steps(arn)["Register"]["StepStatus"] == "Stopping"
    server.client("sagemaker", "register").send_pipeline_execution_step_failure(
        CallbackToken=first["token"], FailureReason="stopped on request"
    )
    assert server.finished(arn) == "Stopped"
    register = server.steps(arn)["Register"]
    assert (register["StepStatus"], register["FailureReason"]) == ("Stopped", "stopped on request")
    with pytest.raises(ClientError, match="Cannot stop"):
        scientist.stop_pipeline_execution(
            PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex
        )


def test_lists_come_in_pages_in_both_orders(server):
    arn = server.start_execution(MaxEvalLoss="0.01")
    server.finished(arn)
    scientist = server.client("sagemaker", "scientist")
    names, token = [], {}
    for _ in range(4):
        page = scientist.list_pipeline_execution_steps(
            PipelineExecutionArn=arn, MaxResults=1, SortOrder="Ascending", **token
        )
        names += [step["StepName"] for step in page["PipelineExecutionSteps"]]
        token = {"NextToken": page["NextToken"]} if "NextToken" in page else {}
    assert (names, token) == (["Prepare", "Train", "Gate", "Rejected"], {})
    newest = scientist.list_pipeline_executions(PipelineName=PIPELINE, MaxResults=1)[
        "PipelineExecutionSummaries"
    ][0]
    assert newest["PipelineExecutionArn"] == arn
    with pytest.raises(ClientError, match="page token"):
        scientist.list_pipelines(NextToken="!!")


def test_lists_are_filtered_by_time(server):
    sagemaker, pipeline = server.client("sagemaker"), {"PipelineName": PIPELINE}
    arn = server.start_execution(MaxEvalLoss="0.01")
    server.finished(arn)
    job = server.steps(arn)["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
    day = datetime.timedelta(days=1)
    yesterday, tomorrow = (datetime.datetime.now(datetime.UTC) + shift for shift in (-day, day))
    lists = (
        (sagemaker.list_pipelines, {}, ("CreatedAfter", "CreatedBefore")),
        (sagemaker.list_pipeline_executions, pipeline, ("CreatedAfter", "CreatedBefore")),
        *(
            (sagemaker.list_training_jobs, {"NameContains": job}, (f"{time}After", f"{time}Before"))
            for time in ("CreationTime", "LastModifiedTime")
        ),
    )
    for call, members, names in lists:
        for times, there in (
            ((yesterday, tomorrow), True),
            ((tomorrow, tomorrow), False),
            ((yesterday, yesterday), False),
        ):
            answer = call(**members, **dict(zip(names, times, strict=True)))
            (found,) = (value for value in answer.values() if isinstance(value, list))
            assert bool(found) is there, (names, times)


def test_lists_are_ordered_by_arn_and_refuse_other_filters_by_name(server):
    sagemaker, pipeline = server.client("sagemaker"), {"PipelineName": PIPELINE}
    by_arn = sagemaker.list_pipeline_executions(
        **pipeline, SortBy="PipelineExecutionArn", SortOrder="Ascending"
    )
    arns = [item["PipelineExecutionArn"] for item in by_arn["PipelineExecutionSummaries"]]
    assert arns == sorted(arns)
    with pytest.raises(ClientError, match="not implemented: ListPipelines ManagedBy"):
        sagemaker.list_pipelines(ManagedBy="AWS")
    with pytest.raises(ClientError, match="not implemented: ListTrainingJobs WarmPoolStatusEquals"):
        sagemaker.list_training_jobs(WarmPoolStatusEquals="InUse")
    with pytest.raises(
        ClientError, match="not implemented: ListPipelineExecutions PipelineVersionAlias"
    ):
        sagemaker.list_pipeline_executions(**pipeline, PipelineVersionAlias="x")
    emr, application = server.client("emr-serverless"), server.outputs["ApplicationId"]
    with pytest.raises(ClientError, match="not implemented: ListJobRuns createdAtAfter, mode"):
        emr.list_job_runs(
            applicationId=application,
            createdAtAfter=datetime.datetime.now(datetime.UTC),
            mode="BATCH",
        )


def test_an_execution_keeps_the_definition_and_the_parameters_it_started_with(server):
    arn = server.start_execution(Prepare="crash", MaxEvalLoss="1")
    server.finished(arn)
    scientist = server.client("sagemaker", "scientist")
    definition = scientist.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)[
        "PipelineDefinition"
    ]
    assert definition == json.dumps(server.definition())
    parameters = scientist.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)[
        "PipelineParameters"
    ]
    assert {item["Name"]: item["Value"] for item in parameters} == {
        "Prepare": "crash",
        "Train": "train",
        "Loss": "2.5",
        "MaxEvalLoss": "1.0",
        "Mode": "auto",
    }


def _output(server, arn, step):
    folder = server.state / "aws/jobs"
    steps = server.steps(arn)
    if step not in steps or not steps[step]["Metadata"]:
        return ""
    metadata = steps[step]["Metadata"]
    if step == "Prepare":
        path = folder / metadata["EMRServerless"]["JobRunId"] / "stdout"
    else:
        path = folder / metadata["TrainingJob"]["Arn"].rsplit("/", 1)[1] / "log"
    return path.read_text() if path.exists() else ""
