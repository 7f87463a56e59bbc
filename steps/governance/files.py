"""Names and digests of stored files: the sha256 of a local file, bucket and key of an S3 URI."""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from steps.governance.errors import UsageError


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes as 64 hex digits, reading the file in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of `s3://bucket/key`.

    Raises:
        UsageError: another scheme, no bucket, no key, a query or a fragment.
    """
    parts = urlsplit(uri)
    plain = not parts.query and not parts.fragment
    if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/") or not plain:
        raise UsageError(
            "a storage URI was refused", expected="s3://bucket/key", got=repr(uri)[:200]
        )
    return parts.netloc, parts.path.lstrip("/")
