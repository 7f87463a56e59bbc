"""Verify a DSSE envelope with a pinned public key.

    key = PublicKey.of("MFkwEwYHKoZIzj0CAQYI…")     # base64 of the DER SubjectPublicKeyInfo
    key.signed(envelope)                            # whether a signature is its own

The key comes from conf, never from the envelope: `keyid` only names the key to try. It is not the
class of `steps.governance.signing`: the auditor shares no code with those who sign.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from steps.governance.documents.envelope import Envelope, Signature
from steps.governance.errors import UsageError

_ALGORITHM = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True)
class PublicKey:
    """A P-256 key and its id: the sha256 of its DER form."""

    keyid: str
    key: ec.EllipticCurvePublicKey

    @classmethod
    def of(cls, text: str) -> Self:
        """Parse base64 of the DER form, as kms.GetPublicKey returns it.

        Raises:
            UsageError: not a P-256 public key.
        """
        try:
            der = base64.b64decode(text, validate=True)
            key = load_der_public_key(der)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _refused(type(error).__name__) from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise _refused("another kind of key")
        return cls(hashlib.sha256(der).hexdigest(), key)

    def signed(self, envelope: Envelope) -> bool:
        """Return whether one signature of the envelope is this key's."""
        return any(
            self._is_own(signature, envelope)
            for signature in envelope.signatures
            if signature.keyid == self.keyid
        )

    def _is_own(self, signature: Signature, envelope: Envelope) -> bool:
        try:
            content = base64.b64decode(signature.sig, validate=True)
            self.key.verify(content, envelope.signed_bytes, _ALGORITHM)
        except (InvalidSignature, ValueError):  # binascii's error is a ValueError
            return False
        return True


def _refused(got: str) -> UsageError:
    return UsageError(
        "a pinned public key cannot be used",
        expected="base64 of a P-256 public key in DER, as kms.GetPublicKey returns it",
        got=got,
        do="correct evidence.signing_public_key or evidence.approval_public_key in conf",
    )
