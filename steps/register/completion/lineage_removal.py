"""Remove lineage that no record names: duplicate edges, and nodes of unfinished registrations.

    removal = LineageRemoval(workspace)
    removal.duplicates(record, guard)                      # one edge of each pair of ends stays
    removal.unfinished(execution_id, kept_labels, guard)   # nodes of this execution

The caller holds the execution's lease. A deletion is sent once; after a lost answer the object is
looked up before it is sent again. An object that is gone already is success.
"""

import logging
from collections.abc import Callable, Collection
from contextlib import suppress

from databricks.sdk.service.catalog import (
    DeleteRequestExternalLineage,
    ExternalLineageObject,
    ExternalLineageRelationshipInfo,
    LineageDirection,
)

from steps.governance.documents.record import Record
from steps.governance.errors import NotFound
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.lineage import job, label
from steps.governance.unity_catalog.refusals import translated
from steps.governance.unity_catalog.retrying import settle

log = logging.getLogger(__name__)

_EXECUTION = "execution_id"  # the property of each node that `lineage_chain` makes
_OURS = "ft_"


class LineageRemoval:
    """Deletes external metadata and edges as one principal, which owns what it made."""

    def __init__(self, workspace: Workspace) -> None:
        self.principal, self._policy = workspace.principal, workspace.policy
        self._client = workspace.client

    def duplicates(self, record: Record, guard: Callable[[], None]) -> None:
        """Delete all but the first of several edges between the same two ends of the record's."""
        own = set(record.lineage.edges)
        for node in record.lineage.nodes:
            end = job(node.removeprefix("job:"))
            for direction in (LineageDirection.UPSTREAM, LineageDirection.DOWNSTREAM):
                seen: set[tuple[str, str]] = set()
                for edge in self._edges(end, direction):
                    pair = (label(edge.source), label(edge.target))
                    if pair in own and pair in seen:
                        guard()
                        self._delete_edge(edge, end, direction)
                    seen.add(pair)

    def unfinished(
        self, execution_id: str, kept: Collection[str], guard: Callable[[], None]
    ) -> None:
        """Delete the nodes of this execution that the record does not name, with their edges.

        Args:
            execution_id: the nodes' own property names it.
            kept: the record's nodes, as `job:<name>`.
            guard: called before each effect.
        """
        with translated(self.principal, "list external metadata"):
            found = [
                each.name
                for each in self._client.external_metadata.list_external_metadata()
                if each.name.startswith(_OURS)
                and (each.properties or {}).get(_EXECUTION) == execution_id
            ]
        for name in found:
            if label(job(name)) not in kept:
                guard()
                self._delete_node(name)
                log.info("%s: the unfinished lineage node %s was removed", execution_id, name)

    def _edges(
        self, end: ExternalLineageObject, direction: LineageDirection
    ) -> list[ExternalLineageRelationshipInfo]:
        with translated(self.principal, f"list the lineage of {label(end)}"):
            listed = self._client.external_lineage.list_external_lineage_relationships(
                end, direction
            )
            found = [each.external_lineage_info for each in listed]
        return [each for each in found if each is not None]

    def _delete_edge(
        self,
        edge: ExternalLineageRelationshipInfo,
        end: ExternalLineageObject,
        direction: LineageDirection,
    ) -> None:
        """Delete one edge by its id; without an id the service would delete all of its kind."""
        doing = f"delete a second edge {label(edge.source)} → {label(edge.target)}"
        if not edge.id:
            log.warning("cannot %s: it has no id", doing)
            return

        def delete() -> None:
            with suppress(NotFound), translated(self.principal, doing):
                self._client.external_lineage.delete_external_lineage_relationship(
                    DeleteRequestExternalLineage(edge.source, edge.target, edge.id)
                )

        def gone() -> bool:
            return edge.id not in [each.id for each in self._edges(end, direction)]

        settle(delete, present=gone, doing=doing, policy=self._policy)

    def _delete_node(self, name: str) -> None:
        doing = f"delete external metadata {name}"

        def delete() -> None:
            with suppress(NotFound), translated(self.principal, doing):
                self._client.external_metadata.delete_external_metadata(name)

        def gone() -> bool:
            try:
                with translated(self.principal, f"look up external metadata {name}"):
                    self._client.external_metadata.get_external_metadata(name)
            except NotFound:
                return True
            return False

        settle(delete, present=gone, doing=doing, policy=self._policy)
