"""Make what one governed run leaves behind: tables, evidence, archive, version, lineage, ledger."""

import hashlib
import itertools
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steps.governance import canonical
from steps.governance.document import FileEntry
from steps.governance.envelope import IN_TOTO
from steps.governance.lineage import Job, Lineage, job, label, model_version, table
from steps.governance.manifest import Prepared, Trained
from steps.governance.names import UcName, metadata_name
from steps.governance.record import Record, effect_key
from tests.steps.audit.support.documents import prepared, record, statement, trained
from tests.steps.audit.support.world import Entry, World
from tests.steps.register.support import archives
from tests.steps.register.support.execution_state import (
    execution_state,
    prepare_job,
    training_job,
)
from tests.steps.register.support.register_environment import (
    ACCOUNT,
    ARTIFACTS,
    CURATED,
    EVIDENCE,
    GOVERNED,
    PIPELINE,
    RAW,
    REGION,
)

RAW_ROOT, CURATED_ROOT = "raw/filings", "curated/risk_factor_examples"
BASE = "base-models/tiny/" + "0" * 40


@dataclass(frozen=True)
class Options:
    """How a history differs from the usual one."""

    alias: str = "challenger"
    first_version: bool = False  # the documents of schema version 1
    status: str = "Succeeded"
    members: dict[str, bytes] | None = None  # what is stored in the archive, if not what is claimed
    archive: bytes | None = None  # the stored archive, if not the claimed one
    false: Mapping[str, Any] = field(default_factory=dict)  # claims of the record, by dotted path


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
    _commit(world, RAW_ROOT, number, entries, extra=removed if number else [])
    return entries


def new_base_model(world: World) -> None:
    """Mirror a base model of one file."""
    content = b'{"hidden_size": 8}'
    mirror = {
        "name": "tiny",
        "revision": "0" * 40,
        "files": [entry_of(content, "config.json").model_dump(exclude_none=True)],
    }
    listed = json.dumps(mirror).encode()
    world.put(f"{BASE}/config.json", content, ARTIFACTS)
    world.put(f"{BASE}/mirror.json", listed, ARTIFACTS)
    world.base_files = {
        "name": "tiny",
        "revision": "0" * 40,
        "mirror_sha256": hashlib.sha256(listed).hexdigest(),
    }


def execution_arn() -> str:
    """The ARN of a new execution."""
    number = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(12))
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{PIPELINE}/execution/{number}"


def register(world: World, model: str, options: Options | None = None) -> Entry:
    """Make one whole registration."""
    options = options or Options()
    arn = execution_arn()
    made = _prepare(world, arn, options)
    train, archive, version_id = _train(world, arn, made, options)
    _describe(world, arn, model, train, options)
    version, location = _version(world, model, arn, train, version_id)
    facts = {"arn": arn, "model": model, "version": version, "alias": options.alias}
    written = record(
        facts | {"version_id": version_id, "archive": archive},
        made,
        train,
        world.environment.stub.executions[arn],
    )
    written = _lineage(world, written)
    entry = Entry(
        arn=arn,
        record=written,
        folder=f"executions/{arn[-12:]}",
        location=location,
        raw_paths=[each.path for each in made.raw_files or []],
        curated_paths=[each.path for each in made.files],
        base_prefix=BASE,
    )
    _publish(world, entry, options)
    world.entries.append(entry)
    return entry


def _prepare(world: World, arn: str, options: Options) -> Prepared:
    raw = world.raw_files
    partition = f"execution_id={arn[-12:]}"
    files = []
    for _ in range(2):
        content = secrets.token_bytes(200)
        path = f"{partition}/part-{hashlib.sha256(content).hexdigest()}.parquet"
        world.put(f"{CURATED_ROOT}/{path}", content, GOVERNED)
        files.append(entry_of(content, path))
    number = world.commits
    world.commits += 1
    _commit(world, CURATED_ROOT, number, files, arn=arn)
    membership = secrets.token_bytes(100)
    listed = entry_of(membership, f"membership-{hashlib.sha256(membership).hexdigest()}.parquet")
    made = prepared(
        arn, _tables(world, number, partition), files, raw, listed, options.first_version
    )
    folder = f"executions/{arn[-12:]}/prepare"
    if not options.first_version:
        world.put(f"{folder}/{listed.path}", membership)
    world.put(f"{folder}/manifest.json", made.to_bytes())
    return made


def _tables(world: World, curated_version: int, partition: str) -> dict[str, dict[str, Any]]:
    admin = world.environment.admin()
    raw, curated = admin.tables.get(RAW), admin.tables.get(CURATED)
    return {
        "source": {
            "table": RAW,
            "table_id": raw.table_id,
            "location": raw.storage_location,
            "version": world.versions_of_raw - 1,
        },
        "target": {
            "table": CURATED,
            "table_id": curated.table_id,
            "location": curated.storage_location,
            "version": curated_version,
            "partition": partition,
        },
    }


def _train(world: World, arn: str, made: Prepared, options: Options) -> tuple[Trained, bytes, str]:
    files = archives.adapter_files()
    base = world.base_files
    train = trained(arn, made, archives.entries(files), base, options.first_version)
    name = f"executions/{arn[-12:]}/train/{train.training_job}/manifest.json"
    world.put(name, train.to_bytes())
    whole = files | {"manifest.json": train.to_bytes()}
    claimed = archives.packed(whole)
    stored = claimed
    if options.members is not None:
        stored = claimed = archives.packed(whole | options.members)
    if options.archive is not None:
        stored = options.archive
    key = f"executions/{arn[-12:]}/output/model.tar.gz"
    answer = world.s3.put_object(Bucket=ARTIFACTS, Key=key, Body=stored)
    return train, claimed, answer["VersionId"]


def _describe(world: World, arn: str, model: str, train: Trained, options: Options) -> None:
    """What SageMaker and EMR Serverless answer about the execution."""
    key = f"executions/{arn[-12:]}/output/model.tar.gz"
    state = execution_state(arn, model, callback=("token", "queue")) | {
        "status": options.status,
        "prepare_job": prepare_job(arn) | {"totalExecutionDurationSeconds": 60},
        "training_job": training_job(
            arn, train.training_job, artifact_key=key, base_uri=f"s3://{ARTIFACTS}/{BASE}/"
        )
        | {"BillableTimeInSeconds": 90},
    }
    state["parameters"] |= {"ModelAlias": options.alias}
    world.environment.stub.executions[arn] = state


def _version(
    world: World, model: str, arn: str, train: Trained, version_id: str
) -> tuple[int, str]:
    source = f"s3://{ARTIFACTS}/executions/{arn[-12:]}/output/model.tar.gz?versionId={version_id}"
    made = world.registry("model-versions/create", {"name": model, "source": source})
    number = int(made["model_version"]["version"])
    location = str(made["model_version"]["storage_location"])
    prefix = location.removeprefix(f"s3://{GOVERNED}/")
    files = archives.adapter_files() | {"manifest.json": train.to_bytes()}
    for name, content in files.items():
        world.put(f"{prefix}/artifacts/adapter/{name}", content, GOVERNED)
    for name in ("MLmodel", "serving.py", "artifacts/base_model.json"):
        world.put(f"{prefix}/{name}", b"{}", GOVERNED)
    world.uc("PATCH", f"models/{model}/versions/{number}/finalize")
    return number, location


def _lineage(world: World, written: Record) -> Record:
    admin = world.environment.admin()
    from steps.governance.identity import Workspace

    lineage = Lineage(Workspace(world.environment.host, "admin", admin))
    prepare = metadata_name(written.prepare.job_run_arn)
    train = metadata_name(written.train.job_arn)
    run = {"execution_id": written.execution.arn[-12:]}
    lineage.ensure_node(
        Job(
            prepare,
            "EMR Serverless job run",
            run
            | {
                "manifest_sha256": written.prepare.manifest_sha256,
                "raw_version": str(written.raw.version),
            },
        )
    )
    lineage.ensure_node(
        Job(
            train,
            "SageMaker training job",
            run
            | {
                "manifest_sha256": written.train.manifest_sha256,
                "curated_version": str(written.curated.version),
            },
        )
    )
    path = [
        table(UcName.parse(RAW)),
        job(prepare),
        table(UcName.parse(CURATED)),
        job(train),
        model_version(UcName.parse(written.model.name), written.model.version),
    ]
    pairs = list(itertools.pairwise(path))
    for source, target in pairs:
        lineage.ensure_edge(source, target)
    drawn = {
        "nodes": [f"job:{prepare}", f"job:{train}"],
        "edges": [(label(source), label(target)) for source, target in pairs],
    }
    return written.model_copy(update={"lineage": type(written.lineage).model_validate(drawn)})


def _publish(world: World, entry: Entry, options: Options) -> None:
    """Write the record, sign it, append to the ledger, set tags and alias."""
    if not options.first_version:
        head = {"number": world.numbers, "sha256": world.head}
        from steps.governance.record import LedgerHead

        entry.record = entry.record.model_copy(update={"ledger": LedgerHead(**head)})
    else:
        entry.record = first_version(entry.record)
    if options.false:
        entry.record = falsified(entry.record, options.false)
    content = entry.record.to_bytes()
    model = entry.record.model
    artifact = entry.record.artifact
    pinned = {"uri": artifact.uri, "version_id": artifact.version_id, "size": artifact.size}
    world.put(
        entry.key("register/artifact.json"),
        json.dumps(pinned, sort_keys=True, separators=(",", ":")).encode(),
    )
    world.put(entry.key("register/record.json"), content)
    if not options.first_version:
        signed = world.signing.envelope(statement(entry.record, content), IN_TOTO)
        world.put(entry.key("register/record.dsse.json"), signed)
        document = entry.key("register/record.json")
        published = world.append("registration", document, content, world.signing)
        world.tag(entry, "ledger_entry", published)
    for name, value in tags(entry.record, content).items():
        world.tag(entry, name, value)
    world.set_alias(model.name, options.alias, model.version)


def falsified(written: Record, claims: Mapping[str, Any]) -> Record:
    """The record with other claims, as somebody with the signing key could write it."""
    document = json.loads(written.to_bytes())
    for path, value in claims.items():
        *parents, last = path.split(".")
        part = document
        for parent in parents:
            part = part[int(parent)] if isinstance(part, list) else part[parent]
        part[last] = value
    return Record.from_bytes(canonical.dumps(document), origin="test")


def tags(written: Record, content: bytes) -> dict[str, str]:
    """The tags that Register gives."""
    return {
        "key": written.key,
        "execution_arn": written.execution.arn,
        "artifact_sha256": written.artifact.sha256,
        "manifest_sha256": written.train.manifest_sha256,
        "base_model": f"{written.base_model.name}@{written.base_model.revision}",
        **{f"fp8_{name}": value for name, value in written.fp8.model_dump().items()},
        "eval_loss": str(written.metrics.eval_loss),
        "curated_version": str(written.curated.version),
        "record_sha256": hashlib.sha256(content).hexdigest(),
    }


def first_version(written: Record) -> Record:
    """The same record in schema version 1."""
    document = json.loads(written.to_bytes())
    document["schema"] = "governed-finetune/registered/1"
    for name in ("register", "readings", "membership", "ledger"):
        document.pop(name, None)
    document["execution"].pop("started_by", None)
    for name in ("image", "spark_version", "build", "billed"):
        document["prepare"].pop(name, None)
    for name in ("build", "billed"):
        document["train"].pop(name, None)
    return Record.from_bytes(
        json.dumps(document, sort_keys=True, separators=(",", ":")).encode(), origin="test"
    )


def _commit(
    world: World,
    root: str,
    number: int,
    files: list[FileEntry],
    *,
    arn: str | None = None,
    extra: list[dict[str, Any]] | None = None,
) -> None:
    """Write one commit of a Delta log by hand."""
    columns = ["execution_id", "text"] if arn else ["text"]
    fields = [
        {"name": name, "type": "string", "nullable": True, "metadata": {}} for name in columns
    ]
    partition = {"execution_id": arn[-12:]} if arn else {}
    info: dict[str, Any] = {"timestamp": 1795860000000, "operation": "WRITE"}
    actions: list[dict[str, Any]] = [{"commitInfo": info | ({"execution_arn": arn} if arn else {})}]
    if number == 0:
        actions += [
            {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
            {
                "metaData": {
                    "id": "0" * 8,
                    "format": {"provider": "parquet", "options": {}},
                    "schemaString": json.dumps({"type": "struct", "fields": fields}),
                    "partitionColumns": list(partition),
                    "configuration": {},
                }
            },
        ]
    actions += [
        {
            "add": {
                "path": each.path,
                "partitionValues": partition,
                "size": each.size,
                "modificationTime": 1795860000000,
                "dataChange": True,
            }
        }
        for each in files
    ]
    text = "\n".join(json.dumps(action) for action in [*actions, *(extra or [])])
    world.put(f"{root}/_delta_log/{number:020d}.json", text.encode(), GOVERNED)


def effect(arn: str, archive: bytes) -> str:
    """The key of a registration."""
    return effect_key(arn, "register", hashlib.sha256(archive).hexdigest())


__all__ = ["EVIDENCE", "Options", "register"]
