"""A server that answers the SageMaker calls of upsert and run, and refuses all others by name.

It stores pipelines, tags and executions. A test writes how an execution proceeds as a list of
moments.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import xform_name

from pipeline.configuration import config
from tests.support.http_server import Handler, served

ACCOUNT, REGION = "000000000000", "us-east-1"
GOLDEN = Path(__file__).resolve().parent.parent / "golden"


class AwsError(Exception):
    """An answer that is an error, with the service's code."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


class SageMaker:
    """The service's state and operations. `calls` has the name of each call, in order."""

    def __init__(self) -> None:
        self.account = ACCOUNT
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.executions: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.moments: list[dict[str, Any]] = [{"status": "Succeeded", "steps": []}]
        self.calls: list[str] = []
        self.stops: list[dict[str, Any]] = []
        self.retries: list[dict[str, Any]] = []
        self.refuse: dict[str, AwsError] = {}
        self.lose_answers_to: set[str] = set()  # done, but the connection drops before the answer

    def deny(self, operation: str, code: str, text: str) -> None:
        """Answer an operation with an error from now on."""
        self.refuse[operation] = AwsError(code, text)

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(operation)
        if operation in self.refuse:
            raise self.refuse[operation]
        method = getattr(self, xform_name(operation), None)
        if method is None:
            raise AwsError("UnknownOperationException", f"not implemented: {operation}")
        answer: dict[str, Any] = method(request)
        return answer

    def _arn(self, name: str) -> str:
        return f"arn:aws:sagemaker:{REGION}:{self.account}:pipeline/{name}"

    def _pipeline(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["PipelineName"]
        if name not in self.pipelines:
            raise AwsError("ResourceNotFound", f"Pipeline '{name}' does not exist.")
        return self.pipelines[name]

    def create_pipeline(self, request: dict[str, Any]) -> dict[str, Any]:
        arn, name = self._arn(request["PipelineName"]), request["PipelineName"]
        if (
            name in self.pipelines
            and self.pipelines[name]["_token"] != request["ClientRequestToken"]
        ):
            raise AwsError(
                "ValidationException",
                "Pipeline names must be unique within an AWS account and region.",
            )
        self.pipelines[name] = self._stored(request) | {
            "PipelineArn": arn,
            "_token": request["ClientRequestToken"],
        }
        self.tags[arn] = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        return {"PipelineArn": arn}

    def update_pipeline(self, request: dict[str, Any]) -> dict[str, Any]:
        self._pipeline(request).update(self._stored(request))  # what is not named stays as it was
        return {"PipelineArn": self._arn(request["PipelineName"])}

    def _stored(self, request: dict[str, Any]) -> dict[str, Any]:
        keys = {"PipelineName", "PipelineDefinition", "PipelineDescription", "RoleArn"}
        more = {"PipelineDisplayName", "ParallelismConfiguration"} & request.keys()
        return {key: request[key] for key in keys | more} | {"LastModifiedTime": time.time()}

    def describe_pipeline(self, request: dict[str, Any]) -> dict[str, Any]:
        return {
            key: value for key, value in self._pipeline(request).items() if not key.startswith("_")
        }

    def list_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return two tags a page, so that a client which ignores the next page fails."""
        tags, at = list(self.tags[request["ResourceArn"]].items()), int(request.get("NextToken", 0))
        more = {"NextToken": str(at + 2)} if at + 2 < len(tags) else {}
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags[at : at + 2]], **more}

    def delete_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        for key in request["TagKeys"]:
            self.tags[request["ResourceArn"]].pop(key, None)
        return {}

    def add_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        self.tags[request["ResourceArn"]].update(
            {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        )
        return {"Tags": request["Tags"]}

    def start_pipeline_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        pipeline, token = self._pipeline(request), request["ClientRequestToken"]
        for arn, execution in self.executions.items():
            if execution["token"] == token:
                return {"PipelineExecutionArn": arn}
        arn = f"{pipeline['PipelineArn']}/execution/run{len(self.executions):09}"
        self.executions[arn] = {
            "token": token,
            "moment": 0,
            "request": request,
            "at": time.time(),
            "definition": pipeline["PipelineDefinition"],
        }
        return {"PipelineExecutionArn": arn}

    def _execution(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["PipelineExecutionArn"] not in self.executions:
            raise AwsError(
                "ResourceNotFound",
                f"Pipeline execution '{request['PipelineExecutionArn']}' does not exist.",
            )
        return self.executions[request["PipelineExecutionArn"]]

    def _moment(self, execution: dict[str, Any]) -> dict[str, Any]:
        return self.moments[min(execution["moment"], len(self.moments) - 1)]

    def describe_pipeline_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        moment = self._moment(self._execution(request))
        reason = {"FailureReason": moment["reason"]} if "reason" in moment else {}
        note = (
            {"PipelineExecutionDescription": moment["description"]}
            if "description" in moment
            else {}
        )
        execution = self._execution(request)
        facts = {
            "PipelineExecutionDisplayName": execution["request"]["PipelineExecutionDisplayName"],
            "CreationTime": execution["at"],
            "LastModifiedTime": execution["at"],
            "CreatedBy": {"IamIdentity": {"Arn": "arn:aws:sts::0:assumed-role/scientist/anna"}},
        }
        return {"PipelineExecutionStatus": moment["status"], **facts, **reason, **note}

    def list_pipeline_executions(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the newest first, one a page."""
        self._pipeline(request)
        arns, at = list(self.executions)[::-1], int(request.get("NextToken", 0))
        more = {"NextToken": str(at + 1)} if at + 1 < len(arns) else {}
        summaries = [{"PipelineExecutionArn": arn} for arn in arns[at : at + 1]]
        return {"PipelineExecutionSummaries": summaries, **more}

    def stop_pipeline_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        self.stops.append(request)
        return {"PipelineExecutionArn": request["PipelineExecutionArn"]}

    def retry_pipeline_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        self.retries.append(request)
        return {"PipelineExecutionArn": request["PipelineExecutionArn"]}

    def list_pipeline_execution_steps(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return one step a page, so that a client which ignores the next page fails. The last page
        ends the moment."""
        execution = self._execution(request)
        steps, at = self._moment(execution)["steps"], int(request.get("NextToken", 0))
        more = at + 1 < len(steps)
        if not more:
            execution["moment"] += 1
        return {
            "PipelineExecutionSteps": steps[at : at + 1],
            **({"NextToken": str(at + 1)} if more else {}),
        }

    def describe_pipeline_definition_for_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"PipelineDefinition": self._execution(request)["definition"]}

    def list_pipeline_parameters_for_execution(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"PipelineParameters": self._execution(request)["request"]["PipelineParameters"]}

    def describe_training_job(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.jobs[request["TrainingJobName"]]


class _Server(Handler):
    service: SageMaker  # set in a subclass for each server

    def do_POST(self) -> None:
        operation = self.headers["X-Amz-Target"].removeprefix("SageMaker.")
        request, lost_answers = json.loads(self.body()), self.service.lose_answers_to
        try:
            status, body = 200, self.service.answer(operation, request)
        except AwsError as error:
            status, body = 400, {"__type": error.code, "message": str(error)}
        if operation in lost_answers:
            lost_answers.discard(operation)
            return self.drop()
        return self.answer_json(status, body, {"Content-Type": "application/x-amz-json-1.1"})


@pytest.fixture(autouse=True)
def _cache_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run keeps its definition in a folder of the test, not of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def variables() -> dict[str, str]:
    """What the embedded environment exports, frozen as for the goldens."""
    return dict(line.split("=", 1) for line in (GOLDEN / "local.env").read_text().splitlines())


@pytest.fixture
def configured(variables: dict[str, str]) -> config.Config:
    return config.load("local", environ=variables)


@pytest.fixture
def compiled() -> str:
    """The local definition, read from its golden, which needs no SDK."""
    return json.dumps(json.loads((GOLDEN / "definition.local.json").read_text()))


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> Iterator[SageMaker]:
    """The running service, with this process's environment pointing at it."""
    made = SageMaker()
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with served(type("Server", (_Server,), {"service": made})) as origin:
        for name, value in (variables | keys | {"AWS_ENDPOINT_URL": origin}).items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def client(service: SageMaker) -> Any:
    return boto3.client("sagemaker", region_name=REGION)
