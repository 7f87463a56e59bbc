"""The signature of an adapter's files, by a key of this process instead of KMS."""

import base64
import hashlib
import json
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from steps.governance.documents.envelope import IN_TOTO, Envelope, Signature, signed_bytes
from steps.register.signing.model_signature import statement
from tests.steps.register.support import archives


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_key(private: ec.EllipticCurvePrivateKey | None = None) -> str:
    """Base64 of the public key's DER, as conf has it."""
    public = (private or key()).public_key()
    return base64.b64encode(_der(public)).decode()


def signature(files: dict[str, bytes]) -> bytes:
    """The content of model.sig for these files."""
    payload = statement(archives.entries(files), name="edgar.models.tiny")
    keyid = hashlib.sha256(_der(key().public_key())).hexdigest()
    sig = key().sign(signed_bytes(payload, IN_TOTO), ec.ECDSA(SHA256()))
    signed = Signature(keyid=keyid, sig=base64.b64encode(sig).decode())
    envelope = json.loads(Envelope.of(payload, IN_TOTO, signed).to_bytes())
    return json.dumps({"dsseEnvelope": envelope}).encode()


def _der(public: ec.EllipticCurvePublicKey) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
