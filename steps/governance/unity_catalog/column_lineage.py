"""Which columns the curated columns come from, as Unity Catalog's lineage shows them.

relations = from_raw(["cik", "Item_1A", …])     # (("Item_1A", "completion"), ("cik", "cik"), …)
"""

from collections.abc import Collection

from steps.governance.curated_columns import CURATED, REQUIRED

Relation = tuple[str, str]  # source column, target column

# Curated columns with a source, and those that Train reads.
MADE = tuple(column.name for column in CURATED if column.made_from)
TRAINED_ON = (
    *("example_id", "split", "year", "sic", "system", "prompt", "completion", "family_id"),
)


def from_raw(columns: Collection[str]) -> tuple[Relation, ...]:
    """Return the relations from a raw table's columns to those that Prepare writes.

    Args:
        columns: the raw table's columns as Unity Catalog lists them, in any case. Unity Catalog
            does not check the columns of an external table, so there may be none: then the
            relations are those of the columns that every raw table has.
    """
    spelled = {name: name for name in REQUIRED} | {name.lower(): name for name in columns}
    return tuple(
        sorted(
            (spelled[source], column.name)
            for column in CURATED
            for source in column.made_from
            if source in spelled
        )
    )


def same(columns: Collection[str]) -> tuple[Relation, ...]:
    """Return the relations of columns that a step passes on under their names."""
    return tuple((name, name) for name in sorted(columns))
