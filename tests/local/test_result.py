"""The table at the end of a journey: evaluated examples of all, and pages that still answer."""

from dataclasses import replace

import pytest

from pipeline.execution.outcome import Outcome
from pipeline.local.journey import Journey
from pipeline.local.result import rows

COUNTS = {
    "filings_read": 24,
    "filings_kept": 16,
    "filings_rejected": 8,
    "examples_train": 300,
    "companies_train": 8,
    "examples_eval": 60,
    "companies_eval": 2,
    "examples_rejected": 5,
    "rejected_by_reason": {"no_risk_factors": 8},
}
OUTCOME = Outcome("arn", "Succeeded", "", (), "a.b.c", "challenger", "1", "uri", "record", 7.0, 3.0)


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (48, "60 to evaluate on from 2 others (each evaluation measures 48 of them), 5 rejected"),
        (60, "60 to evaluate on from 2 others, 5 rejected"),
        (-1, "60 to evaluate on from 2 others, 5 rejected"),
    ],
)
def test_the_table_names_the_share_of_evaluated_examples(most: int, expected: str) -> None:
    journey = Journey(outcome=OUTCOME, counts=COUNTS, max_eval_examples=most)
    shown = dict(rows(journey, kept=False))
    assert shown["examples"] == f"300 to train on from 8 companies, {expected}"


@pytest.mark.parametrize("kept", [True, False])
def test_pages_are_named_where_the_environment_stays_up(kept: bool) -> None:
    outcome = replace(OUTCOME, report_url="http://r", model_url="http://m", run_url="http://x")
    shown = dict(rows(Journey(outcome=outcome), kept=kept))
    assert ({"report at", "model at", "run at"} <= shown.keys()) is kept
