"""Check of the OpenSSF model signature of the adapter's files, which the version holds too.

It is a Sigstore bundle around a DSSE envelope of an in-toto statement that lists each file.
"""

import hashlib
from typing import Any

from steps.audit.case import Case
from steps.audit.checks.documents import UNRECORDED
from steps.audit.findings import Comparison, Differs, Note
from steps.audit.ledger import payload
from steps.governance.documents import canonical
from steps.governance.documents.envelope import IN_TOTO, Envelope

NAME = "register/model.sig"
_PREDICATE = "https://model_signing/signature/v1.0"


def model_signature(case: Case) -> Comparison | Note:
    """The signature is the pinned key's, and lists exactly the recorded files."""
    if case.first_version:
        return Note(UNRECORDED, case.uri)
    uri, content = case.document(NAME), case.read(NAME)
    bundle = _object(content, uri)
    envelope = Envelope.from_bytes(
        canonical.dumps(_part(bundle, "dsseEnvelope", uri)), origin=f"dsseEnvelope in {uri}"
    )
    statement = _object(payload(envelope, uri), uri)
    files = sorted(case.record.artifact.files, key=lambda entry: entry.path)
    whole = hashlib.sha256(b"".join(bytes.fromhex(entry.sha256) for entry in files)).hexdigest()
    resources = [
        {"name": entry.path, "algorithm": "sha256", "digest": entry.sha256} for entry in files
    ]
    return Comparison(
        uri,
        [
            (
                "canonical bytes",
                canonical.sha256(canonical.dumps(bundle)),
                canonical.sha256(content),
            ),
            ("payload type", IN_TOTO, envelope.payload_type),
            (
                f"signature by key {case.context.signing.keyid[:12]}",
                True,
                case.context.signing.signed(envelope),
            ),
            ("predicate", _PREDICATE, statement.get("predicateType")),
            ("files", resources, _part(statement, "predicate", uri).get("resources")),
            ("sha256 of the files", [{"sha256": whole}], _digests(statement.get("subject"))),
        ],
    )


def _digests(subject: Any) -> list[Any] | None:
    if not isinstance(subject, list):
        return None
    return [each.get("digest") for each in subject if isinstance(each, dict)]


def _object(content: bytes, uri: str) -> dict[str, Any]:
    try:
        document = canonical.loads(content)
    except ValueError as error:
        raise Differs("a model signature", str(error), uri) from None
    if not isinstance(document, dict):
        raise Differs("a model signature", "other JSON", uri)
    return document


def _part(document: dict[str, Any], name: str, uri: str) -> dict[str, Any]:
    part = document.get(name)
    if not isinstance(part, dict):
        raise Differs(f"{name} of a model signature", "none", uri)
    return part
