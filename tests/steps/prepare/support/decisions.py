"""Raw rows of a frame, judged and decided without a store."""

from typing import TYPE_CHECKING

import pyarrow as pa

from steps.prepare.arrow_tasks import mapped, struct
from steps.prepare.bounds import SplitRule
from steps.prepare.filings import decision, judge
from steps.prepare.filings.split import Split
from steps.prepare.rounds.rounds import AT_ONCE
from steps.prepare.rounds.shards import WHOLE
from steps.prepare.verdict.linked import unlinked
from tests.steps.prepare.support import fakes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ALL_TRAIN = Split(SplitRule(), "", 1)


def frame(spark: "SparkSession", rows: list[dict[str, str | None]]) -> "DataFrame":
    return spark.createDataFrame(
        pa.Table.from_pylist(rows, schema=fakes.RAW_SCHEMA).to_pandas()
    ).repartition(1)


def decided(raw: "DataFrame", split: Split = ALL_TRAIN) -> "DataFrame":
    """Return the final rows, where each example is its own family."""
    from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

    made = raw.mapInArrow(mapped(judge.kernel), struct(judge.SCHEMA)).toArrow()
    numbered = made.append_column("row", pa.array(range(made.num_rows), pa.int64()))
    rows = raw.sparkSession.createDataFrame(numbered)
    (found,) = decision.decided(
        lambda kind, names, _=WHOLE: rows.where(F.col("kind") == kind).select(*names, "row"),
        AT_ONCE,
    )
    return unlinked(found, split)
