"""A curated table that Prepare cannot have written is refused with one clear error."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steps.governance.documents.manifest import Prepared
from steps.governance.errors import IntegrityError
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Table
from steps.train.data import corpus, verified_table
from steps.train.data.chat_template import Chat
from tests.steps.train.support.curated_table import (
    ARN,
    NAME,
    TABLE_ID,
    LocalAccess,
    commit,
    prepared,
    replace_file,
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    commit(tmp_path / "curated", ARN)
    return tmp_path / "curated"


def content(table: Path) -> pa.Table:
    (path,) = table.glob("execution_id=*/*.parquet")
    return pq.read_table(path, partitioning=None)


def refused(table: Path, base: Path, manifest: Prepared | None = None) -> str:
    """Return the error of `corpus.build` for the table; check that it left no corpus."""
    known = Table(UcName.parse(NAME), TABLE_ID, str(table))
    folder = table.parent / "corpus"
    batches = verified_table.stream(
        manifest or prepared(table, ARN, 0), known, LocalAccess(), execution_arn=ARN
    )
    with pytest.raises(IntegrityError) as error:
        corpus.build(batches, Chat(base), folder, row_tokens=256, seed=17)
    assert not (folder / "corpus.json").exists()
    return str(error.value)


def test_the_unchanged_table_is_accepted(table: Path, tiny_model: Path) -> None:
    replace_file(table, content(table))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        refused(table, tiny_model)


def test_a_table_without_the_expected_columns_is_refused_by_name(
    table: Path, tiny_model: Path
) -> None:
    replace_file(table, content(table).drop_columns(["sic", "completion"]))
    message = refused(table, tiny_model)
    assert "lacks columns" in message
    assert (
        "text columns example_id, split, sic, system, prompt, completion, year a whole number"
        in message
    )
    assert "none or several of sic, completion" in message


@pytest.mark.parametrize(
    ("column", "values", "shown"),
    [
        ("prompt", pa.array([1] * 30), "prompt as int64"),
        ("completion", pa.array([b"x"] * 30), "completion as binary"),
        ("year", pa.array(["2020"] * 30), "year as string"),
    ],
)
def test_a_column_of_another_type_is_refused(
    table: Path, tiny_model: Path, column: str, values: pa.Array, shown: str
) -> None:
    rows = content(table)
    replace_file(table, rows.set_column(rows.schema.get_field_index(column), column, values))
    message = refused(table, tiny_model)
    assert "has columns of another type" in message
    assert f"got       {shown}" in message


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("column", ["prompt", "completion", "system", "sic"])
def test_text_that_is_not_utf8_is_refused_with_file_and_column(
    table: Path, tiny_model: Path, column: str, kind: pa.DataType
) -> None:
    rows = content(table)
    # The last value is Latin-1, which Parquet stores as text without an error
    texts: list[bytes] = [b"plain"] * 29 + [b"caf\xe9 au lait"]
    broken = pa.array(texts, pa.binary() if kind == pa.string() else pa.large_binary()).view(kind)
    replace_file(table, rows.set_column(rows.schema.get_field_index(column), column, broken))
    message = refused(table, tiny_model)
    assert (
        f"text that is not UTF-8 in column {column} of file execution_id=abcdefghijkl/" in message
    )
    assert "index 29" in message


def test_an_empty_value_is_refused_but_for_year_and_industry(table: Path, tiny_model: Path) -> None:
    rows = content(table)
    for column in ("prompt", "year", "sic"):
        kind = rows.schema.field(column).type
        rows = rows.set_column(rows.schema.get_field_index(column), column, pa.nulls(30, kind))
    replace_file(table, rows)
    message = refused(table, tiny_model)
    assert "have empty values" in message
    assert "got       prompt\n" in message


def test_an_example_of_a_third_split_is_refused(table: Path, tiny_model: Path) -> None:
    rows = content(table)
    extra = rows.slice(0, 1).set_column(
        rows.schema.get_field_index("split"), "split", pa.array(["test"])
    )
    replace_file(table, pa.concat_tables([rows, extra.cast(rows.schema)]))
    message = refused(table, tiny_model)
    assert "some examples belong to no split" in message


def test_a_file_that_is_not_parquet_is_refused(table: Path, tiny_model: Path) -> None:
    manifest = prepared(table, ARN, 0)
    (path,) = table.glob("execution_id=*/*.parquet")
    path.write_bytes(path.read_bytes()[:-4] + b"PARX")
    entry = manifest.files[0].model_copy(
        update={"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    )
    message = refused(table, tiny_model, manifest.model_copy(update={"files": [entry]}))
    assert "cannot be read\n  expected  Parquet, as Prepare writes it" in message
