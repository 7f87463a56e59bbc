"""Malformed and hostile model archives, by the reason that each one is refused with.

    for reason, cases in (TARS | STREAMS).items(): …

`TARS` are tar archives that the caller compresses; `STREAMS` are not one gzip stream.
"""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable


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


def put(at: int, data: bytes, *, seal: bool = True) -> bytes:
    """A good one-file tar with these bytes in its header."""
    return header(lambda tar: tar.__setitem__(slice(at, at + len(data)), data), seal=seal)


def pax(record: bytes) -> bytes:
    """A PAX header of these bytes, then a good file."""
    return one("PaxHeaders/x", record, type=b"x")[:-1024] + one()


def pax_record(keyword: bytes, value: bytes = b"x") -> bytes:
    """A PAX header of one well-formed record."""
    rest = b" " + keyword + b"=" + value + b"\n"
    length = next(n for n in range(len(rest), len(rest) + 9) if len(b"%d" % n) + len(rest) == n)
    return pax(b"%d" % length + rest)


def with_dictionary(content: bytes) -> bytes:
    """A zlib stream that needs a dictionary."""
    compressing = zlib.compressobj(zdict=b"README")
    return compressing.compress(content) + compressing.flush()


TARS: dict[str, dict[str, bytes]] = {
    "a file that does not belong there": {
        "an unlisted name": (one("model.pkl")),
        "a path upwards": (one("../README.md")),
        "an absolute path": (one("/README.md")),
        "a path below": (one("sub/README.md")),
        "a leading dot": (one("./README.md")),
        "other case": (one("readme.md")),
        "a name with a line break": (one("README.md\n")),
        "a name of bytes": (header(lambda tar: tar.__setitem__(slice(0, 3), b"\xff\xfe\xfd"))),
        "a path with backslashes": (one("..\\README.md")),
        "a drive": (one("C:README.md")),
        "a trailing slash": (one("README.md/")),
        "a trailing space": (one("README.md ")),
        "a trailing dot": (one("README.md.")),
        "two leading slashes": (one("//README.md")),
        "the folder itself": (one(".")),
        "the folder above": (one("..")),
        "no name": (put(0, bytes(9))),
        "a name with a tab": (one("README\t.md")),
        "a name with another letter": (put(0, "README.m\u0501".encode()[:100])),
        "a percent-encoded path": (one("..%2fREADME.md")),
        "code": (one("evil.py")),
        "a hidden file": (one(".README.md")),
    },
    "bytes hidden behind a name": {
        "bytes behind the name's end": (
            header(lambda tar: tar.__setitem__(slice(20, 24), b"evil"))
        ),
    },
    "a member of another type": {
        "a directory": (one("README.md", b"", type=tarfile.DIRTYPE)),
        "a character device": (one("README.md", b"", type=tarfile.CHRTYPE)),
        "a block device": (one("README.md", b"", type=tarfile.BLKTYPE)),
        "a pipe": (one("README.md", b"", type=tarfile.FIFOTYPE)),
        "a contiguous file": (one("README.md", type=tarfile.CONTTYPE)),
        "a sparse file": (one("README.md", type=tarfile.GNUTYPE_SPARSE)),
        "a GNU long name": (
            one("././@LongLink", b"README.md\0", type=tarfile.GNUTYPE_LONGNAME) + one()
        ),
        "a GNU long link": (one("././@LongLink", b"/etc\0", type=tarfile.GNUTYPE_LONGLINK) + one()),
        "an unknown type": (one("README.md", type=b"Z")),
        "a PAX global header": (one("x", b"13 mtime=1.5\n", type=b"g")[:-1024] + one()),
        "a volume header": (one("README.md", type=b"V")),
        "a file of several volumes": (one("README.md", type=b"M")),
        "a list of a folder": (one("README.md", type=b"D")),
        "an old long name": (one("README.md", type=b"N")),
        "a Solaris header": (one("README.md", type=b"X")),
        "a Solaris access list": (one("README.md", type=b"A")),
        "an inode": (one("README.md", type=b"I")),
    },
    "a link or a path": {
        "a symbolic link": (one("README.md", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")),
        "a hard link": (one("README.md", b"", type=tarfile.LNKTYPE, linkname="report.json")),
        "a regular file with a link's target": (
            header(lambda tar: tar.__setitem__(slice(157, 161), b"/etc"))
        ),
        "a directory prefix": (header(lambda tar: tar.__setitem__(slice(345, 349), b"sub/"))),
        "a prefix without a slash": (put(345, b"s")),
        "a time in the prefix": (put(345, b"00000000000\0")),
    },
    "a PAX header that renames or resizes": {
        "a PAX header that renames": (pax(b"22 path=../../../evil\n")),
        "a PAX header that resizes": (pax(b"13 size=9999\n")),
        "a PAX header that links": (pax(b"20 linkpath=/etc/pa\n")),
        "a PAX header of GNU sparse": (pax(b"22 GNU.sparse.major=1\n")),
        "a PAX header of another charset": (pax_record(b"hdrcharset", b"BINARY")),
        "a PAX header with an attribute": (pax_record(b"SCHILY.xattr.user.x")),
        "a PAX header with an access list": (pax_record(b"SCHILY.acl.access")),
        "a PAX header with another attribute": (pax_record(b"LIBARCHIVE.xattr.user.x")),
        "a PAX header of a sparse name": (pax_record(b"GNU.sparse.name", b"evil")),
        "a PAX header of a real size": (pax_record(b"GNU.sparse.realsize", b"9")),
        "a PAX header with an unknown word": (pax_record(b"mtimes")),
        "a PAX header with bytes for a word": (pax_record(b"\xff\x00")),
    },
    "a damaged PAX header": {
        "a PAX header with a wrong length": (pax(b"99 mtime=1.5\n")),
        "a PAX header without length": (pax(b"mtime=1.5\n")),
        "a PAX header with a leading zero": (pax(b"013 mtime=1.5\n")),
        "a PAX header of length zero": (pax(b"0 mtime=1.5\n")),
        "a PAX header with half a record": (pax(b"13 mtime=1.5\n9 mt")),
    },
    "headers without a file": {
        "two PAX headers in a row": (
            one("p", b"13 mtime=1.5\n", type=b"x")[:-1024] + pax(b"13 mtime=1.5\n")
        ),
        "a PAX header without a file": (one("p", b"13 mtime=1.5\n", type=b"x")),
    },
    "a PAX header is too large": {
        "a huge PAX header": (one("p", bytes(70_000), type=b"x")),
    },
    "the same file twice": {
        "the same file twice": (one()[:-1024] + one()),
    },
    "README.md is too large": {
        "a file larger than the list allows": (one("README.md", bytes(5000))),
        "a size of the largest file and one byte": (one("README.md", bytes(4097))),
    },
    "a damaged header": {
        "a size in base 256": (
            header(lambda tar: tar.__setitem__(slice(124, 136), b"\x80" + bytes(10) + b"\x01"))
        ),
        "a negative size": (header(lambda tar: tar.__setitem__(slice(124, 136), b"-0000000001\0"))),
        "a size that is not a number": (
            header(lambda tar: tar.__setitem__(slice(124, 136), b"99999999999\0"))
        ),
        "a wrong checksum": (header(lambda tar: tar.__setitem__(0, 82 + 1), seal=False)),
        "a size of nothing": (put(124, b" " * 12)),
        "a size with a space in it": (put(124, b"0000 000001\0")),
        "a hexadecimal size": (put(124, b"0000000000a\0")),
        "a checksum of nothing": (put(148, b" " * 8, seal=False)),
        "a checksum in base 256": (put(148, b"\x80" + bytes(7), seal=False)),
    },
    "an old or foreign tar format": {
        "an old tar": (header(lambda tar: tar.__setitem__(slice(257, 265), bytes(8)))),
        "another tar's magic": (put(257, b"USTAR\0")),
    },
    "bytes hidden in a member's padding": {
        "bytes in the padding": (header(lambda tar: tar.__setitem__(600, 1), seal=False)),
    },
    "it ends too early": {
        "one end block": (one()[:-512]),
        "no end blocks": (one()[:-1024]),
        "cut in the middle of a file": (one("README.md", bytes(2000))[:1200]),
        "nothing": (b""),
        "half a header": (one()[:256]),
    },
    "data after the end marker": {
        "a file after the end": (one() + one("report.json")),
        "data after the end": (one() + b"evil"),
        "endless zeros": (one() + bytes(100_000)),
        "only end blocks and data": (bytes(1024) + b"evil"),
    },
}

STREAMS: dict[str, dict[str, bytes]] = {
    "not gzip, or damaged": {
        "bzip2": (bz2.compress(one())),
        "xz": (lzma.compress(one())),
        "raw deflate": (zlib.compress(one(), wbits=-15)),
        "a wrong checksum of gzip": (
            gzip.compress(one())[:-8] + bytes(4) + gzip.compress(one())[-4:]
        ),
        "another method": (b"\x1f\x8b\x07" + gzip.compress(one())[3:]),
        "reserved flags": (b"\x1f\x8b\x08\xe0" + gzip.compress(one())[4:]),
        "a byte before": (b"x" + gzip.compress(one())),
        "a preset dictionary of zlib": (with_dictionary(one())),
        "zip": (b"PK\x03\x04"),
        "tar": (one()),
        "zlib": (zlib.compress(one())),
        "a wrong length of gzip": (gzip.compress(one())[:-4] + b"\0\0\0\0"),
    },
    "it ends too early": {
        "gzip in gzip": (gzip.compress(gzip.compress(one()))),
        "a header of gzip only": (gzip.compress(one())[:10]),
        "empty": (b""),
        "a cut trailer": (gzip.compress(one())[:-9]),
    },
    "data after the gzip stream": {
        "a trailing byte": (gzip.compress(one()) + b"x"),
        "a second gzip member": (gzip.compress(one()) + gzip.compress(one("report.json"))),
    },
}
