"""Prepare's manifest (`steps.governance.documents.manifest.Prepared`), and its publication.

A repetition gives the same manifest, except for `reading`: another attempt reads at another time,
with another credential. So the first attempt's manifest is kept if all else is equal.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from steps.governance.documents.document import FileEntry
from steps.governance.documents.manifest import Contract, Prepared, RejectedVersion, TableVersion
from steps.governance.documents.reading import Build, Reading
from steps.governance.errors import Conflict
from steps.governance.evidence import Evidence
from steps.governance.names import execution_id
from steps.governance.unity_catalog.catalog import Table
from steps.prepare.delta.store import Commit
from steps.prepare.schemas import PARTITION

if TYPE_CHECKING:  # a reuse publishes a manifest too, and need not wait for what a plan imports
    from steps.prepare.plan import Plan

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tables:
    """The registered tables of one run: the raw one, the curated one, and the rejected version."""

    source: Table
    target: Table
    rejected: RejectedVersion


@dataclass(frozen=True)
class Origin:
    """What the examples were made from and by: the raw bytes, who read them, and which code."""

    raw_files: tuple[FileEntry, ...]
    reading: Reading
    build: Build
    spark_version: str
    contract: Contract


def manifest(
    planned: "Plan",
    commit: Commit,
    tables: Tables,
    origin: Origin,
    *,
    membership: FileEntry,
) -> Prepared:
    """Return the manifest by which Train proves that it reads what this execution wrote.

    `created_at` is the time of the commit, so that a repetition gives the same.
    """
    made = planned.curated.provenance
    return Prepared(
        schema="governed-finetune/prepared/2",
        execution_arn=made.execution_arn,
        created_at=datetime.fromtimestamp(commit.timestamp_ms / 1000, UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
        principal=origin.reading.principal,
        source=_at(tables.source, made.raw_version),
        target=_at(
            tables.target,
            commit.version,
            partition=f"{PARTITION}={execution_id(made.execution_arn)}",
        ),
        rejected=tables.rejected,
        files=list(commit.files),
        schema_sha256=planned.curated.schema.sha256,
        template=made.template,
        counts=planned.counts,
        raw_files=list(origin.raw_files),
        membership=membership,
        reading=origin.reading,
        build=origin.build,
        spark_version=origin.spark_version,
        contract=origin.contract,
        settings=planned.settings,
    )


def published(evidence: Evidence, uri: str, record: Prepared) -> Prepared:
    """Write the manifest, or return the one of an earlier attempt that differs in `reading` only.

    Raises:
        Conflict: an earlier attempt recorded something else.
    """
    try:
        evidence.write_once(uri, record.to_bytes())
    except Conflict:
        first = Prepared.from_bytes(evidence.read(uri), origin=uri)
        if first.model_copy(update={"reading": record.reading}) != record:
            raise
        log.info("an earlier attempt's manifest is kept: all but its reading is equal")
        return first
    return record


def _at(table: Table, version: int, *, partition: str | None = None) -> TableVersion:
    return TableVersion(
        table=str(table.name),
        table_id=table.table_id,
        location=table.location,
        version=version,
        partition=partition,
    )
