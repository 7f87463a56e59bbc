"""Which columns the curated columns come from, as Unity Catalog's lineage shows them.

    relations = from_raw(["cik", "Item_1A", …])     # (("cik", "cik"), ("Item_1A", "completion"), …)

A column is a source of another if its value is repeated in it, parsed from it or decides it.
Identifiers (`example_id`, `execution_id`) and the constant `system` have no source column. A test
compares the names with the columns that Prepare reads and writes.
"""

from collections.abc import Collection, Iterator

Relation = tuple[str, str]  # source column, target column

CURATED = (
    "cik", "company", "sic", "filing_type", "year", "section", "source_filing", "split",
    "prompt", "completion",
)  # fmt: skip
TRAINED_ON = ("example_id", "split", "year", "sic", "system", "prompt", "completion")
# Prepare refuses a raw table without them.
REQUIRED = ("cik", "company", "filing_type", "filing_date", "filename", "item_1a")
_TARGETS = {
    "cik": ("cik", "split"),
    "company": ("company", "prompt"),
    "filing_type": ("filing_type", "prompt", "section"),
    "filing_date": ("prompt", "year"),
    "filename": ("source_filing",),
    "item_1a": ("completion", "prompt"),
    "sic": ("sic",),
    "period_of_report": ("prompt", "year"),
    "part_2_item_1a": ("completion", "prompt"),
}


def from_raw(columns: Collection[str]) -> tuple[Relation, ...]:
    """Return the relations from a raw table's columns to those that Prepare writes.

    Args:
        columns: the raw table's columns as Unity Catalog lists them, in any case. Unity Catalog
            does not check the columns of an external table, so there may be none: then the
            relations are those of the columns that every raw table has.
    """
    spelled = {name.lower(): name for name in columns}
    read = {name: spelled.get(name, name) for name in _TARGETS if name in {*spelled, *REQUIRED}}
    return tuple(_relations(read))


def same(columns: Collection[str]) -> tuple[Relation, ...]:
    """Return the relations of columns that a step passes on under their names."""
    return tuple((name, name) for name in sorted(columns))


def _relations(read: dict[str, str]) -> Iterator[Relation]:
    for name in sorted(read):
        for target in _TARGETS[name]:
            yield read[name], target
