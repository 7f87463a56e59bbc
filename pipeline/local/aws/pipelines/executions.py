"""Pipeline executions: start, describe, stop, retry. `executor` runs the steps."""

import secrets
import string
from collections.abc import Callable, Mapping

from pipeline.local.aws import paging
from pipeline.local.aws.account import Account, Caller
from pipeline.local.aws.errors import Conflict, Invalid, NotFound, NotServed
from pipeline.local.aws.pipelines import definition, selection, versions
from pipeline.local.aws.pipelines.executor import RUNNING, Executor
from pipeline.local.aws.pipelines.expressions import text
from pipeline.local.aws.pipelines.pipelines import EXECUTION_ENDED
from pipeline.local.aws.store import Document, now

INTERRUPTED = (
    "InternalServerError: the embedded environment ended while this execution ran. Retry it, or "
    "start it again."
)
_LIST_SERVED = {"PipelineName", "CreatedAfter", "CreatedBefore", "SortBy", "SortOrder"}
_KEPT = ("PipelineExecutionDisplayName", "PipelineExecutionDescription", "ParallelismConfiguration")
_GIVEN = ("PipelineParameters", "SelectiveExecutionConfig", *versions.NAMED)
_START_SERVED = {"PipelineName", "ClientRequestToken", *_GIVEN, *_KEPT}
_DESCRIBED = (
    "PipelineArn", "PipelineExecutionArn", "PipelineExecutionDisplayName",
    "PipelineExecutionStatus", "PipelineExecutionDescription", "FailureReason", "CreationTime",
    "LastModifiedTime", "ParallelismConfiguration", "PipelineVersionId", "CreatedBy",
    "LastModifiedBy",
)  # fmt: skip


class Executions:
    """The operations on executions."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store
        self.operations: Mapping[str, Callable[[Caller, Document], Document]] = {
            "StartPipelineExecution": self.start,
            "DescribePipelineExecution": self.describe,
            "ListPipelineExecutions": self.list_all,
            "ListPipelineExecutionSteps": self.list_steps,
            "ListPipelineParametersForExecution": self.list_parameters,
            "DescribePipelineDefinitionForExecution": self.describe_definition,
            "UpdatePipelineExecution": self.update,
            "StopPipelineExecution": self.stop,
            "RetryPipelineExecution": self.retry,
        }

    def recover(self) -> None:
        """Mark executions that were under way when the environment ended as failed."""
        for execution in self._store.all("execution"):
            if execution["PipelineExecutionStatus"] in EXECUTION_ENDED:
                continue
            with self._store.edit("execution", execution["PipelineExecutionArn"]) as document:
                document |= {
                    "PipelineExecutionStatus": "Failed",
                    "FailureReason": INTERRUPTED,
                    "LastModifiedTime": now(),
                }
                for step in document["_steps"].values():
                    if step["StepStatus"] in RUNNING:
                        step |= {
                            "StepStatus": "Failed",
                            "FailureReason": INTERRUPTED,
                            "EndTime": now(),
                        }

    def start(self, caller: Caller, request: Document) -> Document:
        """Start an execution; a repeated client token returns the one that it started."""
        if strange := sorted(request.keys() - _START_SERVED):
            raise NotServed(f"StartPipelineExecution {', '.join(strange)}")
        pipeline = self._store.get("pipeline", request["PipelineName"].rsplit("/", 1)[-1])
        if pipeline is None:
            raise NotFound(f"Pipeline '{request['PipelineName']}' does not exist.")
        pipeline = versions.chosen(pipeline, request)
        given = {item["Name"]: item["Value"] for item in request.get("PipelineParameters") or []}
        try:
            parsed = definition.parse(pipeline["PipelineDefinition"])
            values = parsed.values(given)
        except definition.DefinitionError as error:
            raise Invalid(str(error)) from None
        with self._store.alone():
            for earlier in self._of(pipeline["PipelineArn"]):
                if earlier["_token"] == request["ClientRequestToken"]:
                    return _same(earlier, request)
            execution = self._new(pipeline, request) | {"_parameters": values}
            execution |= selection.begun(request, parsed, self._store)
            execution["CreatedBy"] = execution["LastModifiedBy"] = _user_context(caller)
            arn = execution["PipelineExecutionArn"]
            self._store.add("execution", arn, execution)
        Executor(self._account, arn).start()
        return {"PipelineExecutionArn": arn}

    def describe(self, caller: Caller, request: Document) -> Document:
        """Return the execution's status and failure reason."""
        execution = self._execution(request)
        return {key: execution[key] for key in _DESCRIBED if key in execution}

    def list_all(self, caller: Caller, request: Document) -> Document:
        """List executions of one pipeline, newest first, filtered by time."""
        paging.check("ListPipelineExecutions", request, _LIST_SERVED)
        name = request["PipelineName"].rsplit("/", 1)[-1]
        if self._store.get("pipeline", name) is None:
            raise NotFound(f"Pipeline '{name}' does not exist.")
        executions = self._of(self._account.arn("sagemaker", f"pipeline/{name}"))
        found = []
        for execution in paging.ordered(
            executions, request, sort_by={"PipelineExecutionArn": "PipelineExecutionArn"}
        ):
            summary = {key: execution[key] for key in _DESCRIBED[1:5] if key in execution}
            summary["StartTime"] = execution["CreationTime"]
            if "FailureReason" in execution:
                summary["PipelineExecutionFailureReason"] = execution["FailureReason"]
            found.append(summary)
        summaries, token = paging.page(found, request)
        return {"PipelineExecutionSummaries": summaries, **token}

    def list_steps(self, caller: Caller, request: Document) -> Document:
        """List the steps that have started, newest first."""
        paging.check("ListPipelineExecutionSteps", request, {"PipelineExecutionArn", "SortOrder"})
        records = list(self._execution(request)["_steps"].values())
        visible = [
            {key: value for key, value in step.items() if not key.startswith("_")}
            for step in paging.ordered(records, request)
        ]
        found, token = paging.page(visible, request)
        return {"PipelineExecutionSteps": found, **token}

    def list_parameters(self, caller: Caller, request: Document) -> Document:
        """List every parameter of the execution with its value."""
        paging.check("ListPipelineParametersForExecution", request, {"PipelineExecutionArn"})
        parameters = self._execution(request)["_parameters"]
        found, token = paging.page(
            [{"Name": name, "Value": text(value)} for name, value in parameters.items()], request
        )
        return {"PipelineParameters": found, **token}

    def describe_definition(self, caller: Caller, request: Document) -> Document:
        """Return the definition with which the execution started."""
        execution = self._execution(request)
        return {
            "PipelineDefinition": execution["_definition"],
            "CreationTime": execution["CreationTime"],
        }

    def update(self, caller: Caller, request: Document) -> Document:
        """Change the display name, the description or the parallelism."""
        arn = self._execution(request)["PipelineExecutionArn"]
        with self._store.edit("execution", arn) as document:
            document |= {key: request[key] for key in _KEPT if key in request} | {
                "LastModifiedTime": now(),
                "LastModifiedBy": _user_context(caller),
            }
        return {"PipelineExecutionArn": arn}

    def stop(self, caller: Caller, request: Document) -> Document:
        """Stop running steps; a callback's worker is notified and must answer."""
        arn = self._execution(request)["PipelineExecutionArn"]
        with self._store.edit("execution", arn) as document:
            if document["PipelineExecutionStatus"] in EXECUTION_ENDED:
                raise Conflict(
                    f"Pipeline execution with ARN {arn} status "
                    f"{document['PipelineExecutionStatus']}. "
                    f"Cannot stop this pipeline execution."
                )
            document |= {"PipelineExecutionStatus": "Stopping", "LastModifiedTime": now()}
        return {"PipelineExecutionArn": arn}

    def retry(self, caller: Caller, request: Document) -> Document:
        """Run failed and stopped steps again; steps that succeeded keep their results."""
        arn = self._execution(request)["PipelineExecutionArn"]
        with self._store.edit("execution", arn) as document:
            if document["PipelineExecutionStatus"] not in ("Failed", "Stopped"):
                raise Conflict(
                    f"Pipeline execution with ARN {arn} status "
                    f"{document['PipelineExecutionStatus']}. "
                    f"Only an execution that failed or was stopped can be retried."
                )
            if any(step["_type"] == "Fail" for step in document["_steps"].values()):
                raise Conflict(
                    f"Pipeline execution with ARN {arn} ended in a Fail step and cannot be retried."
                )
            done = {
                name: step
                for name, step in document["_steps"].items()
                if step["StepStatus"] == "Succeeded"
            }
            document |= {
                "_steps": done,
                "PipelineExecutionStatus": "Executing",
                "LastModifiedTime": now(),
            }
            document.pop("FailureReason", None)
            if "ParallelismConfiguration" in request:
                document["ParallelismConfiguration"] = request["ParallelismConfiguration"]
        Executor(self._account, arn).start()
        return {"PipelineExecutionArn": arn}

    def _new(self, pipeline: Document, request: Document) -> Document:
        identifier = "".join(
            secrets.choice(string.ascii_lowercase + string.digits) for _ in range(12)
        )
        at = now()
        inherited = {key: pipeline[key] for key in ("ParallelismConfiguration",) if key in pipeline}
        return inherited | {key: request[key] for key in _KEPT if key in request} | {
            "PipelineArn": pipeline["PipelineArn"],
            "PipelineExecutionArn": f"{pipeline['PipelineArn']}/execution/{identifier}",
            "PipelineExecutionDisplayName": request.get(
                "PipelineExecutionDisplayName", f"execution-{int(at * 1000)}"
            ),
            "PipelineExecutionStatus": "Executing",
            "PipelineVersionId": pipeline["_version"],
            "RoleArn": pipeline["RoleArn"],
            "CreationTime": at,
            "LastModifiedTime": at,
            "_pipeline": pipeline["PipelineName"],
            "_definition": pipeline["PipelineDefinition"],
            "_token": request["ClientRequestToken"],
            "_given": _given(request),
            "_steps": {},
            "_attempts": {},
        }  # fmt: skip

    def _of(self, pipeline_arn: str) -> list[Document]:
        return [run for run in self._store.all("execution") if run["PipelineArn"] == pipeline_arn]

    def _execution(self, request: Document) -> Document:
        execution = self._store.get("execution", request["PipelineExecutionArn"])
        if execution is None:
            raise NotFound(
                f"Pipeline execution with ARN {request['PipelineExecutionArn']} does not exist."
            )
        return execution


def _user_context(caller: Caller) -> Document:
    """Who called, as the answers of SageMaker name them outside of Studio [unverified]."""
    identity = {"Arn": caller.arn, "PrincipalId": caller.principal_id}
    return {"IamIdentity": {key: value for key, value in identity.items() if value is not None}}


def _given(request: Document) -> Document:
    return {key: request.get(key) for key in _GIVEN}


def _same(earlier: Document, request: Document) -> Document:
    if earlier["_given"] != _given(request):
        raise Conflict("this ClientRequestToken started an execution with other parameters")
    return {"PipelineExecutionArn": earlier["PipelineExecutionArn"]}
