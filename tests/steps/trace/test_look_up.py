"""What makes an answer quick: the row groups that a look-up reads, and what it does not import."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from steps.governance.documents import membership
from steps.trace.index import filings
from tests.steps.trace.conftest import REPOSITORY
from tests.support.folders import write
from tests.support.histories import Size, made, membership_bytes

HEAVY = {
    *("boto3", "botocore", "databricks.sdk.core"),
    *("pandas", "polars", "pyarrow.dataset", "pydantic"),
}


def test_a_look_up_reads_only_row_groups_that_can_have_the_filing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filings, "_ROWS_IN_GROUP", 4)
    known = {f"{number:02}/x": (number + 1, 0) for number in range(0, 40, 2)}
    tables = {
        sha256: membership.read(membership_bytes(some), origin="test").select(filings.COLUMNS)
        for sha256, some in (("a" * 64, known), ("b" * 64, {"08/x": (0, 5)}))
    }
    part = tmp_path / "filings.parquet"
    filings.write_part(part, tables)
    assert pq.read_metadata(part).num_row_groups == 6
    read: list[list[int]] = []
    plain = pq.ParquetFile.read_row_groups

    def counted(file: pq.ParquetFile, groups: list[int]) -> object:
        read.append(groups)
        return plain(file, groups)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    for name, (train, _) in known.items():
        expected = [filings.Seen("a" * 64, train, 0)]
        expected += [filings.Seen("b" * 64, 0, 5)] if name == "08/x" else []
        assert filings.find([part], name) == expected
    assert filings.find([part], "09/x") == []
    assert max(map(len, read)) <= 2


@pytest.mark.parametrize("question", ["execution", "filing"])
def test_an_answer_from_the_index_imports_nothing_heavy(tmp_path: Path, question: str) -> None:
    history = made(Size(executions=4, plain=True), 3)
    write(tmp_path / "evidence", history.objects)
    words = [f"--evidence-uri={tmp_path / 'evidence'}", f"--index={tmp_path / 'index'}", "--json"]
    first = history.plain[0]
    filing = next(iter(first.filings or {}))
    words.append(f"--{question}={first.id if question == 'execution' else filing}")
    program = (
        "import sys\n"
        "from steps.trace.__main__ import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        f"found = {HEAVY!r} & set(sys.modules)\n"
        "assert 'pandas' not in found, 'a rebuild needs no pandas'\n"
        "assert not found or '--offline' not in sys.argv, found\n"
    )
    for more in ([], ["--offline"]):
        subprocess.run(
            [sys.executable, "-c", program, *words, *more],
            cwd=REPOSITORY, check=True, capture_output=True,
        )  # fmt: skip
