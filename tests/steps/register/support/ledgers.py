"""The ledger as it is stored, checked as a chain that only the worker's key signed."""

import hashlib
from base64 import b64decode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from steps.governance.documents.envelope import Envelope
from steps.governance.documents.ledger import FIRST_PREVIOUS, Entry, name
from tests.steps.register.support.register_environment import EVIDENCE, RegisterEnvironment

Entries = list[tuple[Entry, str]]


def entries(environment: RegisterEnvironment) -> Entries:
    """Return each entry with the sha256 of its stored bytes, in order; check the chain.

    Entries never change, so those that an earlier call checked are not read again.
    """
    known: Entries = environment.clients.setdefault(f"entries of {environment.ledger}", [])
    previous = known[-1][1] if known else FIRST_PREVIOUS
    key = public_key(environment)
    for stored in names(environment)[len(known) :]:
        assert stored == name(len(known) + 1), "a gap"
        content = read(environment, stored)
        envelope = Envelope.from_bytes(content, origin=stored)
        (signature,) = envelope.signatures
        key.verify(b64decode(signature.sig), envelope.signed_bytes, ec.ECDSA(SHA256()))
        entry = Entry.from_bytes(envelope.content, origin=stored)
        assert (entry.number, entry.previous_sha256) == (len(known) + 1, previous)
        previous = hashlib.sha256(content).hexdigest()
        known.append((entry, previous))
    return list(known)


def names(environment: RegisterEnvironment) -> list[str]:
    """The names of the files in the ledger's folder."""
    pages = environment.client("s3").get_paginator("list_objects_v2")
    prefix = f"{environment.ledger}/"
    return [
        item["Key"].removeprefix(prefix)
        for page in pages.paginate(Bucket=EVIDENCE, Prefix=prefix)
        for item in page.get("Contents", [])
    ]


def read(environment: RegisterEnvironment, entry: str) -> bytes:
    """The stored bytes of one file of the ledger."""
    key = f"{environment.ledger}/{entry}"
    return bytes(environment.client("s3").get_object(Bucket=EVIDENCE, Key=key)["Body"].read())


def public_key(environment: RegisterEnvironment) -> Any:
    """The worker's public key, from KMS."""
    answer = environment.client("kms").get_public_key(KeyId=environment.key_arn)
    return load_der_public_key(answer["PublicKey"])
