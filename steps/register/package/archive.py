"""Read a tar.gz archive from an untrusted source, member by member.

    for member in members(stream, allowed={"adapter_config.json": 1 << 20}):
        for chunk in member.chunks: …

Nothing is extracted to paths that the archive names. Only regular files are accepted. Each name
must be in `allowed`, may occur once, and the file may not be larger than `allowed` permits. The sum
of all bytes is bounded during decompression. Only zeros may follow the end marker, and no byte may
follow the gzip trailer. PAX headers, which Python and Go write for times, must not rename or resize
a file.

Python's tarfile is not used: in streaming mode it accepts truncated archives, wrong gzip checksums,
data after the end marker, GNU base-256 sizes, PAX global headers and bytes in the padding.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from steps.governance.errors import IntegrityError

_BLOCK = 512  # bytes; a tar header, and the unit of padding
_READ = 1 << 20  # bytes per read
_MAX_PAX = 1 << 16  # bytes of one PAX header
_MAX_PADDING = 1 << 16  # bytes of zeros after the end marker; tar pads to 10 KiB records
_GZIP = 16 + zlib.MAX_WBITS
# PAX keywords for times and owners; none of them changes a name, a link or a size
_HARMLESS_PAX = re.compile(
    r"(mtime|atime|ctime|uid|gid|uname|gname|comment|LIBARCHIVE\.creationtime)"
)


class Source(Protocol):
    """Anything with `read(size)`."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


@dataclass(frozen=True)
class Member:
    """One regular file: its name, its size in bytes, and its content.

    The content must be read before the next member.
    """

    name: str
    size: int
    chunks: Iterator[bytes]


def members(stream: Source, allowed: Mapping[str, int]) -> Iterator[Member]:
    """Iterate over the archive's files, in order.

    Args:
        stream: the compressed bytes.
        allowed: the names that may occur, each with its largest size in bytes.

    Raises:
        IntegrityError: anything but an archive of some of these files.
    """
    content = _Inflated(
        stream,
        limit=sum(allowed.values()) + (len(allowed) + 1) * (_MAX_PAX + 8 * _BLOCK) + _MAX_PADDING,
    )
    seen: set[str] = set()
    while (header := _next_header(content, room=len(allowed) - len(seen))) is not None:
        name, size = header
        _check_member(name, size, allowed=allowed, seen=seen)
        seen.add(name)
        chunks = _body(content, size)
        yield Member(name, size, chunks)
        for _ in chunks:  # read what the caller did not
            pass
        if any(content.exactly(-size % _BLOCK)):
            raise refused("bytes hidden in a member's padding", "zeros", "other bytes")
    _check_end(content)


def refused(what: str, expected: str, got: str) -> IntegrityError:
    """Return the error for every refused archive."""
    return IntegrityError(
        f"the model archive was refused: {what}",
        expected=expected,
        got=got,
        do="find out who wrote it; train again",
    )


def _check_member(name: str, size: int, *, allowed: Mapping[str, int], seen: set[str]) -> None:
    if name not in allowed:
        raise refused(
            "a file that does not belong there",
            f"one of {', '.join(sorted(allowed))}",
            ascii(name)[:120],
        )
    if name in seen:
        raise refused("the same file twice", f"{name} once", "a second one")
    if size > allowed[name]:
        raise refused(f"{name} is too large", f"at most {allowed[name]} bytes", f"{size} bytes")


def _next_header(content: "_Inflated", *, room: int) -> tuple[str, int] | None:
    """Return name and size of the next regular file, or None at the end marker.

    `room` is how many more files may follow; with none, a PAX header is refused too.
    """
    for described in (False, True) if room else (False,):
        block = content.exactly(_BLOCK)
        if not any(block) and not described:
            return None
        if not any(block):
            break
        kind, name, size = _parse_header(block)
        if kind in (b"0", b"\0"):
            return name, size
        _skip_pax(content, kind, size)
    raise refused("headers without a file", "a PAX header, then its file", "another header")


def _parse_header(block: bytes) -> tuple[bytes, str, int]:
    checksum = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if _octal(block[148:156]) != checksum:
        raise refused("a damaged header", f"checksum {checksum}", "another one")
    if block[257:262] != b"ustar":
        raise refused("an old or foreign tar format", "ustar, PAX or GNU", ascii(block[257:265]))
    if any(block[157:257]) or any(block[345:500]):
        raise refused(
            "a link or a path", "a plain file name", "a link target or a directory prefix"
        )
    raw_name, _, rest = block[:100].partition(b"\0")
    if any(rest):
        raise refused("bytes hidden behind a name", "zeros", "other bytes")
    return block[156:157], raw_name.decode("ascii", "backslashreplace"), _octal(block[124:136])


def _octal(digits: bytes) -> int:
    text = digits.strip(b" \0")
    if not re.fullmatch(rb"[0-7]{1,12}", text):
        raise refused("a damaged header", "an octal number", ascii(digits))
    return int(text, 8)


def _skip_pax(content: "_Inflated", kind: bytes, size: int) -> None:
    if kind != b"x":
        raise refused("a member of another type", "regular files only", f"tar type {kind!a}")
    if size > _MAX_PAX:
        raise refused("a PAX header is too large", f"at most {_MAX_PAX} bytes", f"{size} bytes")
    records = content.exactly(size + -size % _BLOCK)[:size]
    while records:
        length, _, _ = records.partition(b" ")
        if not re.fullmatch(rb"[1-9][0-9]{0,4}", length) or not len(length) + 1 < int(
            length
        ) <= len(records):
            raise refused(
                "a damaged PAX header", "records of the form 'length key=value'", "other bytes"
            )
        keyword = (
            records[len(length) + 1 : int(length)]
            .partition(b"=")[0]
            .decode("ascii", "backslashreplace")
        )
        if not _HARMLESS_PAX.fullmatch(keyword):
            raise refused(
                "a PAX header that renames or resizes", "times and owners only", ascii(keyword)[:60]
            )
        records = records[int(length) :]


def _body(content: "_Inflated", size: int) -> Iterator[bytes]:
    while size:
        chunk = content.exactly(min(size, _READ))
        size -= len(chunk)
        yield chunk


def _check_end(content: "_Inflated") -> None:
    """Check that only zeros follow the first block of zeros, at least one block of them."""
    rest = content.exactly(_BLOCK) + content.rest(_MAX_PADDING)
    if any(rest):
        raise refused("data after the end marker", "zeros", "other bytes")


class _Inflated:
    """One gzip stream, decompressed on demand, and never to more than `limit` bytes."""

    def __init__(self, stream: Source, *, limit: int) -> None:
        self._stream, self._left = stream, limit
        self._inflater = zlib.decompressobj(_GZIP)
        self._buffer, self._compressed = b"", b""

    def exactly(self, size: int) -> bytes:
        """Return the next `size` bytes. An archive that ends before is refused."""
        parts, missing = [self._buffer[:size]], size - len(self._buffer)
        self._buffer = self._buffer[size:]
        while missing > 0:
            chunk = self._more()
            if not chunk:
                raise refused("it ends too early", "a whole archive", "a truncated one")
            parts.append(chunk[:missing])
            self._buffer, missing = chunk[missing:], missing - len(chunk)
        return b"".join(parts)

    def rest(self, limit: int) -> bytes:
        """Return the remaining bytes, and check that file and gzip stream end together."""
        rest = self._buffer
        while len(rest) <= limit and (chunk := self._more()):
            rest += chunk
        if len(rest) > limit:
            raise refused("data after the end marker", f"at most {limit} bytes of zeros", "more")
        if self._inflater.unused_data or self._compressed or self._stream.read(1):
            raise refused("data after the gzip stream", "the end of the file", "more bytes")
        return rest

    def _more(self) -> bytes:
        """Return some decompressed bytes; none at the end of the gzip stream."""
        while not self._inflater.eof:
            if not self._compressed:
                self._compressed = self._stream.read(_READ)
                if not self._compressed:
                    raise refused("it ends too early", "a whole gzip stream", "a truncated one")
            try:
                chunk = self._inflater.decompress(self._compressed, _READ)
            except zlib.error:
                raise refused("not gzip, or damaged", "one gzip stream", "other bytes") from None
            self._compressed = self._inflater.unconsumed_tail
            self._left -= len(chunk)
            if self._left < 0:
                raise refused(
                    "it decompresses to too much", "no more than the allowed files need", "more"
                )
            if chunk:
                return chunk
        return b""
