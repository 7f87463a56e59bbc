"""Tables with the declarations of docs/data.md: the Spark SQL of each, and rows to append or read.

`declared_on_spark.py` creates them with real Spark and Delta; tests read and write them. This
module does not import pytest, because the script runs in another Python environment.

    targets, raws = chosen("kinds")     # each kind of answer once; "all" is every table
"""

from dataclasses import dataclass, field

from steps.prepare.schemas import PARTITION, REJECTED

SCHEMA = "spark_catalog.declared"
_RAW = "cik string, item_1a string"
_ROWS = "INSERT INTO {table} VALUES ('1', 'x'), ('2', 'y')"


@dataclass(frozen=True)
class Target:
    """An existing rejected table. `declaration` is its line in docs/data.md.

    `row` holds the values that differ from "x" in the appended row.
    """

    name: str
    declaration: str
    properties: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    row: dict[str, str | None] = field(default_factory=dict)
    layout: str = f"PARTITIONED BY ({PARTITION})"

    def statements(self, location: str) -> list[str]:
        """Return the Spark SQL that creates the table."""
        columns = ", ".join(
            self.columns.get(name, f"{name} string") for name in [*REJECTED.names, *self._others()]
        )
        made = (
            f"CREATE TABLE {SCHEMA}.{self.name} ({columns}) USING delta {self.layout} "
            f"LOCATION '{location}' COMMENT 'before'"
        )
        return [
            made + (f" TBLPROPERTIES ({self.properties})" if self.properties else ""),
            *(statement.format(table=f"{SCHEMA}.{self.name}") for statement in self.more),
        ]

    def _others(self) -> list[str]:
        return [name for name in self.columns if name not in REJECTED.names]


def _feature(name: str) -> str:
    return f"'delta.feature.{name}' = 'supported'"


_CHECK = "ALTER TABLE {table} ADD CONSTRAINT short CHECK (length(detail) < 5)"

TARGETS = (
    Target(
        "comments",
        "comments of table and columns",
        more=("ALTER TABLE {table} CHANGE COLUMN cik COMMENT 'index key'",),
    ),
    Target(
        "properties",
        "table properties",
        "'team' = 'x', 'delta.logRetentionDuration' = 'interval 1 days'",
    ),
    Target(
        "reordered",
        "the columns in another order",
        more=("ALTER TABLE {table} CHANGE COLUMN detail FIRST",),
    ),
    Target("append_only", "`delta.appendOnly`", "'delta.appendOnly' = 'true'"),
    Target("change_data", "change data feed", "'delta.enableChangeDataFeed' = 'true'"),
    Target("vectors", "deletion vectors", "'delta.enableDeletionVectors' = 'true'"),
    Target("checkpoints", "v2 checkpoints", "'delta.checkpointPolicy' = 'v2'"),
    Target("ntz", "`timestampNtz`", _feature("timestampNtz")),
    Target("variant", "`variantType`", _feature("variantType")),
    Target("required", "NOT NULL, rows without null", columns={"cik": "cik string NOT NULL"}),
    Target(
        "required_null",
        "NOT NULL, a row with null",
        columns={"cik": "cik string NOT NULL"},
        row={"cik": None},
    ),
    Target("check", "CHECK, rows hold it", more=(_CHECK,)),
    Target("check_broken", "CHECK, a row breaks it", more=(_CHECK,), row={"detail": "too long"}),
    Target("check_null", "CHECK, NULL in a row", more=(_CHECK,), row={"detail": None}),
    Target("varchar", "varchar(n), rows fit", columns={"cik": "cik varchar(5)"}),
    Target(
        "varchar_long",
        "varchar(n), a row is longer",
        columns={"cik": "cik varchar(5)"},
        row={"cik": "123456"},
    ),
    Target("padded", "char(n)", columns={"cik": "cik char(5)"}),
    Target(
        "defaults",
        "column defaults",
        _feature("allowColumnDefaults"),
        columns={"reason": "reason string DEFAULT 'x'"},
    ),
    Target("commit_times", "in-commit timestamps", "'delta.enableInCommitTimestamps' = 'true'"),
    Target("row_tracking", "row tracking", "'delta.enableRowTracking' = 'true'"),
    Target("widening", "type widening", "'delta.enableTypeWidening' = 'true'"),
    Target("domains", "`domainMetadata`", _feature("domainMetadata")),
    Target("vacuum_check", "`vacuumProtocolCheck`", _feature("vacuumProtocolCheck")),
    Target("protection", "`checkpointProtection`", _feature("checkpointProtection")),
    Target("shredding", "`variantShredding`", "'delta.enableVariantShredding' = 'true'"),
    Target("identity", "`identityColumns`", _feature("identityColumns")),
    Target("mapped", "column mapping", "'delta.columnMapping.mode' = 'name'"),
    Target(
        "iceberg",
        "UniForm / icebergCompat",
        "'delta.enableIcebergCompatV2' = 'true', 'delta.columnMapping.mode' = 'name'",
    ),
    Target("clustered", "liquid clustering", layout="CLUSTER BY (cik)"),
    Target("unpartitioned", "no partition column", layout=""),
    Target("other_partition", "another partition column", layout="PARTITIONED BY (cik)"),
    Target("extra", "an extra column", columns={"owner": "owner string"}),
    Target("typed", "a column of another type", columns={"filing_date": "filing_date date"}),
)


@dataclass(frozen=True)
class Raw:
    """A raw table with two live rows. `version` is the one that is read; -1 is the newest."""

    name: str
    declaration: str
    properties: str = ""
    columns: str = _RAW
    rows: tuple[str, ...] = (_ROWS,)
    layout: str = ""
    version: int = -1

    def statements(self, location: str) -> list[str]:
        """Return the Spark SQL that creates the table."""
        table = f"{SCHEMA}.raw_{self.name}"
        made = (
            f"CREATE TABLE {table} ({self.columns}) USING delta {self.layout} LOCATION '{location}'"
        )
        return [
            made + (f" TBLPROPERTIES ({self.properties})" if self.properties else ""),
            *(statement.format(table=table) for statement in self.rows),
        ]


_VARIANT = f"{_RAW}, v variant"
_VARIANT_ROWS = (
    """INSERT INTO {table} VALUES ('1', 'x', parse_json('{{"a": 1}}')), ('2', 'y', NULL)"""
)
_OFTEN, _VECTORS = "'delta.checkpointInterval' = '2'", "'delta.enableDeletionVectors' = 'true'"
_OVERWRITE = "INSERT OVERWRITE {table} VALUES ('1', 'x'), ('2', 'y')"

RAWS = (
    Raw("plain", "NOT NULL, CHECK, comments, defaults, properties",
        columns="cik string NOT NULL COMMENT 'key', item_1a string"),
    Raw("variant", "`variantType`, in a column that is not read", _feature("variantType"), _VARIANT,
        (_VARIANT_ROWS,)),
    Raw("shredded", "`variantShredding`, likewise", "'delta.enableVariantShredding' = 'true'",
        _VARIANT, (_VARIANT_ROWS,)),
    Raw("widened", "`typeWidening`", "'delta.enableTypeWidening' = 'true'", f"{_RAW}, n int", (
        "INSERT INTO {table} VALUES ('1', 'x', 1)",
        "ALTER TABLE {table} CHANGE COLUMN n TYPE bigint",
        "INSERT INTO {table} VALUES ('2', 'y', 2)",
    )),
    Raw("ntz", "`timestampNtz`", _feature("timestampNtz")),
    Raw("checkpoints", "v2 checkpoints", f"'delta.checkpointPolicy' = 'v2', {_OFTEN}",
        rows=(_OVERWRITE,) * 3),
    Raw("row_tracking", "row tracking", "'delta.enableRowTracking' = 'true'"),
    Raw("commit_times", "in-commit timestamps", "'delta.enableInCommitTimestamps' = 'true'"),
    Raw("clustered", "liquid clustering", layout="CLUSTER BY (cik)"),
    Raw("mapped", "column mapping", "'delta.columnMapping.mode' = 'name'"),
    Raw("vectors", "deletion vectors", "'delta.enableDeletionVectors' = 'true'", rows=(
        ("INSERT INTO {table} SELECT /*+ COALESCE(1) */ * FROM VALUES ('1', 'x'), ('2', 'y'), "
        "('3', 'z')"),
        "DELETE FROM {table} WHERE cik = '3'",
    )),
    Raw("both", "type widening with deletion vectors",
        f"'delta.enableTypeWidening' = 'true', {_VECTORS}"),
    Raw("above", "a version above the newest", version=2),
    Raw("vacuumed", "a version whose files VACUUM deleted", rows=(_ROWS, _OVERWRITE), version=1),
    Raw("cleaned", "a version whose log entries were deleted", _OFTEN, rows=(_OVERWRITE,) * 3,
        version=1),
    Raw("clone", "a shallow clone"),
)  # fmt: skip

# One table for each kind of answer: honoured (metadata, a feature), a rule that holds, one rule of
# each form that a row breaks, each form of refusal. The other tables give one of these answers too.
_KINDS = {
    "comments", "vectors", "required_null", "check", "check_broken", "varchar_long", "padded",
    "commit_times", "mapped", "unpartitioned", "extra", "typed",
}  # fmt: skip
_RAW_KINDS = {"plain", "mapped", "vectors", "both", "above", "vacuumed", "cleaned", "clone"}


def chosen(which: str) -> tuple[list[Target], list[Raw]]:
    """Return the targets and the raw tables of "kinds" or "all"."""
    everything = which == "all"
    targets = [target for target in TARGETS if everything or target.name in _KINDS]
    return targets, [raw for raw in RAWS if everything or raw.name in _RAW_KINDS]
