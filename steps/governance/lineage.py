"""Lineage in Unity Catalog: external metadata for jobs, and edges to their tables and models.

    lineage = Lineage(workspace)
    lineage.ensure_node(Job(metadata_name(arn), "SageMaker training job", {"execution_id": …}))
    lineage.ensure_edge(table("edgar.curated.examples"), job(metadata_name(arn)))
    lineage.walk_upstream(model_version("edgar.models.analyst", 3))    # edges to the raw table

One end of each edge must be external metadata, so table → table goes through the job between them.
Every account user can read these objects: their properties contain digests and ids only.

External calls. Reads are retried (`governance.retrying`). Whether the server merges equal edges is
not documented, so each creation is sent once. After a lost answer an edge is looked up before it is
sent again. A node is sent again; if it exists by then (409), it is ours if it is equal, and a
`Conflict` if not. Two concurrent workers could still create two edges, so the caller holds a lease.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from databricks.sdk.service.catalog import (
    CreateRequestExternalLineage,
    ExternalLineageExternalMetadata,
    ExternalLineageModelVersion,
    ExternalLineageObject,
    ExternalLineageTable,
    ExternalMetadata,
    LineageDirection,
    SystemType,
)

from steps.governance.errors import Conflict, NameRefused
from steps.governance.identity import Workspace
from steps.governance.names import UcName
from steps.governance.refusals import malformed, translated
from steps.governance.retrying import settle

_METADATA_NAME = re.compile(r"ft_[0-9a-f]{24}")


@dataclass(frozen=True)
class Job:
    """A job outside Databricks as an external metadata object; equal jobs are the same node."""

    name: str
    entity_type: str
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Edge:
    """The source and the target of data, each as `kind:name`."""

    source: str
    target: str


def table(name: UcName) -> ExternalLineageObject:
    """Return a table as an end of an edge."""
    return ExternalLineageObject(table=ExternalLineageTable(name=str(name)))


def model_version(name: UcName, version: int) -> ExternalLineageObject:
    """Return a model version as an end of an edge."""
    return ExternalLineageObject(
        model_version=ExternalLineageModelVersion(name=str(name), version=str(version))
    )


def job(name: str) -> ExternalLineageObject:
    """Return an external metadata object as an end of an edge.

    Raises:
        NameRefused: not a name of `names.metadata_name`.
    """
    return ExternalLineageObject(
        external_metadata=ExternalLineageExternalMetadata(name=_checked(name))
    )


def label(end: ExternalLineageObject) -> str:
    """Return the name of one end: `table:a.b.c`, `model_version:a.b.c/3`, `job:ft_…`."""
    if end.table is not None:
        return f"table:{end.table.name}"
    if end.model_version is not None:
        return f"model_version:{end.model_version.name}/{end.model_version.version}"
    if end.external_metadata is not None:
        return f"job:{end.external_metadata.name}"
    return "path:" + (end.path.url or "" if end.path is not None else "")


class Lineage:
    """The lineage of one workspace, read and written as one principal."""

    def __init__(self, workspace: Workspace) -> None:
        self.principal = workspace.principal
        self._client = workspace.client
        self._policy = workspace.policy

    def ensure_node(self, node: Job) -> None:
        """Create this job's object, or confirm that an equal one exists.

        Raises:
            Conflict: another object has its name.
            AccessDenied: CREATE EXTERNAL METADATA is missing.
        """
        wanted = ExternalMetadata(
            name=_checked(node.name),
            system_type=SystemType.OTHER,  # the SDK has no type for EMR or SageMaker
            entity_type=node.entity_type,
            properties=dict(node.properties),
        )

        def create() -> None:
            with translated(self.principal, f"create external metadata {node.name}"):
                self._client.external_metadata.create_external_metadata(wanted)

        try:
            settle(create, present=lambda: False, doing=f"create {node.name}", policy=self._policy)
        except Conflict:
            self._accept_equal(node)

    def ensure_edge(self, source: ExternalLineageObject, target: ExternalLineageObject) -> None:
        """Create this edge if it is not listed.

        Raises:
            AccessDenied: a privilege is missing: SELECT on the source, MODIFY on the target, or
                MODIFY on the job's object.
        """
        edge = Edge(label(source), label(target))

        def present() -> bool:
            return edge in self.edges(target, LineageDirection.UPSTREAM)

        def create() -> None:
            with translated(self.principal, f"record lineage {edge.source} → {edge.target}"):
                self._client.external_lineage.create_external_lineage_relationship(
                    CreateRequestExternalLineage(source=source, target=target)
                )

        if not present():
            settle(
                create,
                present=present,
                doing=f"record {edge.source} → {edge.target}",
                policy=self._policy,
            )

    def edges(self, end: ExternalLineageObject, direction: LineageDirection) -> list[Edge]:
        """Return the edges on one side of an object, duplicates included."""
        return [
            Edge(label(source), label(target)) for source, target in self._listed(end, direction)
        ]

    def walk_upstream(self, start: ExternalLineageObject) -> Iterator[Edge]:
        """Yield every edge between an object and the first sources of its data, nearest first."""
        seen, queue = {label(start)}, deque([start])
        while queue:
            for source, target in self._listed(queue.popleft(), LineageDirection.UPSTREAM):
                yield Edge(label(source), label(target))
                if label(source) not in seen:
                    seen.add(label(source))
                    queue.append(source)

    def _listed(
        self, end: ExternalLineageObject, direction: LineageDirection
    ) -> list[tuple[ExternalLineageObject, ExternalLineageObject]]:
        with translated(self.principal, f"list the lineage of {label(end)}"):
            found = list(
                self._client.external_lineage.list_external_lineage_relationships(end, direction)
            )
        relations = [
            entry.external_lineage_info
            for entry in found
            if entry.external_lineage_info is not None
        ]
        if not all(relation.source and relation.target for relation in relations):
            raise malformed(
                self.principal, f"list the lineage of {label(end)}", "an edge without two ends"
            )
        return [(relation.source, relation.target) for relation in relations]

    def _accept_equal(self, node: Job) -> None:
        with translated(self.principal, f"look up external metadata {node.name}"):
            there = self._client.external_metadata.get_external_metadata(node.name)
        got = Job(there.name, there.entity_type, dict(there.properties or {}))
        if got != node or there.system_type is not SystemType.OTHER:
            raise Conflict(
                f"external metadata {node.name} describes another object",
                expected=f"{node.entity_type} {dict(node.properties)}",
                got=f"{got.entity_type} {got.properties}"[:300],
                do="find out who created it; its name belongs to one job",
            )


def _checked(name: str) -> str:
    """Check a name, which databricks-sdk puts into paths unencoded."""
    if not _METADATA_NAME.fullmatch(name):
        raise NameRefused(
            "an external metadata name was refused",
            expected="ft_ and 24 hex digits",
            got=repr(name)[:100],
        )
    return name
