"""A job that is many times longer than its storage keys: one commit, no failed read."""

import re
import time
from pathlib import Path
from typing import Any

import deltalake
import pytest
from deltalake import write_deltalake

from scripts.prepare_bench.corpus import Shape, filings
from steps.governance.documents.manifest import Prepared
from tests.steps.prepare.support.environment import environment

pytestmark = [pytest.mark.spark, pytest.mark.environment]


def batch_by_batch(location: str, batches: Any, *, mode: Any, **others: Any) -> None:
    """Write a file of some MB for each batch.

    A file is hashed as a whole, so that must end within the keys' life.
    """
    for batch in batches:
        write_deltalake(location, batch, mode=mode, **others)
        mode, others = "append", others | {"schema_mode": "merge"}


@pytest.mark.parametrize(
    ("count", "life_seconds", "least_seconds"),
    [
        # A batch must end within the keys' life, on a machine with as many tests as cores
        pytest.param(480, 5, 5, id="480 filings"),
        pytest.param(2_400, 3, 60, id="2,400 filings", marks=pytest.mark.long),
    ],
)
def test_keys_of_some_seconds_end_many_times_in_a_job(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    life_seconds: int,
    least_seconds: float,
) -> None:
    monkeypatch.setattr(deltalake, "write_deltalake", batch_by_batch)
    rows = filings(count, seed=3, shape=Shape())
    with environment(tmp_path, rows) as there:
        there.vend_for(life_seconds)
        began = time.monotonic()
        # The corpus has few sentences, so much of it repeats
        words = ("--contract", "most_overlap=1.0")
        run = there.run(*words, execution="aaaaaaaaaaaa", timeout_seconds=580)
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
