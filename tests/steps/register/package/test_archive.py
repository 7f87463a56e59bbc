"""The archive reader refuses every malformed or hostile archive with a typed error."""

import gzip
import io
import random
import tarfile
import zlib
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.governance.errors import IntegrityError
from steps.register.package.archive import members
from steps.register.package.artifact import ALLOWED
from tests.steps.register.support import archives

GOOD = archives.adapter_files() | {"manifest.json": b"{}"}
SMALL = dict.fromkeys(ALLOWED, 4096)


def unpack(content: bytes, allowed: Mapping[str, int] = SMALL) -> dict[str, bytes]:
    return {
        member.name: b"".join(member.chunks) for member in members(io.BytesIO(content), allowed)
    }


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_of_the_listed_files_is_read(form: int) -> None:
    assert unpack(archives.packed(GOOD, form=form, mtime=1.5)) == GOOD


def test_members_that_are_not_read_are_skipped() -> None:
    assert [member.name for member in members(io.BytesIO(archives.packed(GOOD)), SMALL)] == list(
        GOOD
    )


def one(name: str = "README.md", content: bytes = b"x", **fields: object) -> bytes:
    """A tar of one member with any header."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for field, value in fields.items():
        setattr(entry, field, value)
    padded = content + bytes(-len(content) % 512)
    return entry.tobuf(tarfile.GNU_FORMAT) + padded + bytes(1024)


def header(change: Callable[[bytearray], None], *, seal: bool = True) -> bytes:
    """A good one-file tar whose header was changed. With `seal` its checksum is right again."""
    tar = bytearray(one())
    change(tar)
    if seal:
        total = sum(tar[:148]) + 8 * 32 + sum(tar[156:512])
        tar[148:156] = b"%06o\0 " % total
    return bytes(tar)


def pax(record: bytes) -> bytes:
    extended = one("PaxHeaders/x", record, type=b"x")[:-1024]
    return extended + one()


BAD = {
    "an unlisted name": one("model.pkl"),
    "a path upwards": one("../README.md"),
    "an absolute path": one("/README.md"),
    "a path below": one("sub/README.md"),
    "a leading dot": one("./README.md"),
    "other case": one("readme.md"),
    "a name with a line break": one("README.md\n"),
    "a name of bytes": header(lambda tar: tar.__setitem__(slice(0, 3), b"\xff\xfe\xfd")),
    "bytes behind the name's end": header(lambda tar: tar.__setitem__(slice(20, 24), b"evil")),
    "a directory": one("README.md", b"", type=tarfile.DIRTYPE),
    "a symbolic link": one("README.md", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": one("README.md", b"", type=tarfile.LNKTYPE, linkname="report.json"),
    "a regular file with a link's target": header(
        lambda tar: tar.__setitem__(slice(157, 161), b"/etc")
    ),
    "a character device": one("README.md", b"", type=tarfile.CHRTYPE),
    "a block device": one("README.md", b"", type=tarfile.BLKTYPE),
    "a pipe": one("README.md", b"", type=tarfile.FIFOTYPE),
    "a contiguous file": one("README.md", type=tarfile.CONTTYPE),
    "a sparse file": one("README.md", type=tarfile.GNUTYPE_SPARSE),
    "a GNU long name": one("././@LongLink", b"README.md\0", type=tarfile.GNUTYPE_LONGNAME) + one(),
    "a GNU long link": one("././@LongLink", b"/etc\0", type=tarfile.GNUTYPE_LONGLINK) + one(),
    "an unknown type": one("README.md", type=b"Z"),
    "a PAX global header": one("x", b"13 mtime=1.5\n", type=b"g")[:-1024] + one(),
    "a PAX header that renames": pax(b"22 path=../../../evil\n"),
    "a PAX header that resizes": pax(b"13 size=9999\n"),
    "a PAX header that links": pax(b"20 linkpath=/etc/pa\n"),
    "a PAX header of GNU sparse": pax(b"22 GNU.sparse.major=1\n"),
    "a PAX header with a wrong length": pax(b"99 mtime=1.5\n"),
    "a PAX header without length": pax(b"mtime=1.5\n"),
    "two PAX headers in a row": one("p", b"13 mtime=1.5\n", type=b"x")[:-1024]
    + pax(b"13 mtime=1.5\n"),
    "a huge PAX header": one("p", bytes(70_000), type=b"x"),
    "the same file twice": one()[:-1024] + one(),
    "a file larger than the list allows": one("README.md", bytes(5000)),
    "a size in base 256": header(
        lambda tar: tar.__setitem__(slice(124, 136), b"\x80" + bytes(10) + b"\x01")
    ),
    "a negative size": header(lambda tar: tar.__setitem__(slice(124, 136), b"-0000000001\0")),
    "a size that is not a number": header(
        lambda tar: tar.__setitem__(slice(124, 136), b"99999999999\0")
    ),
    "a wrong checksum": header(lambda tar: tar.__setitem__(0, 82 + 1), seal=False),
    "a directory prefix": header(lambda tar: tar.__setitem__(slice(345, 349), b"sub/")),
    "an old tar": header(lambda tar: tar.__setitem__(slice(257, 265), bytes(8))),
    "bytes in the padding": header(lambda tar: tar.__setitem__(600, 1), seal=False),
    "one end block": one()[:-512],
    "no end blocks": one()[:-1024],
    "cut in the middle of a file": one("README.md", bytes(2000))[:1200],
    "a file after the end": one() + one("report.json"),
    "data after the end": one() + b"evil",
    "endless zeros": one() + bytes(100_000),
    "nothing": b"",
}


@pytest.mark.parametrize("bad", BAD, ids=list(BAD))
def test_a_bad_archive_is_refused(bad: str) -> None:
    with pytest.raises(IntegrityError, match="the model archive was refused"):
        unpack(gzip.compress(BAD[bad]))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        one(),
        zlib.compress(one()),
        gzip.compress(one())[:-9],
        gzip.compress(one())[:-4] + b"\0\0\0\0",
        gzip.compress(one()) + b"x",
        gzip.compress(one()) + gzip.compress(one("report.json")),
    ],
    ids=[
        "empty",
        "zip",
        "tar",
        "zlib",
        "cut",
        "wrong length",
        "trailing byte",
        "second gzip member",
    ],
)
def test_anything_but_one_gzip_stream_is_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError, match="the model archive was refused"):
        unpack(content)


def test_a_bomb_is_refused_before_it_unfolds() -> None:
    bomb = gzip.compress(one("README.md", bytes(50 * 1024 * 1024), size=8**11 - 1), 9)
    assert len(bomb) < 300_000
    with pytest.raises(IntegrityError, match=r"too large"):
        unpack(bomb, ALLOWED | {"README.md": 1 << 20})
    with pytest.raises(IntegrityError, match=r"decompresses to too much|after the end marker"):
        unpack(gzip.compress(one() + bytes(50 * 1024 * 1024), 9))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_mutated_archive_is_read_or_refused(seed: int) -> None:
    """Of a good tar, bytes are changed, cut or doubled: the reader returns listed names only."""
    chance = random.Random(seed)  # noqa: S311
    tar = bytearray(archives.tar(GOOD))
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(tar))
        match chance.randrange(3):
            case 0:
                tar[start] = chance.randrange(256)
            case 1:
                del tar[start : start + chance.randint(1, 600)]
            case _:
                tar[start:start] = tar[start : start + 512]
    try:
        found = unpack(gzip.compress(bytes(tar), 1))
    except IntegrityError:
        return
    assert found.keys() <= ALLOWED.keys()
