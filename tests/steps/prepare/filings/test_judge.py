"""What the kernel makes of a filing does not depend on the filings that it sees together with it.

Paragraphs, risk factors and their texts that several filings share are described once.
"""

import pyarrow as pa
import pytest

from scripts.prepare_bench.corpus import Shape, filings
from steps.prepare.bounds import Quality
from steps.prepare.filings import judge
from steps.prepare.filings.quality.screening import Screen
from steps.prepare.task_mix import parse
from tests.steps.prepare.support import edited, fakes

MIX = parse("heading-among-four/1=0.3,risk-factor-group/1=0.2,risk-factor-heading/2=0.5")
STRICT = Screen(quality=Quality(distinct_words=0.5))


def rows() -> list[dict[str, str | None]]:
    """Filings with shared text, also of two companies, with and without a code."""
    shared = list(filings(8, seed=4, shape=Shape(factors=9, body=900)))
    found = [*shared, shared[0] | {"cik": "77", "company": "Other Ltd", "sic": None}]
    found += [*edited.corpus(2), *fakes.corpus()]
    names = sorted({name for row in found for name in row})
    return [{name: row.get(name) for name in names} for row in found]


@pytest.mark.parametrize(
    "settings", [judge.Settings(), judge.Settings(STRICT, MIX, 5)], ids=["default", "strict"]
)
def test_a_filing_is_judged_alone_as_among_others(settings: judge.Settings) -> None:
    schema = pa.schema([(name, pa.string()) for name in rows()[0]])
    whole = pa.RecordBatch.from_pylist(rows(), schema=schema)
    together = judge.kernel(whole, settings).to_pylist()
    alone = [
        row
        for at in range(whole.num_rows)
        for row in judge.kernel(whole.slice(at, 1), settings).to_pylist()
    ]
    ordered = [[one for one in made if one["kind"] == kind]
               for made in (together, alone) for kind in (judge.FILING, judge.EXAMPLE)]  # fmt: skip
    assert ordered[:2] == ordered[2:]
    reasons = {row["reason"] for row in together}
    assert settings.screen is not STRICT or "repetition" in reasons
