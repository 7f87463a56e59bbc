"""Versions of a pipeline, one for each definition, and the aliases that point to them.

    document |= versions.added(document)           # after a new definition
    pipeline = versions.chosen(pipeline, request)  # as an execution of that version needs it

From botocore 1.44.5. Our choice [unverified]: an alias has one version, and one that another has
cannot be added.
"""

from collections.abc import Callable, Mapping

from pipeline.local.aws import paging
from pipeline.local.aws.account import Account, Caller
from pipeline.local.aws.errors import Conflict, NotFound
from pipeline.local.aws.store import Document, now

_ARN, _ID, _ALIASES = "PipelineArn", "PipelineVersionId", "PipelineVersionAliases"
NAMED = (_ID, "PipelineVersionAlias")
_GIVEN = ("PipelineVersionDisplayName", "PipelineVersionDescription")
_LIST_SERVED = {"PipelineName", "CreatedAfter", "CreatedBefore", "SortOrder"}


class Versions:
    """ListPipelineVersions, UpdatePipelineVersion."""

    def __init__(self, account: Account) -> None:
        self._store = account.store
        self.operations: Mapping[str, Callable[[Caller, Document], Document]] = {
            "ListPipelineVersions": self.list_all,
            "UpdatePipelineVersion": self.update,
        }

    def list_all(self, caller: Caller, request: Document) -> Document:
        """Versions of a pipeline, newest first."""
        paging.check("ListPipelineVersions", request, _LIST_SERVED)
        pipeline = self._pipeline(request["PipelineName"])
        found = [
            {key: value for key, value in each.items() if not key.startswith("_")}
            | {_ARN: pipeline[_ARN]}
            for each in paging.ordered(_versions(pipeline), request, sort_by={})
        ]
        summaries, token = paging.page(found, request)
        return {"PipelineVersionSummaries": summaries, **token}

    def update(self, caller: Caller, request: Document) -> Document:
        """Change a version's name, description and aliases."""
        pipeline = self._pipeline(request[_ARN])
        operations = request.get("PipelineVersionAliasOperations") or {}
        with self._store.edit("pipeline", pipeline["PipelineName"]) as document:
            versions = _versions(document)
            wanted = _of(versions, pipeline, lambda each: each[_ID] == request[_ID])
            added = set(operations.get("Add") or ())
            for other in versions:
                if other is not wanted and (taken := added & set(other[_ALIASES])):
                    raise Conflict(f"alias {min(taken)} belongs to version {other[_ID]}")
            kept = set(wanted[_ALIASES]) - set(operations.get("Remove") or ())
            wanted |= {key: request[key] for key in _GIVEN if key in request}
            wanted[_ALIASES] = sorted(kept | added)
            document["_versions"] = versions
        return {_ARN: pipeline[_ARN], _ID: request[_ID]}

    def _pipeline(self, name: str) -> Document:
        found = self._store.get("pipeline", name.rsplit("/", 1)[-1])
        if found is None:
            raise NotFound(f"Pipeline '{name}' does not exist.")
        return found


def added(pipeline: Document) -> list[Document]:
    """Return the versions of a pipeline, with its present definition as the newest."""
    return [*pipeline.get("_versions", ()), _version(pipeline)]


def chosen(pipeline: Document, request: Document) -> Document:
    """Return the pipeline as the version that a request names has it; without one, the newest."""
    number, alias = request.get(_ID), request.get("PipelineVersionAlias")
    if number is None and alias is None:
        return pipeline
    found = _of(
        _versions(pipeline),
        pipeline,
        lambda each: each[_ID] == number if alias is None else alias in each[_ALIASES],
    )
    return pipeline | {
        "PipelineDefinition": found["_definition"],
        "_version": found[_ID],
        _ALIASES: found[_ALIASES],
    }


def _of(versions: list[Document], pipeline: Document, fits: Callable[[Document], bool]) -> Document:
    found = next((each for each in versions if fits(each)), None)
    if found is None:
        raise NotFound(f"Pipeline '{pipeline['PipelineName']}' has no such version or alias.")
    return found


def _versions(pipeline: Document) -> list[Document]:
    return list(pipeline.get("_versions") or [_version(pipeline)])


def _version(pipeline: Document) -> Document:
    return {
        _ID: pipeline["_version"],
        "CreationTime": now(),
        _ALIASES: [],
        "_definition": pipeline["PipelineDefinition"],
    }
