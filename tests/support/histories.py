"""Made histories of executions: evidence documents by key, as the steps write them.

    history = made(Size(executions=8), seed=3)
    history.objects["executions/…/register/record.json"]     # bytes
    history.plain                                             # what was made, as plain values

Each document goes through its own schema. `plain` is made next to the documents, not read from
them, so answers can be compared with it.
"""

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from steps.governance.documents import canonical, membership
from steps.governance.documents.approval import PAYLOAD_TYPE, Approval
from steps.governance.documents.envelope import Envelope, Signature

DIGEST = "ab" * 32
COMMIT = "c" * 40
ROLE = "arn:aws:iam::000000000000:role/governed-finetune-local-"
BUILD = {"git_commit": COMMIT, "clean": True, "lock_sha256": DIGEST}
PEOPLE = ("11111111-prepare", "22222222-train", "33333333-register")


@dataclass(frozen=True)
class Size:
    """How much is made. `tables` are raw tables, `filings` the ids that executions draw from."""

    executions: int = 6
    models: int = 3
    tables: int = 3
    filings: int = 40
    filings_each: int = 8
    plain: bool = False  # every execution of version 2, with a record, from a raw table


@dataclass
class Execution:
    """One made execution. `filings` has train and eval examples by id; None: version 1."""

    id: str
    raw: tuple[str, int]
    curated: tuple[str, int]
    filings: dict[str, tuple[int, int]] | None
    jobs: list[str]
    at: str
    model: tuple[str, int] | None = None
    alias: str = ""
    base: str = "tiny"

    @property
    def arn(self) -> str:
        return f"arn:aws:sagemaker:us-east-1:000000000000:pipeline/p/execution/{self.id}"


@dataclass
class Made:
    """The evidence documents, and what they were made of."""

    objects: dict[str, bytes] = field(default_factory=dict)
    plain: list[Execution] = field(default_factory=list)
    approvals: list[dict[str, Any]] = field(default_factory=list)


def made(size: Size, seed: int = 0) -> Made:
    """Return a history; equal arguments give equal bytes."""
    chance, history = random.Random(seed), Made()  # noqa: S311 - not a secret
    versions = dict.fromkeys((f"edgar.models.m{n:04}" for n in range(size.models)), 0)
    for number in range(size.executions):
        execution = _execution(size, number, chance, history.plain)
        if size.plain or chance.random() < 0.8:
            name = f"edgar.models.m{number % size.models:04}"
            versions[name] += 1
            execution.model = (name, versions[name])
            execution.alias = chance.choice(("challenger", "candidate"))
        history.plain.append(execution)
        history.objects |= documents(execution)
    if not size.plain:
        _approve(chance, history)
    return history


def _execution(
    size: Size, number: int, chance: random.Random, earlier: list[Execution]
) -> Execution:
    raw = (f"edgar.raw.t{chance.randrange(size.tables):03}", chance.randrange(3))
    if earlier and not size.plain and chance.random() < 0.25:
        raw = chance.choice(earlier).curated
    filings: dict[str, tuple[int, int]] | None = {}
    for each in chance.sample(range(size.filings), min(size.filings, size.filings_each)):
        split = (chance.randrange(4), 0) if chance.random() < 0.8 else (0, chance.randrange(1, 3))
        filings[accession(each)] = split if any(split) else (1, 0)
    if not size.plain and chance.random() < 0.2:
        filings = None
    id_ = f"{number:012x}"
    jobs = [f"pipelines-{id_}-train-{n}" for n in range(1 + (not size.plain) * chance.randrange(2))]
    minutes = number % 60
    return Execution(
        id=id_,
        raw=raw,
        curated=(f"edgar.curated.examples{number % size.tables:03}", number),
        filings=filings,
        jobs=jobs,
        at=f"2026-{1 + number // 40320 % 12:02}-{1 + number // 1440 % 28:02}"
        f"T{number // 60 % 24:02}:{minutes:02}:00Z",
        base=chance.choice(("tiny", "large")),
    )


def accession(number: int) -> str:
    """Return the id of a filing: `<cik>/<accession number>`."""
    cik = number * 7919 % 10**9 + 1
    return f"{cik}/{cik:010}-{number % 100:02}-{number:06}"


def documents(execution: Execution) -> dict[str, bytes]:
    """Return the documents of one execution, by key."""
    folder, found = f"executions/{execution.id}", {}
    listed = None
    if execution.filings is not None:
        content = membership_bytes(execution.filings)
        sha256 = hashlib.sha256(content).hexdigest()
        listed = membership.entry(content, len(execution.filings)).model_dump()
        found[f"{folder}/prepare/membership-{sha256}.parquet"] = content
    prepared = canonical.dumps(_prepared(execution, listed))
    found[f"{folder}/prepare/manifest.json"] = prepared
    for job in execution.jobs:
        trained = canonical.dumps(_trained(execution, job, canonical.sha256(prepared)))
        found[f"{folder}/train/{job}/manifest.json"] = trained
    if execution.model:
        digests = canonical.sha256(prepared), canonical.sha256(trained)
        record = _record(execution, digests, listed)
        found[f"{folder}/register/record.json"] = canonical.dumps(record)
    return found


def membership_bytes(filings: dict[str, tuple[int, int]]) -> bytes:
    """Return a membership file."""
    ids = sorted(filings)
    columns = [
        ids,
        [name.partition("/")[0] for name in ids],
        [hashlib.sha256(name.encode()).digest() for name in ids],
        [filings[name][0] for name in ids],
        [filings[name][1] for name in ids],
    ]
    return membership.to_bytes(pa.table(columns, schema=membership.SCHEMA))


def _table(pair: tuple[str, int]) -> dict[str, Any]:
    return {"table": pair[0], "table_id": "id", "location": "s3://x/y", "version": pair[1]}


def reading(principal: str, table: str, at: str) -> dict[str, Any]:
    """Return a reading with two grants, one through a group."""
    grant = {"privilege": "SELECT", "holder": principal, "securable_type": "TABLE"}
    return {
        "principal": principal,
        "table": table,
        "read_at": at,
        "credential": {
            "location": "s3://x/y", "operation": "READ", "issued_at": at, "expires_at": at,
            "renewals": 0,
        },
        "grants": [
            grant | {"securable": table},
            {"privilege": "USE_CATALOG", "holder": "account users", "securable_type": "CATALOG",
             "securable": "edgar"},
        ],
    }  # fmt: skip


def _prepared(execution: Execution, listed: dict[str, Any] | None) -> dict[str, Any]:
    filings = execution.filings or {}
    train, evaluation = (sum(n[part] for n in filings.values()) for part in (0, 1))
    document = {
        "schema": f"governed-finetune/prepared/{2 if listed else 1}",
        "execution_arn": execution.arn, "created_at": execution.at, "principal": PEOPLE[0],
        "source": _table(execution.raw), "target": _table(execution.curated),
        "rejected": {"table": f"{execution.curated[0]}_rejected", "version": 0},
        "files": [{"path": "part.parquet", "size": 1, "sha256": DIGEST, "rows": 1}],
        "schema_sha256": DIGEST, "template": "risk-factor-heading/1",
        "counts": {
            "filings_read": len(filings), "filings_kept": len(filings), "filings_rejected": 0,
            "examples_train": train, "examples_eval": evaluation, "examples_rejected": 0,
            "companies_train": 1, "companies_eval": 1, "rejected_by_reason": {},
        },
    }  # fmt: skip
    if listed is None:
        return document
    return document | {
        "raw_files": [], "membership": listed, "build": BUILD, "spark_version": "4.0.0",
        "reading": reading(PEOPLE[0], execution.raw[0], execution.at),
    }  # fmt: skip


def _data(execution: Execution, manifest_sha256: str) -> dict[str, Any]:
    return {
        "table": execution.curated[0], "table_id": "id", "version": execution.curated[1],
        "manifest_sha256": manifest_sha256, "examples_train": 1, "examples_eval": 1,
    }  # fmt: skip


def _shared(execution: Execution, manifest_sha256: str) -> dict[str, Any]:
    return {
        "data": _data(execution, manifest_sha256),
        "base_model": {"name": execution.base, "revision": "0" * 40, "mirror_sha256": DIGEST},
        "fp8": {"requested": "auto", "effective": "storage", "dtype": "bfloat16", "device": "cpu"},
        "metrics": {"eval_loss_before": 7.5, "eval_loss": 2.25, "eval_tokens": 1, "steps": 1,
                    "train_tokens": 1, "best_step": 1, "stopped_early": False, "resumed_from": []},
    }  # fmt: skip


def _trained(execution: Execution, job: str, manifest_sha256: str) -> dict[str, Any]:
    new = execution.filings is not None
    document = {
        "schema": f"governed-finetune/trained/{2 if new else 1}",
        "execution_arn": execution.arn, "training_job": job, "created_at": execution.at,
        "principal": PEOPLE[1], **_shared(execution, manifest_sha256),
        "files": [{"path": "adapter_model.safetensors", "size": 1, "sha256": DIGEST}],
    }  # fmt: skip
    added = {"reading": reading(PEOPLE[1], execution.curated[0], execution.at), "build": BUILD}
    return document | added if new else document


def _record(
    execution: Execution, digests: tuple[str, str], listed: dict[str, Any] | None
) -> dict[str, Any]:
    assert execution.model
    new = _since_version_2(execution, listed)
    job = f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{execution.jobs[-1]}"
    return {
        "schema": f"governed-finetune/registered/{2 if listed else 1}", "key": DIGEST,
        "registered_at": execution.at,
        "principals": {"databricks": PEOPLE[2], "aws": f"{ROLE}register/worker"},
        "execution": {
            "arn": execution.arn, "pipeline_arn": execution.arn.rsplit("/execution", 1)[0],
            "definition_sha256": DIGEST, "started_at": execution.at, "parameters": {"Seed": "17"},
            **new["execution"],
        },
        "prepare": {
            "job_run_arn": f"arn:aws:emr-serverless:us-east-1:0:/jobruns/{execution.id}",
            "role_arn": f"{ROLE}prepare", "entry_point": "local:///x", "release_label": "emr",
            "manifest_sha256": digests[0], **new["prepare"],
        },
        "raw": _table(execution.raw), "curated": _table(execution.curated),
        "train": {
            "job_arn": job, "role_arn": f"{ROLE}train", "image": "i@sha256:" + DIGEST,
            "instance_type": "ml.g5.16xlarge", "instance_count": 1, "started_at": execution.at,
            "ended_at": execution.at, "hyperparameters": {}, "manifest_sha256": digests[1],
            **new["train"],
        },
        **_shared(execution, digests[0]),
        "artifact": {"uri": "s3://x/model.tar.gz", "version_id": "v", "size": 1, "sha256": DIGEST,
                     "files": []},
        "model": {"name": execution.model[0], "version": execution.model[1],
                  "source": "s3://x/model.tar.gz?versionId=v", "alias": execution.alias},
        "lineage": {"nodes": [], "edges": []},
        **new["record"],
    }  # fmt: skip


def _since_version_2(
    execution: Execution, listed: dict[str, Any] | None
) -> dict[str, dict[str, Any]]:
    """Return the fields of a record that came with version 2, by part."""
    if listed is None:
        return {"execution": {}, "prepare": {}, "train": {}, "record": {}}
    reads = [
        reading(PEOPLE[0], execution.raw[0], execution.at),
        reading(PEOPLE[1], execution.curated[0], execution.at),
    ]
    return {
        "execution": {"started_by": {"arn": f"{ROLE}scientist", "user_profile": "ada"}},
        "prepare": {"image": "i@sha256:" + DIGEST, "spark_version": "4.0.0", "build": BUILD,
                    "billed": {"seconds": 60}},
        "train": {"build": BUILD, "billed": {"seconds": 60}},
        "record": {"register": {"image": "i@sha256:" + DIGEST, "build": BUILD},
                   "readings": reads, "membership": listed,
                   "ledger": {"number": 0, "sha256": "0" * 64}},
    }  # fmt: skip


def _approve(chance: random.Random, history: Made) -> None:
    registered = [each for each in history.plain if each.model]
    counts: dict[tuple[str, int], int] = {}
    holder: dict[str, int | None] = {}
    for number, each in enumerate(chance.sample(registered, len(registered) // 2)):
        assert each.model
        model, version = each.model
        action = "revoke" if holder.get(model) == version else "approve"
        decided = {"action": action, "model": model, "version": version, "alias": "champion",
                   "at": f"2027-01-01T00:{number // 60:02}:{number % 60:02}Z",
                   "replaced": holder.get(model)}  # fmt: skip
        counts[each.model] = counts.get(each.model, 0) + 1
        holder[model] = version
        history.approvals.append(decided)
        key = f"approvals/{model}/{version}/{counts[each.model]}.json"
        history.objects[key] = approval_bytes(decided)
        if chance.random() < 0.3:
            counts[each.model] += 1
            undone = decided | {"action": "revoke", "at": decided["at"].replace("27-01", "27-02")}
            holder[model] = decided["replaced"]
            history.approvals.append(undone)
            key = f"approvals/{model}/{version}/{counts[each.model]}.json"
            history.objects[key] = approval_bytes(undone)


def approval_bytes(decided: dict[str, Any]) -> bytes:
    """Return the envelope of an approval or a revocation; its signature is not a real one."""
    approval = Approval(
        action=decided["action"], model=decided["model"], version=decided["version"],
        alias=decided["alias"], record="executions/x/register/record.json", record_sha256=DIGEST,
        approver="approver@example.com", aws="arn:aws:sts::0:assumed-role/approver/x",
        group="approvers", reason="good", decided_at=decided["at"],
        replaced_version=decided["replaced"],
    )  # fmt: skip
    signature = Signature(keyid=DIGEST, sig="AAAA")
    return Envelope.of(approval.to_bytes(), PAYLOAD_TYPE, signature).to_bytes()
