"""The schema of a signed document: a DSSE envelope [https://github.com/secure-systems-lab/dsse].

The signature covers the payload's type and bytes, so neither can be exchanged. The verifier must
know the public key already; `keyid` only names the key to try.
"""

import base64
from typing import Annotated, Self

from pydantic import Field

from steps.governance.documents.document import Manifest, Part

IN_TOTO = "application/vnd.in-toto+json"
_Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$")]


class Signature(Part):
    """One signature: the sha256 of the public key (DER), and ECDSA P-256 over SHA-256 (DER)."""

    keyid: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    sig: _Base64


class Envelope(Manifest):
    """A payload of any type, and its signatures."""

    payload: _Base64
    payload_type: str = Field(alias="payloadType")
    signatures: Annotated[list[Signature], Field(min_length=1)]

    @classmethod
    def of(cls, payload: bytes, payload_type: str, *signatures: Signature) -> Self:
        """Return the envelope of some bytes."""
        return cls(
            payload=base64.b64encode(payload).decode(),
            payloadType=payload_type,
            signatures=list(signatures),
        )

    @property
    def content(self) -> bytes:
        """The payload's bytes."""
        return base64.b64decode(self.payload, validate=True)

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that a signature covers: DSSE's pre-authentication encoding."""
        return signed_bytes(self.content, self.payload_type)


def signed_bytes(payload: bytes, payload_type: str) -> bytes:
    """Return DSSE's pre-authentication encoding of a payload: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
