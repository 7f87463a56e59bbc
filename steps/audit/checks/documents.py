"""Checks of one record's documents: the record, its envelope, the manifests, the membership file.

Each compares stored bytes with a digest that another document has, or one document's facts with
another's. What only version 2 records is a note for a record of version 1.
"""

from typing import Any

from steps.audit.case import ENVELOPE, Case
from steps.audit.checks import reuse
from steps.audit.findings import Comparison, Differs, Note
from steps.audit.ledger import payload
from steps.governance.documents import canonical
from steps.governance.documents.envelope import IN_TOTO, Envelope
from steps.governance.documents.record import Record, effect_key
from steps.governance.names import execution_id

_STATEMENT = "https://in-toto.io/Statement/v1"
_PROVENANCE = "https://slsa.dev/provenance/v1"
_KNOWN = ("governed-finetune/registered/1", "governed-finetune/registered/2")
UNRECORDED = "not recorded (version 1)"


def record_document(case: Case) -> Comparison:
    """The record is canonical, of a known schema, in its execution's folder, with its own key."""
    schema = _schema(case)
    if schema not in _KNOWN:
        raise Differs(f"one of {', '.join(_KNOWN)}", f"schema {schema}", case.uri)
    record = Record.from_bytes(case.content, origin=case.uri)
    key = effect_key(record.execution.arn, "register", record.artifact.sha256)
    pipeline = record.execution.pipeline_arn.rsplit("/", 1)[-1]
    return Comparison(
        case.uri,
        [
            (
                "canonical bytes",
                canonical.sha256(record.to_bytes()),
                canonical.sha256(case.content),
            ),
            ("folder", case.folder.rsplit("/", 1)[-1], execution_id(record.execution.arn)),
            ("key", key, record.key),
            ("pipeline", case.context.arguments.pipeline_name, pipeline),
        ],
    )


def record_signature(case: Case) -> Comparison | Note:
    """The envelope is signed by the pinned key of records."""
    if case.first_version:
        return Note("unsigned: version 1 has no signature", case.uri)
    content = case.envelope_content
    envelope = Envelope.from_bytes(content, origin=case.document(ENVELOPE))
    signed = case.context.signing.signed(envelope)
    return Comparison(
        case.document(ENVELOPE),
        [
            ("payload type", IN_TOTO, envelope.payload_type),
            ("canonical bytes", envelope.sha256, canonical.sha256(content)),
            (f"signature by key {case.context.signing.keyid[:12]}", True, signed),
        ],
    )


def record_statement(case: Case) -> Comparison | Note:
    """The signed statement is about exactly this record and this archive."""
    if case.first_version:
        return Note(UNRECORDED, case.uri)
    uri = case.document(ENVELOPE)
    statement = _statement(_envelope(case), uri)
    subjects = statement.get("subject")
    found = sorted(_digest(each, uri) for each in subjects) if isinstance(subjects, list) else []
    expected = sorted([canonical.sha256(case.content), case.record.artifact.sha256])
    return Comparison(
        uri,
        [
            ("statement", _STATEMENT, statement.get("_type")),
            ("predicate", _PROVENANCE, statement.get("predicateType")),
            ("sha256 of the subjects", expected, found),
        ],
    )


def prepare_manifest(case: Case) -> Comparison:
    """Prepare's manifest has the recorded digest, and the record repeats its facts."""
    record, content = case.record, case.prepared_content
    pairs: list[tuple[str, object, object]] = [
        ("sha256", record.prepare.manifest_sha256, canonical.sha256(content))
    ]
    if pairs[0][1] == pairs[0][2]:
        prepared = case.prepared
        pairs += [
            ("execution", record.execution.arn, prepared.execution_arn),
            ("raw table", record.raw, prepared.source),
            ("curated table", record.curated, prepared.target),
        ]
        if not case.first_version:
            pairs += [
                ("membership", record.membership, prepared.membership),
                ("build", record.prepare.build, prepared.build),
                ("Spark", record.prepare.spark_version, prepared.spark_version),
                ("reading", True, prepared.reading in (record.readings or [])),
                *reuse.manifest_pairs(case),
            ]
    return Comparison(case.document(case.prepare_manifest), pairs)


def train_manifest(case: Case) -> Comparison:
    """Train's manifest has the recorded digest, and the record repeats its facts."""
    record, content = case.record, case.trained_content
    pairs: list[tuple[str, object, object]] = [
        ("sha256", record.train.manifest_sha256, canonical.sha256(content))
    ]
    if pairs[0][1] == pairs[0][2]:
        trained = case.trained
        pairs += [
            ("execution", record.execution.arn, trained.execution_arn),
            ("training job", record.train.job_arn.rsplit("/", 1)[-1], _name(trained.training_job)),
            ("data", record.data, trained.data),
            ("base model", record.base_model, trained.base_model),
            ("precision", record.fp8, trained.fp8),
            ("metrics", record.metrics, trained.metrics),
        ]
        if not case.first_version:
            pairs += [
                ("build", record.train.build, trained.build),
                ("reading", True, trained.reading in (record.readings or [])),
            ]
    return Comparison(case.document(case.train_manifest), pairs)


def manifest_chain(case: Case) -> Comparison:
    """Train's manifest names Prepare's by digest, and the same table version."""
    record, target = case.record, case.record.curated
    data = record.data
    return Comparison(
        case.uri,
        [
            ("Prepare's manifest", record.prepare.manifest_sha256, data.manifest_sha256),
            ("table", (target.table, target.table_id), (data.table, data.table_id)),
            ("table version", target.version, data.version),
        ],
    )


def membership_digest(case: Case) -> Comparison | Note:
    """The list of filings has the recorded size and digest."""
    membership = case.record.membership
    if membership is None:
        return Note(UNRECORDED, case.uri)
    name = f"prepare/membership-{membership.sha256}.parquet"
    content = case.read(name)
    return Comparison(
        case.document(name),
        [
            ("size", membership.size, len(content)),
            ("sha256", membership.sha256, canonical.sha256(content)),
            ("name", name.removeprefix("prepare/"), membership.path.rsplit("/", 1)[-1]),
        ],
    )


def artifact_pin(case: Case) -> Comparison:
    """The object version that Register chose is the recorded one."""
    uri = case.document("register/artifact.json")
    artifact = case.record.artifact
    pinned = {"uri": artifact.uri, "version_id": artifact.version_id, "size": artifact.size}
    return Comparison(
        uri,
        [("object version", canonical.dumps(pinned), case.read("register/artifact.json"))],
        summary="object version",
    )


def evidence_versions(case: Case) -> Comparison:
    """Each document of the execution was written once, and none was deleted."""
    prefix = f"{case.folder}/"
    found = {
        key.removeprefix(prefix): stored
        for key, stored in case.context.evidence.items()
        if key.startswith(prefix) and not key.endswith("/lease.json")
    }
    return Comparison(
        case.context.uri(prefix),
        [
            (
                name,
                "1 version, 0 deletions",
                f"{each.versions} versions, {each.deletions} deletions",
            )
            for name, each in found.items()
            if (each.versions, each.deletions) != (1, 0)
        ],
        summary=f"{len(found)} documents, each written once",
    )


def _schema(case: Case) -> str:
    """The schema that the record names, before anything else of it is trusted."""
    try:
        document = canonical.loads(case.content)
    except ValueError as error:
        raise Differs("canonical JSON", str(error), case.uri) from None
    return str(document.get("schema")) if isinstance(document, dict) else "none"


def _envelope(case: Case) -> Envelope:
    uri = case.document(ENVELOPE)
    return Envelope.from_bytes(case.envelope_content, origin=uri)


def _statement(envelope: Envelope, uri: str) -> dict[str, Any]:
    try:
        statement = canonical.loads(payload(envelope, uri))
    except ValueError as error:
        raise Differs("an in-toto statement", str(error), uri) from None
    if not isinstance(statement, dict):
        raise Differs("an in-toto statement", "other JSON", uri)
    return statement


def _digest(subject: object, uri: str) -> str:
    digest = subject.get("digest") if isinstance(subject, dict) else None
    found = digest.get("sha256") if isinstance(digest, dict) else None
    if not isinstance(found, str):
        raise Differs("a sha256 for each subject", "none", uri)
    return found


def _name(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]
