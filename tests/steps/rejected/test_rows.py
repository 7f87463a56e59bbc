"""The rejected rows of one execution are counted by reason, and print no text unless asked."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from steps.governance.errors import AccessDenied, GovernanceError, Unavailable, UsageError
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Table
from steps.governance.unity_catalog.retrying import Policy
from steps.prepare.schemas import REJECTED
from steps.rejected import __main__ as step
from steps.rejected import rows
from steps.rejected.arguments import Arguments, parse

WORDS = {
    "curated-table": "edgar.curated.examples",
    "execution-id": "mine",
    "databricks-host": "http://127.0.0.1:1",
    "databricks-secret-id": "governed-finetune-local/databricks/auditor",
    "region": "us-east-1",
}
REASONS = ["near_duplicate", "no_risk_factors", "near_duplicate", "near_duplicate"]


def arguments(*more: str, **changed: str) -> Arguments:
    given = WORDS | {name.replace("_", "-"): value for name, value in changed.items()}
    return parse([*(f"--{name}={value}" for name, value in given.items()), *more])


@dataclass
class Reader:
    """A catalog in which the rejected table is a folder, and its access has no keys."""

    location: str
    policy: Policy = field(default_factory=Policy)

    def table(self, name: UcName) -> Table:
        assert str(name) == "edgar.curated.examples_rejected"
        return Table(name, "id", self.location)

    def read_access(self, table: Table) -> "Reader":
        return self

    def storage_options(self) -> dict[str, str]:
        return {}


@pytest.fixture
def catalog(tmp_path: Path) -> Any:
    for execution, reasons in (("mine", REASONS), ("other", ["other_section"])):
        columns = {name: [f"{name} {i}" for i in range(len(reasons))] for name in REJECTED.names}
        columns |= {"reason": reasons, "execution_id": [execution] * len(reasons)}
        table = pa.table(columns, schema=REJECTED.arrow)
        write_deltalake(tmp_path / "t", table, mode="append", partition_by=["execution_id"])
    return Reader(str(tmp_path / "t"))


def test_rows_of_one_execution_are_counted_by_reason_most_frequent_first(catalog: Any) -> None:
    found = rows.read(catalog, arguments())
    assert list(found["reasons"].items()) == [("near_duplicate", 3), ("no_risk_factors", 1)]
    assert (found["table"], found["version"]) == ("edgar.curated.examples_rejected", 1)
    assert len(found["rows"]) == 4


def test_the_detail_is_read_only_when_it_is_asked_for(catalog: Any) -> None:
    plain, full = rows.read(catalog, arguments()), rows.read(catalog, arguments("--detail"))
    assert all("detail" not in row for row in plain["rows"])
    assert full["rows"][0]["detail"] == "detail 0"


def test_a_reason_chooses_rows_and_the_counts_stay_those_of_all(catalog: Any) -> None:
    found = rows.read(catalog, arguments(reason="near_duplicate", most="2"))
    assert [row["reason"] for row in found["rows"]] == ["near_duplicate"] * 2
    assert sum(found["reasons"].values()) == 4
    assert rows.read(catalog, arguments(most="0"))["rows"] == []


def test_an_execution_without_rejected_rows_has_none(catalog: Any) -> None:
    found = rows.read(catalog, arguments(execution_id="third"))
    assert (found["reasons"], found["rows"]) == ({}, [])


def test_a_place_without_a_table_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(GovernanceError, match="read the rejected rows in edgar"):
        rows.read(Reader(str(tmp_path)), arguments())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (AccessDenied("SELECT is missing"), '{"denied": "SELECT is missing"}\n'),
        (Unavailable("no answer"), ""),
    ],
)
def test_a_refusal_for_rights_is_not_like_another_failure(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: GovernanceError,
    answer: str,
) -> None:
    def refused(_: Arguments) -> int:
        raise error

    monkeypatch.setattr(step, "_printed", refused)
    monkeypatch.setattr(step, "parse", lambda _: None)
    assert step.main([]) == 1
    printed = capsys.readouterr()
    assert printed.out == answer
    assert str(error) in printed.err


def test_a_refusal_of_the_workspace_is_not_hidden(catalog: Any) -> None:
    def refused(table: Table) -> None:
        raise AccessDenied("read table was refused", do="GRANT EXTERNAL USE SCHEMA")

    catalog.read_access = refused
    with pytest.raises(AccessDenied, match="GRANT EXTERNAL USE SCHEMA"):
        rows.read(catalog, arguments())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"reason": "no risk"}, "--reason: a reason, such as"),
        ({"most": "-1"}, "--most: a whole number"),
        ({"execution_id": "../x"}, "--execution-id: an execution's id"),
        ({"curated_table": "a.b"}, "--curated-table: catalog.schema.name"),
    ],
)
def test_a_wrong_argument_is_refused(changed: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        arguments(**changed)
