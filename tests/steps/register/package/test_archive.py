"""The archive reader refuses every malformed or hostile archive with a typed error."""

import gzip
import io
import random
import tarfile
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.governance.errors import IntegrityError
from steps.register.package.archive import members
from steps.register.package.artifact import ALLOWED
from tests.steps.register.support import archives
from tests.steps.register.support.hostile_archives import STREAMS, TARS, one

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


TAR_CASES = [(reason, name) for reason, cases in TARS.items() for name in cases]
STREAM_CASES = [(reason, name) for reason, cases in STREAMS.items() for name in cases]


def test_there_are_at_least_91_bad_archives() -> None:
    names = [name for _, name in TAR_CASES + STREAM_CASES]
    contents = [case for cases in (TARS | STREAMS).values() for case in cases.values()]
    assert len(set(names)) == len(names) >= 91
    assert len(set(contents)) == len(contents)


@pytest.mark.parametrize(("reason", "name"), TAR_CASES)
def test_a_bad_archive_is_refused_with_one_reason(reason: str, name: str) -> None:
    with pytest.raises(IntegrityError) as refusal:
        unpack(gzip.compress(TARS[reason][name]))
    assert str(refusal.value).startswith(f"the model archive was refused: {reason}\n")


@pytest.mark.parametrize(("reason", "name"), STREAM_CASES)
def test_anything_but_one_gzip_stream_is_refused(reason: str, name: str) -> None:
    with pytest.raises(IntegrityError) as refusal:
        unpack(STREAMS[reason][name])
    assert str(refusal.value).startswith(f"the model archive was refused: {reason}\n")


def test_a_bomb_is_refused_before_it_unfolds() -> None:
    bomb = gzip.compress(one("README.md", bytes(50 * 1024 * 1024), size=8**11 - 1), 9)
    assert len(bomb) < 300_000
    with pytest.raises(IntegrityError, match=r"too large"):
        unpack(bomb, ALLOWED | {"README.md": 1 << 20})
    with pytest.raises(IntegrityError, match=r"decompresses to too much|after the end marker"):
        unpack(gzip.compress(one() + bytes(50 * 1024 * 1024), 9))


@settings(max_examples=200)
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
