"""Whole objects of S3: a body that was cut short is never taken for the object.

    content = read_whole(s3.get_object(Bucket=bucket, Key=key), limit=64 << 20)

`body.read(size)` of botocore checks neither the length nor the checksum when it gets fewer bytes
than it asked for: both checks are made at the end of the stream. So the body is read to its end,
and the bytes are counted. A short read raises one of botocore's errors, as a lost answer does, and
the caller reads again. Only the bytes of a whole object are compared with anything, so nothing
else is ever called altered.
"""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import (
    FlexibleChecksumError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from urllib3.exceptions import HTTPError

# What botocore raises for an answer of which not every byte arrived as it was sent
CUT = (IncompleteReadError, ResponseStreamingError, FlexibleChecksumError, ReadTimeoutError)
_CHUNK_BYTES = 1 << 20


class TooLarge(ValueError):
    """The object is larger than the caller reads."""


class WholeBody:
    """The body of a GetObject answer, as a stream with `read(size)` that ends only where it should.

    `size` is the object's length if it is known from elsewhere. A store or a proxy that repeats a
    cut answer with a new Content-Length is noticed by it.
    """

    def __init__(self, answer: Mapping[str, Any], *, size: int | None = None) -> None:
        self._body, self._read = answer["Body"], 0
        self._size = int(answer["ContentLength"]) if size is None else size

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end.

        Raises:
            BotoCoreError: the answer was cut short, or its checksum differs.
        """
        try:
            chunk = bytes(self._body.read(size))
        except (HTTPError, OSError) as error:  # a broken connection that botocore passes on
            raise ResponseStreamingError(error=error) from error
        self._read += len(chunk)
        if not chunk and size and self._read < self._size:
            raise IncompleteReadError(actual_bytes=self._read, expected_bytes=self._size)
        return chunk


def read_whole(answer: Mapping[str, Any], *, limit: int) -> bytes:
    """Return the object's bytes.

    Raises:
        TooLarge: there are more than `limit`.
        BotoCoreError: the answer was cut short, or its checksum differs.
    """
    if int(answer["ContentLength"]) > limit:
        answer["Body"].close()
        raise TooLarge
    body, parts = WholeBody(answer), []
    while chunk := body.read(_CHUNK_BYTES):
        parts.append(chunk)
    return b"".join(parts)
