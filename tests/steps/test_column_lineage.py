"""The columns of the lineage are those that Prepare reads and writes and Train reads."""

from steps.governance import curated_columns
from steps.governance.unity_catalog import column_lineage
from steps.prepare.filings.columns import OPTIONAL, REQUIRED
from steps.prepare.schemas import EXAMPLES
from steps.train.data.curated_rows import Example

IDENTIFIERS = {"accession_number", "accession"}  # they only decide example_id


def test_every_column_that_prepare_reads_is_a_source() -> None:
    assert curated_columns.REQUIRED == REQUIRED
    sources = {source for source, _ in column_lineage.from_raw([*REQUIRED, *OPTIONAL])}
    assert sources == {*REQUIRED, *OPTIONAL} - IDENTIFIERS


def test_every_curated_column_but_identifiers_and_the_constant_has_a_source() -> None:
    targets = {target for _, target in column_lineage.from_raw(REQUIRED + OPTIONAL)}
    assert targets == set(column_lineage.MADE)
    assert set(EXAMPLES.names) - targets == {"example_id", "execution_id", "system"}


def test_a_column_that_the_table_lacks_is_not_related_and_its_spelling_is_the_tables() -> None:
    relations = column_lineage.from_raw(["CIK", "company", "filing_type", "Item_1A", "state"])
    assert ("CIK", "cik") in relations
    assert ("Item_1A", "prompt") in relations
    sources = {source for source, _ in relations}
    assert sources == {"CIK", "company", "filing_type", "Item_1A", "filing_date", "filename"}


def test_a_table_without_listed_columns_has_those_that_prepare_requires() -> None:
    assert {source for source, _ in column_lineage.from_raw([])} == set(REQUIRED)


def test_train_reads_the_columns_that_its_node_lists() -> None:
    assert Example._fields == column_lineage.TRAINED_ON
    assert set(column_lineage.TRAINED_ON) <= set(EXAMPLES.names)
