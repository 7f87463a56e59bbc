"""One way to write JSON that is hashed or signed: RFC 8785, so equal content has equal bytes."""

import hashlib
from typing import Any

import rfc8785


def dumps(document: dict[str, Any]) -> bytes:
    """The canonical bytes of a JSON document."""
    return rfc8785.dumps(document)


def sha256(content: bytes) -> str:
    """The sha256 of some bytes, as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()
