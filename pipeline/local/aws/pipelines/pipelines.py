"""SageMaker pipelines: create, update, describe, list, delete (executions: `executions`)."""

from collections.abc import Callable, Mapping

from pipeline.local.aws import paging
from pipeline.local.aws.account import Account, Caller
from pipeline.local.aws.errors import Conflict, InUse, Invalid, NotFound, NotServed
from pipeline.local.aws.pipelines import definition, versions
from pipeline.local.aws.store import Document, now

SERVICE = "sagemaker.amazonaws.com"
EXECUTION_ENDED = ("Succeeded", "Failed", "Stopped")
_SERVED = {
    "PipelineName", "PipelineDisplayName", "PipelineDefinition", "PipelineDescription",
    "ClientRequestToken", "RoleArn", "Tags", "ParallelismConfiguration",
}  # fmt: skip
_LIST_SERVED = {"PipelineNamePrefix", "CreatedAfter", "CreatedBefore", "SortBy", "SortOrder"}
_KEPT = (
    "PipelineDisplayName",
    "PipelineDefinition",
    "PipelineDescription",
    "RoleArn",
    "ParallelismConfiguration",
)
_SUMMARY = (
    "PipelineArn", "PipelineName", "PipelineDisplayName", "PipelineDescription", "RoleArn",
    "CreationTime", "LastModifiedTime",
)  # fmt: skip


class Pipelines:
    """CreatePipeline, UpdatePipeline, DescribePipeline, ListPipelines, DeletePipeline."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store
        self.operations: Mapping[str, Callable[[Caller, Document], Document]] = {
            "CreatePipeline": self.create,
            "UpdatePipeline": self.update,
            "DescribePipeline": self.describe,
            "ListPipelines": self.list_all,
            "DeletePipeline": self.delete,
        }

    def create(self, caller: Caller, request: Document) -> Document:
        """Create a pipeline; a repeated client token returns the one that it created."""
        arn = self._account.arn("sagemaker", f"pipeline/{request['PipelineName']}")
        self._check(caller, request, arn)
        with self._store.alone():
            existing = self._store.get("pipeline", request["PipelineName"])
            if existing is not None:
                if existing["_token"] == request["ClientRequestToken"]:
                    return {"PipelineArn": arn}
                raise InUse(
                    "Pipeline names must be unique within an AWS account and region. "
                    "Pipeline with name "
                    f"({request['PipelineName']}) already exists."
                )
            at = now()
            pipeline = {key: request[key] for key in _KEPT if key in request} | {
                "PipelineArn": arn,
                "PipelineName": request["PipelineName"],
                "PipelineStatus": "Active",
                "CreationTime": at,
                "LastModifiedTime": at,
                "_version": 1,
                "_token": request["ClientRequestToken"],
                "_tags": request.get("Tags") or [],
            }
            pipeline.setdefault("PipelineDisplayName", request["PipelineName"])
            pipeline["_versions"] = versions.added(pipeline)
            self._store.add("pipeline", request["PipelineName"], pipeline)
        return {"PipelineArn": arn}

    def update(self, caller: Caller, request: Document) -> Document:
        """Change the fields that the request has; a new definition is a new version."""
        pipeline = self._pipeline(request)
        self._check(caller, request, pipeline["PipelineArn"])
        with self._store.edit("pipeline", pipeline["PipelineName"]) as document:
            document |= {key: request[key] for key in _KEPT if key in request} | {
                "LastModifiedTime": now()
            }
            if "PipelineDefinition" in request:
                document["_version"] += 1
                document["_versions"] = versions.added(document)
            return {
                "PipelineArn": document["PipelineArn"],
                "PipelineVersionId": document["_version"],
            }

    def describe(self, caller: Caller, request: Document) -> Document:
        """The whole pipeline, its definition byte for byte as it was sent."""
        pipeline = versions.chosen(self._pipeline(request), request)
        runs = [run["CreationTime"] for run in self._runs_of(pipeline)]
        return {key: value for key, value in pipeline.items() if not key.startswith("_")} | (
            {"LastRunTime": max(runs)} if runs else {}
        )

    def list_all(self, caller: Caller, request: Document) -> Document:
        """Pipelines, newest first, filtered by the beginning of the name and the time."""
        paging.check("ListPipelines", request, _LIST_SERVED)
        found = [
            {key: pipeline[key] for key in _SUMMARY if key in pipeline}
            for pipeline in paging.ordered(
                self._store.all("pipeline"), request, sort_by={"Name": "PipelineName"}
            )
            if pipeline["PipelineName"].startswith(request.get("PipelineNamePrefix", ""))
        ]
        summaries, token = paging.page(found, request)
        return {"PipelineSummaries": summaries, **token}

    def delete(self, caller: Caller, request: Document) -> Document:
        """Delete a pipeline that has no execution under way."""
        pipeline = self._pipeline(request)
        if any(
            run["PipelineExecutionStatus"] not in EXECUTION_ENDED for run in self._runs_of(pipeline)
        ):
            raise Conflict(
                f"Pipeline {pipeline['PipelineName']} has executions that are not finished"
            )
        self._store.remove("pipeline", pipeline["PipelineName"])
        return {"PipelineArn": pipeline["PipelineArn"]}

    def _check(self, caller: Caller, request: Document, arn: str) -> None:
        if strange := sorted(request.keys() - _SERVED):
            raise NotServed(f"pipeline with {', '.join(strange)}")
        if "RoleArn" in request:
            self._account.check_may_pass(caller, request["RoleArn"], SERVICE)
            self._account.check_trust(request["RoleArn"], SERVICE)
        if request.get("Tags"):
            self._account.check_allowed(caller, "sagemaker:AddTags", arn)
        if "PipelineDefinition" in request:
            try:
                definition.parse(request["PipelineDefinition"])
            except definition.DefinitionError as error:
                raise Invalid(str(error)) from None

    def _pipeline(self, request: Document) -> Document:
        pipeline = self._store.get("pipeline", request["PipelineName"].rsplit("/", 1)[-1])
        if pipeline is None:
            raise NotFound(f"Pipeline '{request['PipelineName']}' does not exist.")
        return pipeline

    def _runs_of(self, pipeline: Document) -> list[Document]:
        return [
            run
            for run in self._store.all("execution")
            if run["PipelineArn"] == pipeline["PipelineArn"]
        ]
