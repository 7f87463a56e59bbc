"""Storage URLs: one spelling, and which of two contains the other. Pure functions."""

from __future__ import annotations

import re

from pipeline.local.workspace.errors import InvalidParameter

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9!_.=@ :+-]+)*)/?")


def normalize(url: str) -> str:
    """`s3://bucket/prefix` without a trailing slash.

    Characters that have a meaning in an IAM policy's patterns are refused, because the prefix
    becomes part of a policy.
    """
    match = _URL.fullmatch(url or "")
    if match is None or any(part in (".", "..") for part in match[2].split("/")):
        raise InvalidParameter(
            f"'{url}' is not a storage URL: expected s3://bucket/prefix without wildcards."
        )
    return f"s3://{match[1]}{match[2]}"


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """Return (bucket, prefix) of a normalized URL; a bucket's own prefix is empty."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return bucket, prefix


def contains(outer: str, inner: str) -> bool:
    """Return whether inner is outer or is below it."""
    return inner == outer or inner.startswith(outer + "/")


def overlaps(one: str, other: str) -> bool:
    """Return whether one of two URLs contains the other."""
    return contains(one, other) or contains(other, one)
