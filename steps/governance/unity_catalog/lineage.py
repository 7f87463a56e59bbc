"""Lineage in Unity Catalog: external metadata for jobs, and edges to their tables and models.

    lineage = Lineage(workspace)
    lineage.ensure_node(Job(metadata_name(arn), "SageMaker training job", {"execution_id": …}))
    lineage.ensure_edge(table("edgar.curated.examples"), job(metadata_name(arn)))
    lineage.walk_upstream(model_version("edgar.models.analyst", 3))    # edges to the raw table

One end of each edge must be external metadata, so table → table goes through the job between them.
Every account user can read these objects: their properties contain digests, ids, times and settings
only. An edge may relate columns of its two ends.

External calls. Reads are retried (`governance.retrying`). Whether the server merges equal edges is
not documented, so each creation is sent once. After a lost answer an edge is looked up before it is
sent again. A node is sent again; if it exists by then (409), it is ours if it is equal, and a
`Conflict` if not. Two concurrent workers could still create two edges, so the caller holds a lease.
"""

import logging
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from databricks.sdk.service.catalog import (
    ColumnRelationship,
    CreateRequestExternalLineage,
    ExternalLineageExternalMetadata,
    ExternalLineageModelVersion,
    ExternalLineageObject,
    ExternalLineageRelationshipInfo,
    ExternalLineageTable,
    ExternalMetadata,
    LineageDirection,
    SystemType,
)

from steps.governance.errors import Conflict, NameRefused
from steps.governance.names import UcName
from steps.governance.unity_catalog.column_lineage import Relation
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.refusals import malformed, translated
from steps.governance.unity_catalog.retrying import settle

log = logging.getLogger(__name__)

_METADATA_NAME = re.compile(r"ft_[0-9a-f]{24}")


@dataclass(frozen=True)
class Job:
    """A job outside Databricks as an external metadata object; equal jobs are the same node.

    `columns` are those that the job reads or writes, in the order of the request.
    """

    name: str
    entity_type: str
    properties: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()


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
            columns=list(node.columns) or None,
        )

        def create() -> None:
            with translated(self.principal, f"create external metadata {node.name}"):
                self._client.external_metadata.create_external_metadata(wanted)

        try:
            settle(create, present=lambda: False, doing=f"create {node.name}", policy=self._policy)
        except Conflict:
            self._accept_equal(node)

    def ensure_edge(
        self,
        source: ExternalLineageObject,
        target: ExternalLineageObject,
        columns: Iterable[Relation] = (),
    ) -> None:
        """Create this edge if it is not listed.

        Its two ends identify it. One that relates other columns is left as it is, with a warning.

        Raises:
            AccessDenied: a privilege is missing: SELECT on the source, MODIFY on the target, or
                MODIFY on the job's object.
        """
        edge, wanted = Edge(label(source), label(target)), frozenset(columns)

        def present() -> bool:
            found = self._listed(target, LineageDirection.UPSTREAM)
            related = [_columns(one) for one in found if _edge(one) == edge]
            if related and wanted not in related:
                log.warning("%s → %s relates other columns than now", edge.source, edge.target)
            return bool(related)

        def create() -> None:
            with translated(self.principal, f"record lineage {edge.source} → {edge.target}"):
                self._client.external_lineage.create_external_lineage_relationship(
                    CreateRequestExternalLineage(
                        source=source,
                        target=target,
                        columns=[ColumnRelationship(*pair) for pair in sorted(wanted)] or None,
                    )
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
        return [_edge(relation) for relation in self._listed(end, direction)]

    def columns(self, name: UcName) -> list[str]:
        """Return the names of a table's columns as Unity Catalog lists them; there may be none."""
        with translated(self.principal, f"look up table {name}"):
            found = self._client.tables.get(str(name)).columns or []
        return [column.name for column in found if column.name]

    def walk_upstream(self, start: ExternalLineageObject) -> Iterator[Edge]:
        """Yield every edge between an object and the first sources of its data, nearest first."""
        seen, queue = {label(start)}, deque([start])
        while queue:
            for relation in self._listed(queue.popleft(), LineageDirection.UPSTREAM):
                edge = _edge(relation)
                yield edge
                if edge.source not in seen and relation.source is not None:
                    seen.add(edge.source)
                    queue.append(relation.source)

    def _listed(
        self, end: ExternalLineageObject, direction: LineageDirection
    ) -> list[ExternalLineageRelationshipInfo]:
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
        return relations

    def _accept_equal(self, node: Job) -> None:
        with translated(self.principal, f"look up external metadata {node.name}"):
            there = self._client.external_metadata.get_external_metadata(node.name)
        properties, columns = dict(there.properties or {}), tuple(there.columns or ())
        got = Job(there.name, there.entity_type, properties, columns)
        if got != node or there.system_type is not SystemType.OTHER:
            raise Conflict(
                f"external metadata {node.name} describes another object",
                expected=f"{node.entity_type} {dict(node.properties)} {node.columns}"[:500],
                got=f"{got.entity_type} {got.properties} {got.columns}"[:500],
                do="find out who created it; its name belongs to one job",
            )


def _edge(relation: ExternalLineageRelationshipInfo) -> Edge:
    return Edge(label(relation.source), label(relation.target))


def _columns(relation: ExternalLineageRelationshipInfo) -> frozenset[Relation]:
    return frozenset((pair.source or "", pair.target or "") for pair in relation.columns or [])


def _checked(name: str) -> str:
    """Check a name, which databricks-sdk puts into paths unencoded."""
    if not _METADATA_NAME.fullmatch(name):
        raise NameRefused(
            "an external metadata name was refused",
            expected="ft_ and 24 hex digits",
            got=repr(name)[:100],
        )
    return name
