"""Make what one governed run leaves behind: tables, evidence, archive, version, lineage, ledger."""

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from steps.governance.documents import canonical
from steps.governance.documents.envelope import IN_TOTO
from steps.governance.documents.manifest import Prepared, Trained
from steps.governance.documents.record import LedgerHead, Record
from tests.steps.audit.support.documents import prepared, record, statement, trained
from tests.steps.audit.support.tables import CURATED_ROOT, commit, drawn, entry_of
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
    GOVERNED,
    PIPELINE,
    RAW,
    REGION,
)

# What mlflow writes around the adapter
PACKAGE = {
    name: f"the content of {name}".encode()
    for name in (
        "MLmodel",
        "artifacts/base_model.json",
        "conda.yaml",
        "python_env.yaml",
        "requirements.txt",
        "serving.py",
    )
}
BASE = "base-models/tiny/" + "0" * 40

# SageMaker's UserContext of a person in Studio: a profile, its name, and no IAM identity
IN_STUDIO = {
    "UserProfileArn": "arn:aws:sagemaker:us-east-1:000000000000:user-profile/d-1/somebody",
    "UserProfileName": "somebody",
    "DomainId": "d-1",
}


@dataclass(frozen=True)
class Options:
    """How a history differs from the usual one."""

    alias: str = "challenger"
    first_version: bool = False  # the documents of schema version 1
    status: str = "Succeeded"
    in_studio: bool = False  # the execution was started there
    package: bool = True  # the record has the files around the adapter
    members: dict[str, bytes] | None = None  # what is stored in the archive, if not what is claimed
    archive: bytes | Callable[[bytes], bytes] | None = None  # what is stored, if not the claimed
    other_table: bool = False  # Prepare read a table that is not in the catalog any more
    other_prepare: bool = False  # Train read what another Prepare wrote
    until: str = "alias"  # the last thing that Register did: version, record, ledger, tags, alias
    false: Mapping[str, Any] = field(default_factory=dict)  # claims of the record, by dotted path


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
    made = prepare(world, arn, options)
    train, archive, version_id = tune(world, arn, made, options)
    _describe(world, arn, model, train, options)
    version, location = _version(world, model, arn, train, version_id=version_id, options=options)
    facts = {"arn": arn, "model": model, "version": version, "alias": options.alias}
    written = record(
        facts | {"version_id": version_id, "archive": archive, "files": _package(options)},
        made,
        train,
        world.environment.stub.executions[arn],
    )
    written = drawn(world, written)
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


def prepare(world: World, arn: str, options: Options) -> Prepared:
    """What Prepare leaves behind: a commit, the list of filings and the manifest."""
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
    commit(world, CURATED_ROOT, number, files, arn=arn)
    membership = secrets.token_bytes(100)
    listed = entry_of(membership, f"membership-{hashlib.sha256(membership).hexdigest()}.parquet")
    tables = _tables(world, number, partition)
    if options.other_table:
        tables["source"]["table_id"] = "another"
    made = prepared(arn, tables, files, raw, listed, options.first_version)
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


def tune(world: World, arn: str, made: Prepared, options: Options) -> tuple[Trained, bytes, str]:
    """What Train leaves behind: its manifest, and the archive with its version id."""
    files = archives.adapter_files()
    base = world.base_files
    train = trained(arn, made, archives.entries(files), base, options.first_version)
    if options.other_prepare:
        data = train.data.model_copy(update={"manifest_sha256": "0" * 64})
        train = train.model_copy(update={"data": data})
    name = f"executions/{arn[-12:]}/train/{train.training_job}/manifest.json"
    world.put(name, train.to_bytes())
    whole = files | {"manifest.json": train.to_bytes()}
    claimed = archives.packed(whole)
    stored = claimed
    if options.members is not None:
        stored = claimed = archives.packed(whole | options.members)
    if options.archive is not None:
        stored = options.archive(claimed) if callable(options.archive) else options.archive
    key = f"executions/{arn[-12:]}/output/model.tar.gz"
    answer = world.s3.put_object(Bucket=ARTIFACTS, Key=key, Body=stored)
    return train, claimed, answer["VersionId"]


def _describe(world: World, arn: str, model: str, train: Trained, options: Options) -> None:
    """What SageMaker and EMR Serverless answer about the execution."""
    key = f"executions/{arn[-12:]}/output/model.tar.gz"
    starter = {"created_by": IN_STUDIO} if options.in_studio else {}
    state = (
        execution_state(arn, model, callback=("token", "queue"))
        | starter
        | {
            "status": options.status,
            "prepare_job": prepare_job(arn) | {"totalExecutionDurationSeconds": 60},
            "training_job": training_job(
                arn, train.training_job, artifact_key=key, base_uri=f"s3://{ARTIFACTS}/{BASE}/"
            )
            | {"BillableTimeInSeconds": 90},
        }
    )
    state["parameters"] |= {"ModelAlias": options.alias}
    world.environment.stub.executions[arn] = state


def _version(
    world: World, model: str, arn: str, train: Trained, *, version_id: str, options: Options
) -> tuple[int, str]:
    source = f"s3://{ARTIFACTS}/executions/{arn[-12:]}/output/model.tar.gz?versionId={version_id}"
    made = world.registry(
        "model-versions/create",
        {"name": model, "source": source, "tags": [{"key": "execution_arn", "value": arn}]},
    )
    number = int(made["model_version"]["version"])
    location = str(made["model_version"]["storage_location"])
    prefix = location.removeprefix(f"s3://{GOVERNED}/")
    files = archives.adapter_files() | {"manifest.json": train.to_bytes()}
    for name, content in files.items():
        world.put(f"{prefix}/artifacts/adapter/{name}", content, GOVERNED)
    signature = model_signature(world, files)
    if not options.first_version:
        world.put(f"{prefix}/artifacts/model.sig", signature, GOVERNED)
        world.put(f"executions/{arn[-12:]}/register/model.sig", signature)
    for name, content in PACKAGE.items():
        world.put(f"{prefix}/{name}", content, GOVERNED)
    world.uc("PATCH", f"models/{model}/versions/{number}/finalize")
    return number, location


def _package(options: Options) -> dict[str, str] | None:
    """What the record has of the files around the adapter."""
    if not options.package:
        return None
    return {name: hashlib.sha256(content).hexdigest() for name, content in PACKAGE.items()}


_ORDER = ("version", "record", "ledger", "tags", "alias")


def _publish(world: World, entry: Entry, options: Options) -> None:
    """Write the record, sign it, append to the ledger, set tags and alias; or stop before."""
    if options.first_version:
        entry.record = first_version(entry.record)
    else:
        head = LedgerHead(number=world.numbers, sha256=world.head)
        entry.record = entry.record.model_copy(update={"ledger": head})
    if options.false:
        entry.record = falsified(entry.record, options.false)
    finish(world, entry, options, after="version")


def finish(world: World, entry: Entry, options: Options, *, after: str) -> None:
    """Do what Register does after one of its effects, until the last one of the options."""
    content, model = entry.record.to_bytes(), entry.record.model
    for effect in _ORDER[_ORDER.index(after) + 1 : _ORDER.index(options.until) + 1]:
        if effect == "record":
            _write(world, entry, content)
        elif effect == "ledger" and not options.first_version:
            key = entry.key("register/record.json")
            entry.published = world.append("registration", key, content, world.signing)
        elif effect == "tags":
            for name, value in tags(entry.record, content).items():
                world.tag(entry, name, value)
            if entry.published:
                world.tag(entry, "ledger_entry", entry.published)
        elif effect == "alias":
            world.set_alias(model.name, model.alias, model.version)


def model_signature(world: World, files: Mapping[str, bytes]) -> bytes:
    """The OpenSSF signature of the adapter's files."""
    listed = sorted(archives.entries(dict(files)), key=lambda each: each.path)
    whole = hashlib.sha256(b"".join(bytes.fromhex(each.sha256) for each in listed)).hexdigest()
    resources = [
        {"name": each.path, "algorithm": "sha256", "digest": each.sha256} for each in listed
    ]
    payload = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "adapter", "digest": {"sha256": whole}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"resources": resources},
    }
    envelope = world.signing.envelope(canonical.dumps(payload), IN_TOTO)
    return canonical.dumps({"dsseEnvelope": canonical.loads(envelope)})


def _write(world: World, entry: Entry, content: bytes) -> None:
    artifact = entry.record.artifact
    pinned = {"uri": artifact.uri, "version_id": artifact.version_id, "size": artifact.size}
    world.put(entry.key("register/artifact.json"), canonical.dumps(pinned))
    world.put(entry.key("register/record.json"), content)
    if entry.record.ledger is not None:
        signed = world.signing.envelope(statement(entry.record, content), IN_TOTO)
        world.put(entry.key("register/record.dsse.json"), signed)


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
        **{
            f"file_{number}": f"{sha256}  {path}"
            for number, (path, sha256) in enumerate(sorted((written.model.files or {}).items()), 1)
        },
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
    document["model"].pop("files", None)
    return Record.from_bytes(
        json.dumps(document, sort_keys=True, separators=(",", ":")).encode(), origin="test"
    )
