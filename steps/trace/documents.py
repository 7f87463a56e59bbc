"""What the index keeps of each evidence document: its facts as plain JSON values.

    kind = kind_of("executions/4x7k…/register/record.json")      # "registered"
    facts = facts_of(kind, key, content, origin=uri)

Grants and principals are kept, since they are part of the answer; rows of data and file lists are
not in it. A document is parsed by its schema first: a newer schema, a truncated file and hostile
JSON are refused there.
"""

import re

from steps.governance.documents.approval import PAYLOAD_TYPE, Approval
from steps.governance.documents.envelope import Envelope
from steps.governance.documents.manifest import Prepared, Trained
from steps.governance.documents.reading import Reading
from steps.governance.documents.record import Record
from steps.governance.errors import GovernanceError, IntegrityError
from steps.governance.names import execution_id
from steps.trace.facts import Facts

_KINDS = {
    "prepared": re.compile(r"executions/([^/]+)/prepare/manifest\.json"),
    "trained": re.compile(r"executions/([^/]+)/train/[^/]+/manifest\.json"),
    "registered": re.compile(r"executions/([^/]+)/register/record\.json"),
    "approval": re.compile(r"approvals/.+/[0-9]+/[0-9]+\.json"),
}


def kind_of(key: str) -> str | None:
    """Return the kind of the document at a key; None: not one that the index reads."""
    for kind, pattern in _KINDS.items():
        if pattern.fullmatch(key):
            return kind
    return None


def facts_of(kind: str, key: str, content: bytes, *, origin: str) -> Facts:
    """Parse a document and return its facts.

    Raises:
        IntegrityError: not a document of a schema that this program knows, or a document that names
            another execution than its key.
    """
    if kind == "approval":
        return _approval(content, origin)
    document: Prepared | Trained | Record
    if kind == "prepared":
        document = Prepared.from_bytes(content, origin=origin)
        arn, facts = document.execution_arn, _prepared(document)
    elif kind == "trained":
        document = Trained.from_bytes(content, origin=origin)
        arn, facts = document.execution_arn, _trained(document)
    else:
        document = Record.from_bytes(content, origin=origin)
        arn, facts = document.execution.arn, _registered(document)
    match = _KINDS[kind].fullmatch(key)
    if match is None or _id(arn) != match[1]:
        raise IntegrityError(
            f"the document at {origin} names another execution than its key",
            expected=key.split("/")[1],
            got=arn[:200],
            do="find out who wrote it; python -m pipeline.audit names what differs",
        )
    return facts | {"execution_arn": arn}


def _id(arn: str) -> str | None:
    try:
        return execution_id(arn)
    except GovernanceError:
        return None


def _prepared(document: Prepared) -> Facts:
    return {
        "at": document.created_at,
        "principal": document.principal,
        "source": [document.source.table, document.source.version],
        "target": [document.target.table, document.target.version],
        "template": document.template,
        "reused": _id(document.reused.execution_arn) if document.reused else None,
        "membership": document.membership.path if document.membership else None,
        "membership_sha256": document.membership.sha256 if document.membership else None,
        "examples": [document.counts.examples_train, document.counts.examples_eval],
        "readings": _readings([document.reading] if document.reading else []),
    }


def _trained(document: Trained) -> Facts:
    base = document.base_model
    return {
        "at": document.created_at,
        "principal": document.principal,
        "job": document.training_job,
        "data": [document.data.table, document.data.version],
        "base_model": [base.name, base.revision, base.licence],
        "eval_loss": document.metrics.eval_loss,
        "readings": _readings([document.reading] if document.reading else []),
    }


def _registered(document: Record) -> Facts:
    starter, base = document.execution.started_by, document.base_model
    return {
        "at": document.registered_at,
        "principal": document.principals.databricks,
        "aws": document.principals.aws,
        "started_at": document.execution.started_at,
        "started_by": [starter.arn, starter.user_profile] if starter else [None, None],
        "raw": [document.raw.table, document.raw.version],
        "curated": [document.curated.table, document.curated.version],
        "prepare_job": document.prepare.job_run_arn,
        "prepare_role": document.prepare.role_arn,
        "prepare_image": document.prepare.image,
        "reused": _id(document.prepare.reused.execution_arn) if document.prepare.reused else None,
        "job": document.train.job_arn.rsplit("/", 1)[-1],
        "train_role": document.train.role_arn,
        "train_image": document.train.image,
        "instance_type": document.train.instance_type,
        "base_model": [base.name, base.revision, base.licence],
        "eval_loss": document.metrics.eval_loss,
        "model": document.model.name,
        "version": document.model.version,
        "alias": document.model.alias,
        "archive_sha256": document.artifact.sha256,
        "readings": _readings(document.readings or []),
    }


def _readings(readings: list[Reading]) -> list[Facts]:
    return [
        {
            "principal": reading.principal,
            "table": reading.table,
            "at": reading.read_at,
            "unknown": reading.grants_unknown,
            "grants": [
                [grant.privilege, grant.holder, grant.securable_type, grant.securable]
                for grant in reading.grants or []
            ],
        }
        for reading in readings
    ]


def _approval(content: bytes, origin: str) -> Facts:
    envelope = Envelope.from_bytes(content, origin=origin)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise IntegrityError(
            f"the document at {origin} is not an approval",
            expected=PAYLOAD_TYPE,
            got=envelope.payload_type[:100],
        )
    try:
        payload = envelope.content
    except ValueError:
        raise IntegrityError(
            f"the approval at {origin} cannot be trusted", expected="base64", got="other text"
        ) from None
    approval = Approval.from_bytes(payload, origin=origin)
    names = ("action", "model", "version", "alias", "approver", "aws", "group", "reason")
    facts = {name: getattr(approval, name) for name in names}
    return facts | {"at": approval.decided_at, "replaced": approval.replaced_version}
