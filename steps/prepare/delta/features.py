"""The Delta table features that each engine reads and appends to correctly.

All lists are in this module, because vendors add features.

A feature is a name in a table's protocol [delta-io/delta PROTOCOL.md, "Table Features"]. The lists
for delta-rs were found by trying every feature on deltalake 1.6.6;
`tests/steps/prepare/delta/test_features.py` tries them again, so that another release cannot
change them unnoticed. The list for Spark's Delta is that of delta-spark 4.0.0, found the same way.
"""

# Reader features with which our own reading of the Parquet files gives the correct rows, unless the
# table also has a feature of `BY_SCAN`.
FROM_FILES = frozenset({
    "timestampNtz", "typeWidening", "typeWidening-preview", "v2Checkpoint", "vacuumProtocolCheck",
    "variantShredding", "variantShredding-preview", "variantType", "variantType-preview",
})  # fmt: skip
# Reader features that need delta-rs's own scan, and those of the above that this scan refuses.
BY_SCAN = frozenset({"columnMapping", "deletionVectors"})
NOT_BY_SCAN = frozenset(
    {"typeWidening", "typeWidening-preview", "variantShredding", "variantShredding-preview"}
)

# Writer features with which an append by delta-rs commits, and real Delta reads the rows. Prepare
# itself must honour `checkConstraints`, `generatedColumns`, `invariants`, and `columnMapping`: with
# the last, delta-rs commits but writes no physical names.
DELTA_RS_APPENDS = frozenset({
    "appendOnly", "changeDataFeed", "checkConstraints", "columnMapping", "deletionVectors",
    "generatedColumns", "invariants", "timestampNtz", "v2Checkpoint", "variantType",
    "variantType-preview",
})  # fmt: skip
# The writer version that means identity columns, which delta-rs does not write [PROTOCOL.md,
# "Writer Version Requirements"].
LEGACY_IDENTITY_WRITER = 6
# The highest protocol versions there are [PROTOCOL.md, "Reader Version Requirements" and "Writer
# Version Requirements"].
NEWEST_READER = 3
NEWEST_WRITER = 7

SPARK_APPENDS = DELTA_RS_APPENDS | frozenset({
    "allowColumnDefaults", "checkpointProtection", "clustering", "domainMetadata",
    "icebergCompatV1", "icebergCompatV2", "identityColumns", "inCommitTimestamp", "rowTracking",
    "typeWidening", "typeWidening-preview", "vacuumProtocolCheck", "variantShredding-preview",
})  # fmt: skip
