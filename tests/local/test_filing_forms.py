"""Filings are read in every form in which they are published; a damaged file is one message that
names file and place.
"""

import gzip
import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.local.setup import documents, filings
from pipeline.shell import amount

CRAWLER: dict[str, Any] = {
    "cik": "320193",
    "company": "Example Inc.",
    "filing_type": "10-K",
    "filing_date": "2022-10-28",
    "period_of_report": None,
    "sic": "3571",
    "state_of_inc": None,
    "filename": "320193_10K_2022_0000320193-22-000108.htm",
    "item_1": "",
    "item_1A": "Item 1A. Risk Factors\nOur “plan” may fail.",
    "item_1B": "None.",
}
OTHER = CRAWLER | {"cik": 1001, "filename": "1001_10K_2022_0000001001-22-000001.htm"}
PLACES = "raw/risk_factors/form_type={form}/fiscal_year=2022/cik={cik}/risk_factors.json"
BOTH = ["320193", "1001"]
INDENTED = json.dumps(CRAWLER, indent=4) + "\n"
LINES = json.dumps(CRAWLER) + "\n\n" + json.dumps(OTHER, ensure_ascii=False)


def ciks(path: Path) -> list[str | None]:
    return [row["cik"] for row in filings.read([path])]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (INDENTED.encode(), BOTH[:1]),
        ((INDENTED + json.dumps(OTHER, indent=2)).encode(), BOTH),
        (json.dumps([CRAWLER, OTHER], indent=4).encode(), BOTH),
        (json.dumps([CRAWLER, OTHER]).encode(), BOTH),
        (LINES.encode(), BOTH),
        (LINES.replace("\n", "\r\n").encode(), BOTH),
        (b"\xef\xbb\xbf" + LINES.encode(), BOTH),
        (b"\xef\xbb\xbf\n" + INDENTED.encode(), BOTH[:1]),
        (LINES.encode("utf-16"), BOTH),
        (b"\xfe\xff" + INDENTED.encode("utf-16-be"), BOTH[:1]),
    ],
    ids=[
        "indented",
        "indented ones",
        "indented array",
        "array",
        "lines",
        "CR LF",
        "BOM",
        "BOM indented",
        "16",
        "16 BE",
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_every_published_form_is_taken(
    tmp_path: Path, content: bytes, expected: list[str], *, compressed: bool
) -> None:
    path = tmp_path / "filings"
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert ciks(path) == expected
    assert filings.read([path])[0]["item_1a"] == CRAWLER["item_1A"]


def test_a_document_that_is_longer_than_what_is_read_at_once_is_whole(tmp_path: Path) -> None:
    path, text = tmp_path / "long.json", "We may lose “money”.\n" * 200_000
    for content in (
        json.dumps([CRAWLER | {"item_1A": text}, OTHER]),
        json.dumps(CRAWLER | {"item_1A": text}, indent=4),
    ):
        path.write_text(content, encoding="utf-8")
        assert filings.read([path])[0]["item_1a"] == text


def test_a_folder_is_read_at_any_depth_and_other_files_are_ignored(
    tmp_path: Path,
) -> None:
    (tmp_path / "2022" / "q4").mkdir(parents=True)
    (tmp_path / "2022" / "q4" / "a.json").write_text(INDENTED)
    (tmp_path / "2022" / "b.jsonl.gz").write_bytes(gzip.compress(json.dumps(OTHER).encode()))
    (tmp_path / "FILINGS_METADATA.csv").write_text("CIK,Company\n")
    (tmp_path / "._a.json").write_bytes(b"\x00\x05\x16\x07")
    assert sorted(filter(None, ciks(tmp_path))) == sorted(BOTH)


def test_suffixes_are_case_insensitive(tmp_path: Path) -> None:
    (tmp_path / "A.JSON").write_text(INDENTED)
    (tmp_path / "b.JsonL.GZ").write_bytes(gzip.compress(json.dumps(OTHER).encode()))
    assert ciks(tmp_path) == BOTH


@pytest.mark.parametrize("content", [b"", b"\n \n", b"[]", gzip.compress(b"", mtime=0)])
def test_a_file_without_a_document_among_others_is_a_fault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_text(INDENTED)
    (tmp_path / "empty.json").write_bytes(content)
    for paths in ([tmp_path], [tmp_path / "a.json", tmp_path / "empty.json"]):
        with pytest.raises(UsageError, match=r"empty\.json: no JSON document in it"):
            filings.read(paths)


def test_a_period_may_be_missing_and_numbers_and_other_cases_of_names_are_taken(
    tmp_path: Path,
) -> None:
    document = {
        name.upper(): value for name, value in CRAWLER.items() if name != "period_of_report"
    } | {
        "CIK": 320193.0,
        "SIC": 3571,
    }
    path = tmp_path / "one.json"
    path.write_text(json.dumps(document))
    (row,) = filings.read([path])
    assert (row["cik"], row["sic"], row["period_of_report"], row["item_1a"]) == (
        "320193",
        "3571",
        None,
        CRAWLER["item_1A"],
    )


HUB = {
    "filename": "718413_1993.txt",
    "cik": 718413,
    "year": "1993",
    "section_1": "",
    "section_1A": "Our plan may fail.",
}
ADDED = {"company": "Example Bancorp", "filing_type": "10-K", "filing_date": "1993-03-30"}


def test_edgar_corpus_is_refused_by_its_missing_fields_and_read_with_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(HUB))
    with pytest.raises(UsageError) as refusal:
        filings.read([path])
    assert f"{path}:1: no company, filing_type, filing_date\n" in str(refusal.value)
    assert (
        "add company, filing_type and filing_date, which EDGAR-CORPUS lacks, from EDGAR's index"
        in str(refusal.value)
    )
    for cik in ({}, {"cik": None}, {"cik": "718413"}):
        path.write_text(json.dumps({**HUB, **ADDED, **cik}))
        (row,) = filings.read([path])
        assert (row["cik"], row["item_1a"]) == ("718413", "Our plan may fail.")


GZIPPED = gzip.compress(f"{LINES}\n".encode() * 50)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (GZIPPED[: len(GZIPPED) // 2], "f is cut off or damaged gzip behind line "),
        (GZIPPED[:-8] + b"\0" * 8, "f is cut off or damaged gzip behind line "),
        (b"\x1f\x8b\x08\x00" + b"x" * 60, "f is cut off or damaged gzip behind line "),
        (b"PAR1" + bytes(9), "f is a Parquet file"),
        (b"PK\x03\x04" + bytes(9), "f is a zip archive"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "f is a git-lfs pointer, not the file itself",
        ),
        (b"\x00\x01\x02", "f is binary, or UTF-16 without a byte order mark"),
        (LINES.encode("utf-16-le"), "f is binary, or UTF-16 without a byte order mark"),
        (LINES.encode() + b'\n{"cik": "\xff"}', "f is not UTF-8: invalid start byte behind line "),
        (b"", "f: no JSON document in it"),
        (b"\xef\xbb\xbf\n", "f: no JSON document in it"),
        (b"[]", "f: no JSON document in it"),
        (b'{"cik": "1", "cik": "2"}', "f:1: the field 'cik' is there twice"),
        (b'{"cik": "1", "CIK": "2"}', "f:1: cik and CIK are one field"),
        (b'{"cik": "1", "sic": NaN}', "f:1: NaN is not JSON; an absent value is null"),
        (INDENTED.replace('": "3571"', '": Infinity').encode(), "f:1: Infinity is not JSON"),
        (INDENTED[:-4].encode(), "f:1: not JSON ("),
        (
            INDENTED.replace('"sic": ', '"sic" ').encode(),
            "f:1: not JSON (Expecting ':' delimiter at line 7 column 11)",
        ),
        (json.dumps([CRAWLER, OTHER]).encode()[:-1], "f:1: not JSON (',' or ']' is expected"),
        (b"[" + json.dumps(CRAWLER).encode() + b"\nx]", "f:2: not JSON (',' or ']' is expected"),
        (b"[1]", "f:1: a JSON object is expected, got int"),
        (b"[" * 100_000, "f:1: not a filing (nested too deeply)"),
        (b'{"cik": ' + b"9" * 5000 + b"}", "f:1: Exceeds the limit"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_message_with_file_and_place(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    with pytest.raises(UsageError) as refusal:
        filings.read([path])
    assert fault in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_folder_without_filings_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match=r"no filings in the folder .*\n  expected  files that end in \.json \.json\.gz",
    ):
        filings.read([tmp_path])


def peak(paths: Iterable[Path]) -> int:
    tracemalloc.start()
    try:
        filings.read(paths)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("array", [False, True])
def test_fields_without_a_column_are_not_all_in_memory(tmp_path: Path, *, array: bool) -> None:
    documents = [
        json.dumps(CRAWLER | {"item_7": f"{number} " * 100_000}) for number in range(80)
    ]  # 16 MB and more
    path = tmp_path / "large.json"
    path.write_text("[" + ",".join(documents) + "]" if array else "\n".join(documents))
    assert peak([path]) < path.stat().st_size // 2


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_form_and_cik_may_be_in_the_names_of_folders_only(tmp_path: Path, suffix: str) -> None:
    lower = {name.lower(): value for name, value in CRAWLER.items()}
    for cik, form in (("0000320193", "10-K"), ("0000001001", "10-K%2FA")):
        file = tmp_path / (PLACES.format(form=form, cik=cik) + suffix)
        file.parent.mkdir(parents=True)
        content = json.dumps(lower | {"cik": None, "filing_type": None}).encode()
        file.write_bytes(gzip.compress(content) if suffix else content)
    rows = filings.read([tmp_path])
    found = sorted((row["cik"], row["filing_type"], row["item_1a"]) for row in rows)
    assert found == [
        ("0000001001", "10-K/A", CRAWLER["item_1A"]),
        ("0000320193", "10-K", CRAWLER["item_1A"]),
    ]


@pytest.mark.parametrize(
    ("form", "cik", "message"),
    [
        ("10-Q", "320193", "filing_type is 10-K, but its folder is form_type=10-Q"),
        ("10-K", "1001", "cik is 320193, but its folder is cik=1001"),
        ("10-K", "0000320193", None),
    ],
)
def test_a_filing_in_another_company_s_folder_is_refused(
    tmp_path: Path, form: str, cik: str, message: str | None
) -> None:
    file = tmp_path / PLACES.format(form=form, cik=cik)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(CRAWLER))
    if message is None:
        assert ciks(tmp_path) == BOTH[:1]
        return
    with pytest.raises(UsageError, match=message):
        filings.read([tmp_path])


def test_a_long_reading_shows_how_many_bytes_of_all_files_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jsonl").write_text(LINES)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(f"{LINES}\n".encode() * 50))
    done: list[int] = []
    found = list(documents.documents(tmp_path, done.append))
    stored = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert (len(found), sum(done)) == (102, stored)
    assert documents.size(tmp_path) == stored
    assert documents.size(tmp_path / "absent") == 0
    filings.read([tmp_path])
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(amount, "SILENT_SECONDS", 0.0)
    filings.read([tmp_path])
    assert capsys.readouterr().err.startswith("reading    ")
