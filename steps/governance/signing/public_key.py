"""A pinned public key: whether it signed a DSSE envelope.

    key = PublicKey.pinned("MFkwEwYHKoZIzj0CAQYI…")     # base64 of the DER, as conf has it
    key.verify(envelope, origin="s3://…")

The key comes from the configuration, never from the envelope: `keyid` only names the key to try.
"""

import base64
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from steps.governance.documents import canonical
from steps.governance.documents.envelope import Envelope, Signature
from steps.governance.errors import IntegrityError, UsageError


@dataclass(frozen=True)
class PublicKey:
    """A P-256 key: its DER form (SubjectPublicKeyInfo), and the key itself."""

    der: bytes
    key: ec.EllipticCurvePublicKey

    @classmethod
    def of(cls, der: bytes) -> Self:
        """Parse the DER form.

        Raises:
            UsageError: not a P-256 public key.
        """
        try:
            key = load_der_public_key(der)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _refused(type(error).__name__) from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise _refused("another kind of key")
        return cls(der, key)

    @classmethod
    def pinned(cls, text: str) -> Self:
        """Parse base64 of the DER form.

        Raises:
            UsageError: not a P-256 public key.
        """
        try:
            return cls.of(base64.b64decode(text, validate=True))
        except ValueError as error:
            raise _refused(type(error).__name__) from None

    @property
    def keyid(self) -> str:
        """The sha256 of the DER form, 64 hex digits."""
        return canonical.sha256(self.der)

    def verify(self, envelope: Envelope, *, origin: str) -> None:
        """Check that this key signed the envelope.

        Raises:
            IntegrityError: it did not.
        """
        for signature in envelope.signatures:
            if signature.keyid == self.keyid and self._is_valid(signature, envelope):
                return
        raise IntegrityError(
            f"the signature of {origin} cannot be trusted",
            expected=f"a signature by key {self.keyid}",
            got=", ".join(signature.keyid for signature in envelope.signatures),
            do="find out who wrote it; evidence is never overwritten",
        )

    def _is_valid(self, signature: Signature, envelope: Envelope) -> bool:
        try:
            content = base64.b64decode(signature.sig, validate=True)
            self.key.verify(content, envelope.signed_bytes, ec.ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


def _refused(got: str) -> UsageError:
    return UsageError(
        "a public key cannot be used",
        expected="a P-256 public key in DER, as kms.GetPublicKey returns it",
        got=got,
        do="correct evidence.signing_public_key or evidence.approval_public_key in conf",
    )
