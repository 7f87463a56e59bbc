"""The record of a model version, verified before anybody approves it.

    recorded = verified(evidence, …)

The version's tags lead to it. It must be complete, canonical and about this version; its digest
must be the tag's; a record of version 2 must be signed with the pinned key, and the signed
statement must name its digest.
"""

from dataclasses import dataclass

from steps.governance.documents import canonical
from steps.governance.documents.envelope import IN_TOTO, Envelope
from steps.governance.documents.record import WITHDRAWN_TAG, LedgerHead, Record
from steps.governance.errors import Conflict, IntegrityError, NotFound
from steps.governance.evidence import Evidence
from steps.governance.files import split_s3_uri
from steps.governance.names import UcName, execution_id
from steps.governance.signing.ledger_writer import EMPTY
from steps.governance.signing.public_key import PublicKey

_EXECUTION_TAG, _RECORD_TAG = "execution_arn", "record_sha256"


@dataclass(frozen=True)
class Recorded:
    """A verified record: its key in the evidence bucket, its digest, and the record."""

    key: str
    sha256: str
    record: Record

    @property
    def ledger(self) -> LedgerHead:
        """The ledger's head before the record's own entry; empty for a record of version 1."""
        return self.record.ledger or EMPTY


def verified(
    evidence: Evidence,
    evidence_uri: str,
    *,
    version: tuple[UcName, int],
    tags: dict[str, str],
    key: PublicKey,
) -> Recorded:
    """Return the record of a version.

    Raises:
        NotFound: the version has no record.
        Conflict: Register took the version back.
        IntegrityError: the record cannot be trusted.
    """
    name, number = version
    if WITHDRAWN_TAG in tags:
        raise _withdrawn(version, tags[WITHDRAWN_TAG])
    folder = f"{evidence_uri}/{execution_id(_tag(tags, _EXECUTION_TAG, version))}/register"
    uri = f"{folder}/record.json"
    try:
        content = evidence.read(uri)
    except NotFound as error:
        raise _no_record(version, uri) from error
    sha256 = canonical.sha256(content)
    record = Record.from_bytes(content, origin=uri)
    _same(f"{uri} is not canonical", record.sha256, sha256)
    _same(
        f"{uri} is the record of another version",
        (str(name), number),
        (record.model.name, record.model.version),
    )
    _same(
        f"{uri} is not the record that the version names", _tag(tags, _RECORD_TAG, version), sha256
    )
    if record.ledger is not None:
        _require_signed(evidence, f"{folder}/record.dsse.json", sha256, key)
    return Recorded(split_s3_uri(uri)[1], sha256, record)


def _require_signed(evidence: Evidence, uri: str, record_sha256: str, key: PublicKey) -> None:
    envelope = Envelope.from_bytes(evidence.read(uri), origin=uri)
    key.verify(envelope, origin=uri)
    _same(f"{uri} is not a statement", IN_TOTO, envelope.payload_type)
    try:
        subjects = canonical.loads(envelope.content)["subject"]
        digests = [each["digest"]["sha256"] for each in subjects if each["name"] == "record.json"]
    except (ValueError, KeyError, TypeError):
        digests = []
    _same(f"{uri} was signed for another record", [record_sha256], digests)


def _tag(tags: dict[str, str], name: str, version: tuple[UcName, int]) -> str:
    if name not in tags:
        raise _no_record(version, f"no tag {name}")
    return tags[name]


def _no_record(version: tuple[UcName, int], got: str) -> NotFound:
    return NotFound(
        f"version {version[1]} of {version[0]} has no record",
        expected="a version that Register made, with the tags of its record",
        got=got,
        do="find out who made it; a version without a record is never approved",
    )


def _withdrawn(version: tuple[UcName, int], reason: str) -> Conflict:
    return Conflict(
        f"version {version[1]} of {version[0]} was withdrawn",
        expected="a version whose execution succeeded",
        got=f"tag {WITHDRAWN_TAG}: {reason}"[:300],
        do="approve another version, or run the execution again",
    )


def _same(what: str, expected: object, got: object) -> None:
    if got != expected:
        raise IntegrityError(
            what,
            expected=str(expected)[:300],
            got=str(got)[:300],
            do="run `python -m pipeline.audit`; the version was not approved",
        )
