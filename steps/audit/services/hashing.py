"""The sha256 and size of streams and of the members of a tar.gz stream, in bounded memory.

    digest(store.chunks(uri))                      # Digest(sha256, size)
    archive(store.chunks(uri), {"a.json": 12})     # its own digest, and that of each member

Nothing is extracted. Each member must be a regular file that is expected, with the expected size,
so no archive can make this read or hold more than was recorded. hashlib releases the interpreter's
lock, so two threads use two cores.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, cast

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Digest:
    """The sha256 (64 hex digits) and the size in bytes of a stream."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Archive:
    """The digest of an archive's own bytes and of each member; `fault` ended the reading."""

    own: Digest
    members: Mapping[str, Digest]
    fault: str = ""


def digest(chunks: Iterable[bytes]) -> Digest:
    """Return the digest of a stream."""
    sha256, size = hashlib.sha256(), 0
    for chunk in chunks:
        sha256.update(chunk)
        size += len(chunk)
    return Digest(sha256.hexdigest(), size)


def archive(chunks: Iterator[bytes], expected: Mapping[str, int]) -> Archive:
    """Return the digests of a tar.gz and of its members, in one pass over the compressed bytes.

    Args:
        chunks: the compressed bytes.
        expected: the members' names and sizes in bytes.
    """
    stream = _Hashed(chunks)
    members: dict[str, Digest] = {}
    fault = ""
    try:
        with tarfile.open(
            fileobj=cast(IO[bytes], stream), mode="r|gz", bufsize=CHUNK_BYTES
        ) as found:
            for member in found:
                if fault := _refusal(member, expected, members):
                    break
                file = found.extractfile(member)
                if file is None:
                    fault = f"{member.name!a} cannot be read"
                    break
                members[member.name] = digest(_chunks(file))
    except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        fault = f"not a whole tar.gz: {type(error).__name__}"
    stream.drain()
    return Archive(stream.digest, members, fault)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _refusal(
    member: tarfile.TarInfo, expected: Mapping[str, int], seen: Mapping[str, Digest]
) -> str:
    name = ascii(member.name)[:80]
    if not member.isreg() or member.issparse():
        return f"{name} is not a regular file"
    if member.name not in expected:
        return f"{name} is not recorded"
    if member.name in seen:
        return f"{name} is there twice"
    if member.size != expected[member.name]:
        return f"{name} has {member.size} bytes, recorded are {expected[member.name]}"
    return ""


class _Hashed:
    """A readable stream over chunks that hashes what passes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, b""
        self._sha256, self._size = hashlib.sha256(), 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none at the end."""
        if not self._left:
            self._left = next(self._chunks, b"")
            self._sha256.update(self._left)
            self._size += len(self._left)
        found, self._left = self._left[:size], self._left[size:]
        return found

    def drain(self) -> None:
        """Read what is left, so that the digest is that of the whole stream."""
        self._left = b""
        while self.read(CHUNK_BYTES):
            self._left = b""

    @property
    def digest(self) -> Digest:
        """The digest of what was read."""
        return Digest(self._sha256.hexdigest(), self._size)
