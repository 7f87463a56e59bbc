"""Tables and lineage of the simulated history: commits written by hand, edges by the API."""

import hashlib
import itertools
import json
import secrets
from typing import Any

from steps.governance.documents.document import FileEntry
from steps.governance.documents.record import Record
from steps.governance.names import UcName, metadata_name
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.lineage import Job, Lineage, job, label, model_version, table
from tests.steps.audit.support.world import World
from tests.steps.register.support.register_environment import CURATED, GOVERNED, RAW

RAW_ROOT, CURATED_ROOT = "raw/filings", "curated/risk_factor_examples"
COMMITTED_MS = 1795860000000  # 2026-11-28T10:00:00Z


def entry_of(content: bytes, path: str) -> FileEntry:
    """The entry of a file with this content."""
    return FileEntry(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def new_raw_version(world: World) -> list[FileEntry]:
    """Replace the raw table's rows in one commit; return its files."""
    number = world.versions_of_raw
    world.versions_of_raw += 1
    files = {f"part-{number}-{each}.parquet": secrets.token_bytes(300) for each in range(2)}
    for path, content in files.items():
        world.put(f"{RAW_ROOT}/{path}", content, GOVERNED)
    removed = [
        {"remove": {"path": f"part-{number - 1}-{each}.parquet", "dataChange": True}}
        for each in range(2)
    ]
    entries = [entry_of(content, path) for path, content in files.items()]
    commit(world, RAW_ROOT, number, entries, extra=removed if number else [])
    return entries


def commit(
    world: World,
    root: str,
    number: int,
    files: list[FileEntry],
    *,
    arn: str | None = None,
    extra: list[dict[str, Any]] | None = None,
) -> None:
    """Write one commit of a Delta log by hand; `arn` makes it one of the curated table."""
    partition = {"execution_id": arn[-12:]} if arn else {}
    info = {"timestamp": COMMITTED_MS, "operation": "WRITE"}
    actions: list[dict[str, Any]] = [{"commitInfo": info | ({"execution_arn": arn} if arn else {})}]
    if number == 0:
        actions += _first(list(partition))
    actions += [{"add": _add(each, partition)} for each in files]
    text = "\n".join(json.dumps(action) for action in [*actions, *(extra or [])])
    world.put(f"{root}/_delta_log/{number:020d}.json", text.encode(), GOVERNED)


def _first(partitions: list[str]) -> list[dict[str, Any]]:
    fields = [
        {"name": name, "type": "string", "nullable": True, "metadata": {}}
        for name in [*partitions, "text"]
    ]
    table_of_text = {
        "id": "0" * 8,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": partitions,
        "configuration": {},
    }
    return [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": table_of_text},
    ]


def _add(entry: FileEntry, partition: dict[str, str]) -> dict[str, Any]:
    return {
        "path": entry.path,
        "partitionValues": partition,
        "size": entry.size,
        "modificationTime": COMMITTED_MS,
        "dataChange": True,
    }


def drawn(world: World, written: Record) -> Record:
    """Draw the lineage as Register does; return the record with it."""
    lineage = Lineage(Workspace(world.environment.host, "admin", world.environment.admin()))
    prepare, train = _nodes(written)
    for node in (prepare, train):
        lineage.ensure_node(node)
    path = [
        table(UcName.parse(RAW)),
        job(prepare.name),
        table(UcName.parse(CURATED)),
        job(train.name),
        model_version(UcName.parse(written.model.name), written.model.version),
    ]
    pairs = list(itertools.pairwise(path))
    for source, target in pairs:
        lineage.ensure_edge(source, target)
    facts = {
        "nodes": [f"job:{prepare.name}", f"job:{train.name}"],
        "edges": [(label(source), label(target)) for source, target in pairs],
    }
    return written.model_copy(update={"lineage": type(written.lineage).model_validate(facts)})


def _nodes(written: Record) -> tuple[Job, Job]:
    run = {"execution_id": written.execution.arn[-12:]}
    prepare = {
        "manifest_sha256": written.prepare.manifest_sha256,
        "raw_version": str(written.raw.version),
    }
    train = {
        "manifest_sha256": written.train.manifest_sha256,
        "curated_version": str(written.curated.version),
    }
    return (
        Job(metadata_name(written.prepare.job_run_arn), "EMR Serverless job run", run | prepare),
        Job(metadata_name(written.train.job_arn), "SageMaker training job", run | train),
    )
