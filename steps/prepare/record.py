"""The manifest of what was prepared (`steps.governance.manifest.Prepared`): a repeated run writes the same bytes."""

from datetime import UTC, datetime

from steps.governance.catalog import Table
from steps.governance.manifest import Prepared, RejectedVersion, TableVersion
from steps.governance.names import UcName, execution_id
from steps.prepare.delta_io import Commit
from steps.prepare.plan import Plan
from steps.prepare.schemas import PARTITION


def manifest(
    planned: Plan,
    commit: Commit,
    *,
    source: Table,
    target: Table,
    rejected: tuple[UcName, int],
    principal: str,
) -> Prepared:
    """Everything Train needs to prove that it reads what this execution wrote. Its time is the commit's own."""
    made = planned.curated.provenance
    return Prepared(
        schema="governed-finetune/prepared/1",
        execution_arn=made.execution_arn,
        created_at=datetime.fromtimestamp(commit.timestamp_ms / 1000, UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
        principal=principal,
        source=_at(source, made.raw_version),
        target=_at(
            target, commit.version, partition=f"{PARTITION}={execution_id(made.execution_arn)}"
        ),
        rejected=RejectedVersion(table=str(rejected[0]), version=rejected[1]),
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
