"""The list of filings: sorted and the same bytes for the same rows; anything else is refused."""

import hashlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steps.governance.documents import membership
from steps.governance.errors import IntegrityError


def rows(*identities: str) -> pa.Table:
    digests = [hashlib.sha256(each.encode()).digest() for each in identities]
    return pa.table(
        {
            "filing_id": list(identities),
            "cik": [each.partition("/")[0] for each in identities],
            "text_sha256": digests,
            "examples_train": [3] * len(identities),
            "examples_eval": [0] * len(identities),
        },
        schema=membership.SCHEMA,
    )


GOOD = rows("0000000001/0000000001-20-000001", "0000000002/0000000002-20-000001")


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **({"store_schema": False} | options))
    return bytes(sink.getvalue())


def test_the_bytes_depend_on_the_rows_only_and_name_the_file() -> None:
    content = membership.to_bytes(GOOD)
    assert membership.to_bytes(GOOD.take([1, 0])) == content
    assert membership.read(content, origin="here") == GOOD
    assert membership.name(content) == f"membership-{hashlib.sha256(content).hexdigest()}.parquet"
    entry = membership.entry(content, 2)
    assert (entry.path, entry.size, entry.rows) == (membership.name(content), len(content), 2)
    assert entry.sha256 == hashlib.sha256(content).hexdigest()


def test_many_filings_fit_a_document_and_no_filing_is_a_table_too() -> None:
    many = rows(*(f"{n:010}/{n:010}-20-{n:06}" for n in range(20_000)))
    assert len(membership.to_bytes(many)) / 20_000 < 64 * 2**20 / 1_000_000
    none = membership.read(membership.to_bytes(rows()), origin="here")
    assert none.num_rows == 0


def with_column(name: str, values: Any) -> bytes:
    return parquet(GOOD.set_column(GOOD.schema.get_field_index(name), name, values))


TRUNCATED = membership.to_bytes(GOOD)[:-9]
OTHERS: dict[str, Callable[[], bytes]] = {
    "another column": lambda: parquet(GOOD.append_column("text", pa.array(["a", "b"]))),
    "a column less": lambda: parquet(GOOD.drop_columns(["examples_eval"])),
    "columns in another order": lambda: parquet(GOOD.select(GOOD.schema.names[::-1])),
    "a wider count": lambda: with_column("examples_train", pa.array([3, 3], pa.int64())),
    "a digest as text": lambda: with_column("text_sha256", pa.array(["a", "b"])),
    "a shorter digest": lambda: with_column("text_sha256", pa.array([b"a", b"b"], pa.binary(1))),
    "a null": lambda: with_column("cik", pa.array(["1", None])),
    "out of order": lambda: parquet(GOOD.take([1, 0])),
    "a filing twice": lambda: parquet(GOOD.take([0, 0])),
    "without an example": lambda: with_column("examples_train", pa.array([3, 0], pa.int32())),
    "a negative count": lambda: with_column("examples_train", pa.array([3, -1], pa.int32())),
    "truncated": lambda: TRUNCATED,
    "no Parquet": lambda: b"PAR1 nothing PAR1",
    "empty": lambda: b"",
}


@pytest.mark.parametrize("other", sorted(OTHERS))
def test_anything_else_is_refused(other: str) -> None:
    with pytest.raises(IntegrityError, match="the list of filings at s3://e/m cannot be trusted"):
        membership.read(OTHERS[other](), origin="s3://e/m")


FAULTY = ["out of order", "a filing twice", "without an example", "a negative count"]


@pytest.mark.parametrize("other", FAULTY)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_of_many_is_refused_as_it_would_be_alone(other: str, place: int) -> None:
    contents = [membership.to_bytes(GOOD), membership.to_bytes(rows())]
    contents.insert(place, OTHERS[other]())
    origins = ["s3://e/0", "s3://e/1", "s3://e/2"]
    tables = [
        membership.unchecked(content, origin=origin)
        for content, origin in zip(contents, origins, strict=True)
    ]
    found = membership.faults(tables, origins)
    assert [number for number, error in enumerate(found) if error] == [place]
    with pytest.raises(IntegrityError) as alone:
        membership.read(contents[place], origin=origins[place])
    assert str(found[place]) == str(alone.value)


def test_many_good_ones_are_checked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[int] = []
    plain = membership._fault
    monkeypatch.setattr(
        membership, "_fault", lambda tables: checked.append(len(tables)) or plain(tables)
    )
    tables = [GOOD, rows(), GOOD, GOOD.slice(1), rows()]
    assert membership.faults(tables, ["here"] * 5) == [None] * 5
    assert checked == [5]
    assert membership.faults([], []) == []


def test_no_altered_byte_gives_other_rows() -> None:
    content = membership.to_bytes(GOOD)
    refused = 0
    for position in range(len(content)):
        altered = bytearray(content)
        altered[position] ^= 0xFF
        try:
            assert membership.read(bytes(altered), origin="here") == GOOD
        except IntegrityError:
            refused += 1
    assert refused > len(content) // 2
