"""S3 says that an object is absent to nobody who may not list its bucket.

    absent.complete()        # once, before the server starts

To a reader without s3:ListBucket S3 answers 403, not 404 (S3 API Reference, GetObject and
HeadObject). ministack answers 404 to everybody, so a program that counts on the 404 would work
here and fail in an account. The condition key s3:prefix has the object's key [unverified].
"""

from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

import ministack.app as app
from ministack.core import iam_evaluator, router

Answer = tuple[int, dict[str, str], bytes]
_REFUSED = (
    b"<?xml version='1.0' encoding='UTF-8'?>"
    b"<Error><Code>AccessDenied</Code><Message>%s</Message></Error>"
)


def complete() -> None:
    """Ask IAM about the list before each 404 of an object."""
    handle = app.SERVICE_HANDLERS["s3"]

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Answer:
        answer: Answer = await handle(method, path, headers, body, query)
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        reads = method in ("GET", "HEAD") and key and not query
        if answer[0] != 404 or not reads or _may_list(bucket, key, headers):
            return answer
        about = f"s3:ListBucket on {bucket} is needed to see that {key} is absent"
        content = _REFUSED % escape(about).encode() if method == "GET" else b""
        return 403, {"Content-Type": "application/xml"}, content

    app.SERVICE_HANDLERS["s3"] = handle_request


def _may_list(bucket: str, key: str, headers: dict[str, str]) -> bool:
    """Whether the caller may; a bucket that does not exist is absent to everybody."""
    from ministack.services import s3

    if bucket not in s3._buckets:
        return True
    caller = router.extract_access_key_id(headers, {})
    arn, keys = f"arn:aws:s3:::{bucket}", {"s3:prefix": key}
    region = router.extract_region(headers, {})
    return iam_evaluator.enforce(caller, "s3:ListBucket", "s3", region, arn, keys) is None
