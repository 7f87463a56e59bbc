"""Prepare's manifest (`steps.governance.manifest.Prepared`); a repetition gives the same bytes."""

from dataclasses import dataclass
from datetime import UTC, datetime

from steps.governance.catalog import Table
from steps.governance.manifest import Prepared, RejectedVersion, TableVersion
from steps.governance.names import execution_id
from steps.prepare.delta_io import Commit
from steps.prepare.plan import Plan
from steps.prepare.schemas import PARTITION


@dataclass(frozen=True)
class Tables:
    """The registered tables of one run: the raw one, the curated one, and the rejected version."""

    source: Table
    target: Table
    rejected: RejectedVersion


def manifest(
    planned: Plan,
    commit: Commit,
    tables: Tables,
    *,
    principal: str,
) -> Prepared:
    """Return the manifest by which Train proves that it reads what this execution wrote.

    `created_at` is the time of the commit, so that a repetition gives the same manifest.
    """
    made = planned.curated.provenance
    return Prepared(
        schema="governed-finetune/prepared/1",
        execution_arn=made.execution_arn,
        created_at=datetime.fromtimestamp(commit.timestamp_ms / 1000, UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
        principal=principal,
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
    )


def _at(table: Table, version: int, *, partition: str | None = None) -> TableVersion:
    return TableVersion(
        table=str(table.name),
        table_id=table.table_id,
        location=table.location,
        version=version,
        partition=partition,
    )
