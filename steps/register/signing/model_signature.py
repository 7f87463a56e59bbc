"""The OpenSSF model signature of an adapter, which the public `model_signing` tool verifies.

    content = write_model_signature(evidence, uri, unpacked.files, name=…, signer=signer)

    model_signing verify key ADAPTER_FOLDER --signature model.sig --public_key register.pem

It is a Sigstore bundle without transparency log, around a DSSE envelope of an in-toto statement
that lists each file with its sha256 [https://github.com/sigstore/model-transparency, predicate
https://model_signing/signature/v1.0]. The tool itself takes private keys and PKCS #11 only, so the
bundle is composed here and signed by KMS.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress

from pydantic import Field

from steps.governance.documents import canonical
from steps.governance.documents.document import FileEntry, Manifest, Part
from steps.governance.documents.envelope import IN_TOTO, Envelope
from steps.governance.errors import Conflict, NotFound
from steps.governance.evidence import Evidence
from steps.governance.signing.kms_signer import Signer
from steps.governance.signing.signed_document import require_payload

NAME = "model.sig"
_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_IGNORED = [NAME, ".git", ".gitattributes", ".github", ".gitignore"]  # as the tool itself writes


class _PublicKey(Part):
    hint: str  # sha256 of the PEM; the tool compares it


class _Material(Part):
    public_key: _PublicKey = Field(alias="publicKey")
    tlog_entries: list[str] = Field(alias="tlogEntries")


class Bundle(Manifest):
    """A Sigstore bundle v0.3 whose verification material is a public key."""

    media_type: str = Field(alias="mediaType")
    verification_material: _Material = Field(alias="verificationMaterial")
    dsse_envelope: Envelope = Field(alias="dsseEnvelope")


def write_model_signature(
    evidence: Evidence, uri: str, files: Sequence[FileEntry], *, name: str, signer: Signer
) -> bytes:
    """Sign and store the signature of these files unless that was done before; return it.

    Raises:
        Conflict: the stored signature is of other files.
        IntegrityError: the stored signature is not one by this key.
    """
    payload = statement(files, name=name)
    with suppress(NotFound):
        return _accepted(evidence.read(uri), uri, payload, signer)
    envelope = signer.envelope(payload, IN_TOTO)
    hint = hashlib.sha256(signer.public_pem).hexdigest()
    bundle = Bundle(
        mediaType=_MEDIA_TYPE,
        verificationMaterial=_Material(publicKey=_PublicKey(hint=hint), tlogEntries=[]),
        dsseEnvelope=envelope,
    )
    with suppress(Conflict):
        evidence.write_once(uri, bundle.to_bytes())
    return _accepted(evidence.read(uri), uri, payload, signer)


def statement(files: Sequence[FileEntry], *, name: str) -> bytes:
    """Return the statement about a model's files; the subject's digest is that of their digests."""
    listed = sorted(files, key=lambda entry: entry.path)
    whole = hashlib.sha256(b"".join(bytes.fromhex(entry.sha256) for entry in listed))
    return canonical.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": name, "digest": {"sha256": whole.hexdigest()}}],
            "predicateType": "https://model_signing/signature/v1.0",
            "predicate": {
                "serialization": {
                    "method": "files",
                    "hash_type": "sha256",
                    "allow_symlinks": False,
                    "ignore_paths": _IGNORED,
                },
                "resources": [
                    {"name": entry.path, "algorithm": "sha256", "digest": entry.sha256}
                    for entry in listed
                ],
            },
        }
    )


def _accepted(content: bytes, uri: str, payload: bytes, signer: Signer) -> bytes:
    envelope = Bundle.from_bytes(content, origin=uri).dsse_envelope
    require_payload((envelope.content, envelope.payload_type), (payload, IN_TOTO), uri)
    signer.verify(envelope, origin=uri)
    return content
