"""The work of each type of step, by real boto3 calls with the pipeline's role, and how it is
stopped.

EMRServerless   GetApplication, StartJobRun, GetJobRun, CancelJobRun; the rule that follows the run
Training        CreateTrainingJob, DescribeTrainingJob, StopTrainingJob
Condition       evaluates; starts nothing
Callback        SendMessage with a token, then waits for the answer; a stop sends a second message
Fail            fails, with the message
"""

import datetime
import json
import secrets
import string
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.local.aws.emr_serverless.applications import RUN_ENDED
from pipeline.local.aws.pipelines.expressions import all_hold, resolve
from pipeline.local.aws.pipelines.running_step import RunningStep, StepFailed
from pipeline.local.aws.store import Document, now
from pipeline.local.aws.training_jobs import jobs

TOKEN_CHARACTERS = 10
MAX_JOB_NAME_CHARACTERS = 63
# SageMaker follows a run by a rule of EventBridge, which it makes with the pipeline's role. Its
# name for EMR Serverless is [unverified]; for EMR on EC2 AWS's page has the same without Serverless
_RULE = "rule/SageMakerPipelineExecutionEMRServerlessStepStatusUpdateRule"
_ALPHANUMERIC = string.ascii_letters + string.digits


def train(running: RunningStep) -> None:
    """Run a training job under a name in SageMaker's form."""
    client = running.client("sagemaker")
    request = {key: value for key, value in running.arguments.items() if value is not None}
    execution_id = running.execution_arn.rsplit("/", 1)[-1]
    prefix = request.pop("TrainingJobName", None) or f"pipelines-{execution_id}-{running.step.name}"
    name = f"{prefix[: MAX_JOB_NAME_CHARACTERS - 11]}-{_random(10)}"
    arn = client.create_training_job(TrainingJobName=name, **request)["TrainingJobArn"]
    running.set(Metadata={"TrainingJob": {"Arn": arn}})
    running.await_end(
        lambda: (
            (running.store.get("training-job", name) or {}).get("TrainingJobStatus") in jobs.ENDED
        ),
        lambda: client.stop_training_job(TrainingJobName=name),
    )
    job = client.describe_training_job(TrainingJobName=name)
    reason = job.get("FailureReason") or f"training job {name}: {job['SecondaryStatus']}"
    running.judge(job["TrainingJobStatus"], "Completed", reason)
    running.set(_properties=_plain(job))


def run_emr_job(running: RunningStep) -> None:
    """Run a job on the application that the step names."""
    client = running.client("emr-serverless")
    arguments = running.arguments
    if "ApplicationId" not in arguments:
        raise StepFailed(
            "not implemented: an EMRServerless step that creates its application (give "
            "ApplicationId)"
        )
    request = {
        key: value for key, value in arguments["JobConfig"].items() if value not in (None, {}, [])
    }
    request |= {
        "applicationId": arguments["ApplicationId"],
        "executionRoleArn": arguments["ExecutionRoleArn"],
    }
    client.get_application(applicationId=arguments["ApplicationId"])
    for action in ("DescribeRule", "PutRule", "PutTargets"):  # asked only: the store is watched
        running.check(f"events:{action}", running.arn("events", _RULE))
    run = client.start_job_run(**request)
    names = {key: run[key] for key in ("applicationId", "jobRunId")}
    running.set(Metadata={"EMRServerless": _emr_metadata(names, request)})
    running.await_end(
        lambda: (running.store.get("job-run", names["jobRunId"]) or {}).get("state") in RUN_ENDED,
        lambda: client.cancel_job_run(**names),
    )
    job = client.get_job_run(**names)["jobRun"]
    running.judge(
        job["state"],
        "SUCCESS",
        job["stateDetails"] or f"job run {names['jobRunId']}: {job['state']}",
    )


def decide(running: RunningStep) -> None:
    """Evaluate all conditions; the outcome selects a branch."""
    outcome = all_hold(running.step.arguments.get("Conditions") or [], running.scope)
    running.set(Metadata={"Condition": {"Outcome": str(outcome)}}, _properties={"Outcome": outcome})


def call_back(running: RunningStep) -> None:
    """Send the token to the queue and wait for its answer, without a time limit, as in AWS."""
    token, document = _random(TOKEN_CHARACTERS), running.step.document
    url = resolve(document["SqsQueueUrl"], running.scope)
    declared = {
        item["OutputName"]: item["OutputType"] for item in document.get("OutputParameters") or []
    }
    message = {
        "token": token,
        "pipelineExecutionArn": running.execution_arn,
        "arguments": running.arguments,
    }
    open_ = {
        "state": "open",
        "execution": running.execution_arn,
        "outputs": declared,
        "CreationTime": now(),
    }
    running.store.add("callback", token, open_)
    metadata: Document = {"CallbackToken": token, "SqsQueueUrl": url}
    running.set(Metadata={"Callback": metadata})
    queue = running.client("sqs")

    def send(status: str) -> None:
        queue.send_message(QueueUrl=url, MessageBody=json.dumps(message | {"status": status}))

    send("Executing")
    running.await_end(
        lambda: (running.store.get("callback", token) or {}).get("state") != "open",
        lambda: send("Stopping"),
    )
    answer = running.store.get("callback", token) or {}
    if answer["state"] != "succeeded":
        raise StepFailed(answer["reason"])
    metadata["OutputParameters"] = [
        {"Name": name, "Value": text} for name, text in answer["text"].items()
    ]
    running.set(Metadata={"Callback": metadata}, _properties={"OutputParameters": answer["values"]})


def fail(running: RunningStep) -> None:
    """Fail with the step's message."""
    message = str(running.arguments.get("ErrorMessage", ""))
    running.set(Metadata={"Fail": {"ErrorMessage": message}})
    raise StepFailed(message)


WORK: Mapping[str, Callable[[RunningStep], None]] = {
    "Callback": call_back,
    "Condition": decide,
    "EMRServerless": run_emr_job,
    "Fail": fail,
    "Training": train,
}


def timestamp(seconds: float) -> str:
    """Return a time in epoch seconds as ISO 8601 in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")


def _emr_metadata(names: Mapping[str, str], request: Mapping[str, Any]) -> Document:
    metadata = {"ApplicationId": names["applicationId"], "JobRunId": names["jobRunId"]}
    return metadata | ({"JobRunName": request["name"]} if request.get("name") else {})


def _plain(answer: Mapping[str, Any]) -> Document:
    """Return a boto3 answer as JSON values, for the expressions of later steps."""
    kept = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
    plain: Document = json.loads(
        json.dumps(kept, default=lambda moment: timestamp(moment.timestamp()))
    )
    return plain


def _random(characters: int) -> str:
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(characters))
