"""Signs documents with a key that never leaves AWS KMS, and checks what it signed.

    signer = Signer(region, key_arn)
    envelope = signer.envelope(payload, "application/vnd.in-toto+json")
    signer.verify(envelope, origin="s3://…")

KMS signs the sha256 of DSSE's pre-authentication encoding (ECDSA on P-256). Each signature of the
same bytes differs, and signing changes nothing: after a lost answer it is asked for again.
"""

import base64
import functools
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from steps.governance import aws
from steps.governance.documents import canonical
from steps.governance.documents.envelope import Envelope, Signature, signed_bytes
from steps.governance.errors import NotFound, Unavailable, UsageError
from steps.governance.signing.public_key import PublicKey

_SPEC, _ALGORITHM = "ECC_NIST_P256", "ECDSA_SHA_256"
# Somebody may enable the key again, or KMS recovers: the same call may succeed later.
_LATER = {
    "KMSInvalidStateException",
    "DisabledException",
    "KeyUnavailableException",
    "DependencyTimeoutException",
    "KMSInternalException",
    "ThrottlingException",
    "LimitExceededException",
}


class Signer:
    """One asymmetric KMS key of the kind ECC_NIST_P256, SIGN_VERIFY."""

    def __init__(self, region: str, key_arn: str) -> None:
        self._kms, self.key_arn = aws.client("kms", region), key_arn

    @functools.cached_property
    def public_key(self) -> bytes:
        """The public key: DER of the SubjectPublicKeyInfo.

        Raises:
            NotFound: the key does not exist.
            AccessDenied: this role may not see it.
            UsageError: it is a key of another kind.
        """
        with _translated(f"get the public key of {self.key_arn}"):
            answer = self._kms.get_public_key(KeyId=self.key_arn)
        found = answer.get("KeySpec"), answer.get("KeyUsage")
        if found != (_SPEC, "SIGN_VERIFY"):
            raise UsageError(
                f"{self.key_arn} cannot sign evidence",
                expected=f"{_SPEC}, SIGN_VERIFY",
                got=", ".join(map(str, found)),
                do="give the ARN of the stack's signing key",
            )
        return bytes(answer["PublicKey"])

    @property
    def keyid(self) -> str:
        """The sha256 of the public key, 64 hex digits."""
        return canonical.sha256(self.public_key)

    @property
    def public_pem(self) -> bytes:
        """The public key in PEM, as the public verifiers read it."""
        return self._key.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def envelope(self, payload: bytes, payload_type: str) -> Envelope:
        """Return a signed DSSE envelope of some bytes.

        Raises:
            AccessDenied: this role may not sign with the key.
            NotFound: the key does not exist.
            Unavailable: the key is disabled, or KMS does not answer.
        """
        digest = hashlib.sha256(signed_bytes(payload, payload_type)).digest()
        with _translated(f"sign with {self.key_arn}"):
            signed = self._kms.sign(
                KeyId=self.key_arn,
                Message=digest,
                MessageType="DIGEST",
                SigningAlgorithm=_ALGORITHM,
            )["Signature"]
        signature = Signature(keyid=self.keyid, sig=base64.b64encode(signed).decode())
        envelope = Envelope.of(payload, payload_type, signature)
        self.verify(envelope, origin=f"the answer of KMS for {self.key_arn}")
        return envelope

    def verify(self, envelope: Envelope, *, origin: str) -> None:
        """Check that this key signed the envelope.

        Raises:
            IntegrityError: it did not.
        """
        self._key.verify(envelope, origin=origin)

    @functools.cached_property
    def _key(self) -> PublicKey:
        return PublicKey.of(self.public_key)


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Run one call to KMS, and raise its errors as ours."""
    with aws.translated(doing):
        try:
            yield
        except ClientError as error:
            code = aws.error_code(error)
            if code == "NotFoundException":
                raise NotFound(
                    f"nothing there: {doing}", got=code, do="give the key of the deployed stack"
                ) from error
            if code in _LATER:
                raise Unavailable(
                    f"KMS did not: {doing}", got=code, do="enable the key, or wait for KMS"
                ) from error
            raise
