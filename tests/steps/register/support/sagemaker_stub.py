"""A stub of SageMaker's pipeline calls and registry, and of EMR Serverless' reads, over HTTP.

pipeline/local/aws runs real executions. Here a test sets SageMaker's answers itself, also for
states that a real execution does not reach. Callback tokens follow SageMaker's rules: a step is
answered once, and the same answer with the same ClientRequestToken may be repeated.
"""

# ruff: noqa: N802 - the methods are SageMaker's actions, by their names

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.http_server import Handler, served
from tests.support.package_registry import PackageRegistry, ServiceError


class Refusal(Exception):
    """An error answer, with its code and its text."""


class SageMakerStub:
    """`executions[arn]` holds the answers of each call; `answers` collects the answers to steps."""

    def __init__(self) -> None:
        self.executions: dict[str, dict[str, Any]] = {}
        self.answers: list[dict[str, Any]] = []
        self.lose: list[str] = []  # actions whose next answer is lost after the effect
        # actions whose next call a proxy answers with status 200 and its own page
        self.garble: list[str] = []
        # actions whose next call is refused with this code, before any effect
        self.refuse: list[tuple[str, str]] = []
        self.application: dict[str, Any] = {}  # the answer of GetApplication
        self.packages = PackageRegistry()
        self.lock = threading.Lock()

    def call(self, action: str, request: dict[str, Any], key: str = "") -> dict[str, Any]:
        with self.lock:
            if action in self.garble:
                self.garble.remove(action)
                return {"page": "<html>please log in</html>"}
            for rule in self.refuse:
                if rule[0] == action:
                    self.refuse.remove(rule)
                    raise Refusal(rule[1], "a refusal that a test asked for")
            if self.packages.serves(action):
                return self.packages.call(action, request, key)
            return getattr(self, action)(request)

    def DescribePipelineExecution(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._execution(request)
        return {
            "PipelineArn": execution["pipeline_arn"],
            "PipelineExecutionArn": execution["arn"],
            "PipelineExecutionStatus": execution["status"],
            "CreationTime": 1795323600.0,
            "LastModifiedTime": execution.get("changed", 1795323700.0),
            "PipelineVersionId": 4,
            "CreatedBy": execution["created_by"],
        } | (
            {"PipelineExecutionDescription": text}
            if (text := execution.get("description")) is not None
            else {}
        )

    def UpdatePipelineExecution(self, request: dict[str, Any]) -> dict[str, Any]:
        execution, text = self._execution(request), request["PipelineExecutionDescription"]
        if len(text) > 3072 or "\n" in text:
            raise Refusal(
                "ValidationException",
                "PipelineExecutionDescription: one line of at most 3072 characters",
            )
        execution["description"] = text
        execution.setdefault("descriptions", []).append(text)
        return {"PipelineExecutionArn": execution["arn"]}

    def ListPipelineExecutions(self, request: dict[str, Any]) -> dict[str, Any]:
        own = f":pipeline/{request['PipelineName']}"
        found = [arn for arn, each in self.executions.items() if each["pipeline_arn"].endswith(own)]
        return {"PipelineExecutionSummaries": [{"PipelineExecutionArn": arn} for arn in found]}

    def ListPipelineExecutionSteps(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"PipelineExecutionSteps": self._execution(request)["steps"]}

    def ListPipelineParametersForExecution(self, request: dict[str, Any]) -> dict[str, Any]:
        given = self._execution(request)["parameters"]
        return {
            "PipelineParameters": [{"Name": name, "Value": value} for name, value in given.items()]
        }

    def DescribePipelineDefinitionForExecution(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"PipelineDefinition": self._execution(request)["definition"]}

    def DescribeTrainingJob(self, request: dict[str, Any]) -> dict[str, Any]:
        jobs = [execution["training_job"] for execution in self.executions.values()]
        return next(job for job in jobs if job["TrainingJobName"] == request["TrainingJobName"])

    def SendPipelineExecutionStepSuccess(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._answer(request, "Succeeded", {"OutputParameters": request["OutputParameters"]})

    def SendPipelineExecutionStepFailure(self, request: dict[str, Any]) -> dict[str, Any]:
        if len(request["FailureReason"]) > 256:
            raise Refusal("ValidationException", "FailureReason is too long")
        return self._answer(request, "Failed", {})

    def emr(self, path: str) -> dict[str, Any]:
        """The answer of GetApplication or GetJobRun."""
        *_, kind, name = path.split("/")
        if kind == "applications":
            return {"application": self.application | {"applicationId": name}}
        return self.job_run(name)

    def job_run(self, job_run_id: str) -> dict[str, Any]:
        with self.lock:
            runs = [execution["prepare_job"] for execution in self.executions.values()]
        for run in runs:
            if run["jobRunId"] == job_run_id:
                return {"jobRun": run}
        raise Refusal("ResourceNotFoundException", "no such job run")

    def _execution(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.executions[request["PipelineExecutionArn"]]
        except KeyError:
            raise Refusal("ResourceNotFound", "no such execution") from None

    def _answer(
        self, request: dict[str, Any], status: str, metadata: dict[str, Any]
    ) -> dict[str, Any]:
        self.answers.append({"status": status} | request)
        for execution in self.executions.values():
            step = execution["callback"]
            if step["Metadata"]["Callback"]["CallbackToken"] != request["CallbackToken"]:
                continue
            repeated = execution.get("answered_by") == (status, request["ClientRequestToken"])
            if step["StepStatus"] in ("Succeeded", "Failed", "Stopped") and not repeated:
                raise Refusal("ConflictException", "answered already")
            # any answer ends a step that is being stopped
            step["StepStatus"] = "Stopped" if execution["status"] == "Stopping" else status
            step["Metadata"]["Callback"] |= metadata
            execution["answered_by"] = (status, request["ClientRequestToken"])
            return {"PipelineExecutionArn": execution["arn"]}
        raise Refusal("ResourceNotFound", "no such token")


class _Server(Handler):
    stub: SageMakerStub  # set in a subclass for each server

    @property
    def access_key(self) -> str:
        """Whose signature a request has; nothing checks it here."""
        return str(self.headers["Authorization"]).partition("Credential=")[2].partition("/")[0]

    def do_GET(self) -> None:
        try:
            status, answer = 200, self.stub.emr(self.path.split("?")[0])
        except Refusal as refusal:
            status, answer = 404, {"__type": refusal.args[0], "message": refusal.args[1]}
        self.answer_json(status, answer)

    def do_POST(self) -> None:
        action = self.headers["X-Amz-Target"].rsplit(".", 1)[-1]
        request = json.loads(self.body())
        try:
            status, answer = 200, self.stub.call(action, request, self.access_key)
        except Refusal as refusal:
            status, answer = 400, {"__type": refusal.args[0], "message": refusal.args[1]}
        except ServiceError as error:
            status, answer = error.status, {"__type": error.code, "message": error.message}
        if action in self.stub.lose:
            self.stub.lose.remove(action)
            return self.drop()
        return self.answer_json(status, answer, {"Content-Type": "application/x-amz-json-1.1"})


@contextmanager
def serving(stub: SageMakerStub) -> Iterator[str]:
    """Serve the stub, and yield its URL."""
    with served(type("Server", (_Server,), {"stub": stub})) as origin:
        yield origin
