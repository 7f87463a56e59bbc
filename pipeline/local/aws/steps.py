"""What each type of step does, through real boto3 calls as the pipeline's role, and how it is stopped and retried.

EMRServerless   StartJobRun, GetJobRun, CancelJobRun
Training        CreateTrainingJob, DescribeTrainingJob, StopTrainingJob
Condition       evaluates; starts nothing
Callback        SendMessage with a token, then waits for the answer; tells a stop by a second message
Fail            fails, with the message

StepFailed      the step is Failed; the message is its FailureReason
StepStopped     the step is Stopped, because the execution is stopping
"""

import datetime
import json
import secrets
import string
import time
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.local.aws import emr_serverless, training
from pipeline.local.aws.account import Account
from pipeline.local.aws.definition import Step
from pipeline.local.aws.expressions import ExpressionError, Scope, all_hold, resolve
from pipeline.local.aws.retries import Policies, fault_of
from pipeline.local.aws.store import Document, now

MAX_REASON_CHARACTERS = 1024
TOKEN_CHARACTERS = 10
_ALPHANUMERIC = string.ascii_letters + string.digits


class StepFailed(Exception):
    """The step did not do its work."""


class StepStopped(Exception):
    """The step was stopped with its execution."""


class Acting:
    """The pipeline's role at work: one session and its clients for one execution."""

    def __init__(self, account: Account, role_arn: str) -> None:
        self.account = account
        self._session = account.session_of(role_arn, training.SERVICE, "SageMaker-PipelineExecution")
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A client that signs with the pipeline role's keys."""
        if service not in self._clients:
            self._clients[service] = self.account.client(service, self._session)
        return self._clients[service]


class RunningStep:
    """One step under way."""

    def __init__(self, acting: Acting, execution_arn: str, step: Step, scope: Scope) -> None:
        self._acting = acting
        self._store = acting.account.store
        self._arn = execution_arn
        self._step = step
        self._scope = scope

    def run(self) -> None:
        """Do it, with the step's retry policies; every way out is a status in the store."""
        from botocore.exceptions import BotoCoreError, ClientError

        policies = Policies(self._step.document.get("RetryPolicies") or [])
        try:
            while True:
                try:
                    self._set(StepStatus="Executing")
                    _RUNNERS[self._step.type](self)
                    return self._end("Succeeded")
                except (ClientError, BotoCoreError, StepFailed) as error:
                    pause_seconds = policies.next_pause(fault_of(error))
                    if pause_seconds is None or self.stopping:
                        raise
                    time.sleep(pause_seconds)
        except StepStopped:
            self._end("Stopped")
        except (StepFailed, ExpressionError) as error:
            self._end("Failed", str(error))
        except ClientError as error:
            refused = error.response["Error"]
            self._end(
                "Failed",
                f"ClientError: Failed to invoke {error.operation_name}. Error Details: "
                f"{refused.get('Code')}: {refused.get('Message')}",
            )
        except Exception as error:  # noqa: BLE001  # a thread's last chance: the step must not stay Executing for ever
            self._end("Failed", f"ClientError: {error}")

    @property
    def stopping(self) -> bool:
        """Whether the execution is to stop."""
        document = self._store.get("execution", self._arn) or {}
        return document.get("PipelineExecutionStatus") == "Stopping"

    def train(self) -> None:
        """A training job under a name that SageMaker would give it."""
        client = self._acting.client("sagemaker")
        request = {key: value for key, value in self._resolved().items() if value is not None}
        execution_id = self._arn.rsplit("/", 1)[-1]
        prefix = request.pop("TrainingJobName", None) or f"pipelines-{execution_id}-{self._step.name}"
        name = f"{prefix[:52]}-{_random(10)}"
        self._set(
            Metadata={
                "TrainingJob": {"Arn": client.create_training_job(TrainingJobName=name, **request)["TrainingJobArn"]}
            }
        )
        self._await(
            lambda: (self._store.get("training-job", name) or {}).get("TrainingJobStatus") in training.ENDED,
            lambda: client.stop_training_job(TrainingJobName=name),
        )
        job = client.describe_training_job(TrainingJobName=name)
        self._judge(
            job["TrainingJobStatus"],
            "Completed",
            job.get("FailureReason") or f"training job {name}: {job['SecondaryStatus']}",
        )
        self._set(_properties=_plain(job))

    def run_emr_job(self) -> None:
        """A job run on the application that the step names."""
        client = self._acting.client("emr-serverless")
        arguments = self._resolved()
        if "ApplicationId" not in arguments:
            raise StepFailed("not implemented: an EMRServerless step that creates its application (give ApplicationId)")
        request = {key: value for key, value in arguments["JobConfig"].items() if value not in (None, {}, [])}
        request |= {"applicationId": arguments["ApplicationId"], "executionRoleArn": arguments["ExecutionRoleArn"]}
        run = client.start_job_run(**request)
        names = {key: run[key] for key in ("applicationId", "jobRunId")}
        self._set(Metadata={"EMRServerless": _emr_metadata(names, request)})
        self._await(
            lambda: (self._store.get("job-run", names["jobRunId"]) or {}).get("state") in emr_serverless.ENDED,
            lambda: client.cancel_job_run(**names),
        )
        job = client.get_job_run(**names)["jobRun"]
        self._judge(job["state"], "SUCCESS", job["stateDetails"] or f"job run {names['jobRunId']}: {job['state']}")

    def decide(self) -> None:
        """The conditions, all of them; the outcome opens a branch."""
        outcome = all_hold(self._step.arguments.get("Conditions") or [], self._scope)
        self._set(Metadata={"Condition": {"Outcome": str(outcome)}}, _properties={"Outcome": outcome})

    def call_back(self) -> None:
        """Hand the token out and wait for its answer; there is no time limit, as in AWS."""
        token = _random(TOKEN_CHARACTERS)
        url = resolve(self._step.document["SqsQueueUrl"], self._scope)
        declared = {
            item["OutputName"]: item["OutputType"] for item in self._step.document.get("OutputParameters") or []
        }
        message = {
            "token": token,
            "pipelineExecutionArn": self._arn,
            "arguments": self._resolved(),
            "status": "Executing",
        }
        answer = {
            "state": "open",
            "execution": self._arn,
            "step": self._step.name,
            "outputs": declared,
            "CreationTime": now(),
        }
        self._store.add("callback", token, answer)
        self._set(Metadata={"Callback": {"CallbackToken": token, "SqsQueueUrl": url}})
        queue = self._acting.client("sqs")
        queue.send_message(QueueUrl=url, MessageBody=json.dumps(message))
        self._await(
            lambda: (self._store.get("callback", token) or {}).get("state") != "open",
            lambda: queue.send_message(QueueUrl=url, MessageBody=json.dumps(message | {"status": "Stopping"})),
        )
        given = self._store.get("callback", token) or {}
        if given["state"] == "failed":
            raise StepFailed(given["reason"])
        outputs = [{"Name": name, "Value": text} for name, text in given["text"].items()]
        self._set(
            Metadata={"Callback": {"CallbackToken": token, "SqsQueueUrl": url, "OutputParameters": outputs}},
            _properties={"OutputParameters": given["values"]},
        )

    def fail(self) -> None:
        """Say why, and fail."""
        message = str(self._resolved().get("ErrorMessage", ""))
        self._set(Metadata={"Fail": {"ErrorMessage": message}})
        raise StepFailed(message)

    def _await(self, ended: Callable[[], bool], stop: Callable[[], Any]) -> None:
        """Wait for the end, passing a stop on once."""
        closing = self._acting.account.closing
        self._store.wait(lambda: ended() or self.stopping or closing.is_set())
        if self.stopping and not ended():
            self._set(StepStatus="Stopping")
            stop()
            self._store.wait(lambda: ended() or closing.is_set())

    def _judge(self, status: str, success: str, reason: str) -> None:
        if status == success:
            return
        if self.stopping and status in ("Stopped", "CANCELLED"):
            raise StepStopped
        raise StepFailed(reason if reason.split(":")[0].endswith("Error") else f"ClientError: {reason}")

    def _resolved(self) -> dict[str, Any]:
        found: dict[str, Any] = resolve(self._step.arguments, self._scope)
        return found

    def _set(self, **fields: Any) -> None:
        if self._acting.account.closing.is_set():
            raise SystemExit  # ends this thread alone; the next start records the interruption
        with self._store.edit("execution", self._arn) as document:
            document["_steps"][self._step.name] |= fields
            document["LastModifiedTime"] = now()

    def _end(self, status: str, reason: str = "") -> None:
        if self._step.type == "Callback" and self.stopping:
            status = "Stopped"  # whatever the answer was, it ended a step that was being stopped
        why = {"FailureReason": reason[:MAX_REASON_CHARACTERS]} if reason else {}
        self._set(StepStatus=status, EndTime=now(), **why)


_RUNNERS: Mapping[str, Callable[[RunningStep], None]] = {
    "Callback": RunningStep.call_back,
    "Condition": RunningStep.decide,
    "EMRServerless": RunningStep.run_emr_job,
    "Fail": RunningStep.fail,
    "Training": RunningStep.train,
}


def timestamp(seconds: float) -> str:
    """A moment as ISO 8601 in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")


def _emr_metadata(names: Mapping[str, str], request: Mapping[str, Any]) -> Document:
    metadata = {"ApplicationId": names["applicationId"], "JobRunId": names["jobRunId"]}
    return metadata | ({"JobRunName": request["name"]} if request.get("name") else {})


def _plain(answer: Mapping[str, Any]) -> Document:
    """A boto3 answer as JSON, for the expressions of later steps."""
    kept = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
    plain: Document = json.loads(json.dumps(kept, default=lambda moment: timestamp(moment.timestamp())))
    return plain


def _random(characters: int) -> str:
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(characters))
