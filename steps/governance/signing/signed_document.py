"""Store a signed document once. Signatures of the same bytes differ, so what is compared is what
was signed.

    stored = write_signed(evidence, uri, payload=statement, payload_type=IN_TOTO, signer=signer)

After a crash or a lost answer, or if another worker was faster, the stored document is accepted
if its payload is equal and its signature verifies.
"""

from contextlib import suppress

from steps.governance.documents.envelope import Envelope
from steps.governance.errors import Conflict, NotFound
from steps.governance.evidence import Evidence
from steps.governance.signing.kms_signer import Signer


def write_signed(
    evidence: Evidence, uri: str, *, payload: bytes, payload_type: str, signer: Signer
) -> Envelope:
    """Sign and store a payload unless that was done before; return the stored envelope.

    Raises:
        Conflict: the stored envelope is of another payload.
        IntegrityError: the stored envelope was not signed by this key.
        AccessDenied: this role may not sign or write.
    """
    with suppress(NotFound):
        return _accepted(evidence.read(uri), uri, (payload, payload_type), signer)
    content = signer.envelope(payload, payload_type).to_bytes()
    with suppress(Conflict):
        evidence.write_once(uri, content)
    return _accepted(evidence.read(uri), uri, (payload, payload_type), signer)


def _accepted(content: bytes, uri: str, expected: tuple[bytes, str], signer: Signer) -> Envelope:
    envelope = Envelope.from_bytes(content, origin=uri)
    require_payload((envelope.content, envelope.payload_type), expected, uri)
    signer.verify(envelope, origin=uri)
    return envelope


def require_payload(found: tuple[bytes, str], expected: tuple[bytes, str], uri: str) -> None:
    """Check that a stored document is about what is to be signed.

    Raises:
        Conflict: it is about something else.
    """
    if found != expected:
        raise Conflict(
            f"{uri} was already signed with other content",
            expected="no document, or a signature of the same bytes",
            got="a signature of other bytes",
            do="find out who wrote it; evidence is never overwritten",
        )
