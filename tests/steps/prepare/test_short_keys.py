"""A job that is many times longer than its storage keys: one commit, no failed read."""

import re
import time
from pathlib import Path

import pytest

from scripts.prepare_bench.corpus import Shape, filings
from steps.governance.documents.manifest import Prepared
from tests.steps.prepare.support.environment import environment

pytestmark = [pytest.mark.spark, pytest.mark.environment]

LIFE_SECONDS = 3


@pytest.mark.parametrize(
    ("count", "least_seconds"),
    [
        pytest.param(160, LIFE_SECONDS, id="160 filings"),
        pytest.param(2_400, 60, id="2,400 filings", marks=pytest.mark.long),
    ],
)
def test_keys_of_three_seconds_end_many_times_in_a_job(
    tmp_path: Path, count: int, least_seconds: float
) -> None:
    rows = filings(count, seed=3, shape=Shape())
    with environment(tmp_path, rows) as there:
        there.vend_for(LIFE_SECONDS)
        began = time.monotonic()
        run = there.run(execution="aaaaaaaaaaaa", timeout_seconds=580)
        assert run.code == 0, run.stderr[-3000:]
        assert time.monotonic() - began > least_seconds
        document = there.evidence(run.execution, "manifest.json")["Body"].read()
        prepared = Prepared.from_bytes(document, origin=run.execution)
        log = there.keys(there.config.storage.governed_bucket, "curated/")
    assert prepared.counts.filings_read == count
    assert prepared.target.version == 0
    commits = [key for key in log if re.search(r"_delta_log/\d+[.]json", key)]
    assert len(commits) == 2, commits  # of the examples, of the rejected rows
    assert not [key for key in log if "staged-" in key]
    assert "continue with new ones" in run.stderr
    assert prepared.reading is not None
    assert prepared.reading.credential.renewals > 0
