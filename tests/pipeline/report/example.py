"""A run with everything that a report shows, and a failed one with a log only."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.cost.estimate import Line
from pipeline.execution.outcome import Progress, StepState, outcome
from pipeline.execution.ran_with import RanWith
from pipeline.inspection import training_log
from pipeline.inspection.documents import Documents
from pipeline.inspection.run_summary import Summary
from pipeline.report.bill import Bill
from pipeline.report.page import Evidence

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
DEFAULTS = {"LoraRank": "16", "MaxEvalLoss": "2.5", "Seed": "17", "ModelName": "a.b.m"}
PREPARED: dict[str, Any] = {
    "source": {"table": "a.b.raw", "version": 7},
    "target": {"table": "a.b.curated", "version": 3},
    "raw_files": [{"sha256": "1" * 64}],
    "files": [{"sha256": "2" * 64}, {"sha256": "3" * 64}],
    "counts": {
        "filings_read": 24,
        "filings_kept": 15,
        "filings_rejected": 9,
        "examples_train": 282,
        "examples_eval": 67,
        "examples_rejected": 64,
        "companies_train": 8,
        "companies_eval": 2,
        "rejected_by_reason": {"duplicate_filing": 1, "heading_in_body": 35},
        "headings_by_style": {"standing": 240, "run_in": 15},
        "rejected_by_style": {"standing": 30, "topic": 2},
        "families_by_size": {"1": 201, "17 and more": 1, "2": 10, "9 to 16": 1},
    },
}
TRAINED: dict[str, Any] = {
    "data": {"table": "a.b.curated", "manifest_sha256": "4" * 64},
    "base_model": {"name": "tiny", "revision": "c" * 40, "mirror_sha256": "5" * 64},
    "fp8": {"effective": "storage", "dtype": "bfloat16"},
    "metrics": {"eval_loss": 6.0577, "resumed_from": [10]},
    "build": {"git_commit": "d0a3871"},
}
REPORT: dict[str, Any] = {
    "parameters": {"sequence_length": 512},
    "metrics": {"eval_loss_before": 7.634, "eval_loss": 6.0577, "best_step": 30},
    "curve": [
        {"step": step, "train_loss": 8 - step / 15, "memory_gib": 11.4} for step in range(1, 31)
    ],
    "evaluations": [{"step": 10, "eval_loss": 6.4}, {"step": 30, "eval_loss": 6.0577}],
    "by_year": [{"name": "2021", "tokens": 52, "eval_loss_before": 7.5, "eval_loss": 5.7}],
    "by_group": [],
    "lengths": {
        "train": {
            "documents": 282,
            "longest_before_cut": 2457,
            "affected_documents": {"prompt_cut": 264},
            "histogram_before_cut": {"<= 512": 18, "<= 1024": 164, "longer": 0},
        }
    },
    "sample": {"example_id": "e1", "base": "<b>no</b> idea", "tuned": ""},
    "seconds": {"train": 7.9},
}
LOG = (
    "2026-11-29T15:30:28Z INFO train i j m: [eval] step=0 eval_loss_before=7.63399; eval_tokens=9;",
    "[train] step=11 train_loss=6.9; grad_norm=1.8; tokens_per_second=5836.1; eta_seconds=10.2;",
    '{"message": "[train] step=12 train_loss=6.8; tokens_per_second=5900; eta_seconds=410;"}',
    "[eval] step=10 eval_loss=6.4; eval_perplexity=605.4; eval_tokens=1765;",
    "step=99 train_loss=1;",
)
TRACED: dict[str, Any] = {
    "drawing": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9"/></svg>',
    "nodes": {"alias:a.b.m@champion": {"kind": "alias", "version": "champion"}},
    "edges": [
        {
            "source": "model:a.b.m@3",
            "target": "alias:a.b.m@champion",
            "verb": "approved",
            "principal": "carla",
            "at": "2026-11-29T13:00:00Z",
        }
    ],
}
AUDITED: list[Any] = [
    {"outcome": "ok", "code": "ledger.chain", "expected": "2", "found": "2"},
    {"outcome": "mismatch", "code": "archive.members", "expected": "10 files", "found": "9 files"},
]


def step(name: str, begin: float, end: float, status: str = "Succeeded", **more: Any) -> StepState:
    started, ended = START + timedelta(seconds=begin), START + timedelta(seconds=end)
    return StepState(name, status, started, ended, **more)


def summary(status: str, *steps: StepState) -> Summary:
    values = DEFAULTS | {"LoraRank": "32"}
    return Summary(
        id="4x7k2m9p1q0z",
        name="tuesday-1",
        who="anna",
        started=START,
        ended=START + timedelta(seconds=31),
        ran=RanWith(DEFAULTS, values),
        result=outcome(Progress("arn/4x7k2m9p1q0z", status, steps), values),
    )


BILL = Bill(
    [
        Line("Prepare", "0.083 vCPU-hours, 0.275 GB-hours", 0.006),
        Line("Train", "12 s billed × 1 × ml.g5.16xlarge at $5.120 an hour", 0.017),
    ],
    "us-east-1, 2026-11-29",
)


def succeeded() -> Evidence:
    """A registered model, approved, and audited with a mismatch."""
    losses = {"eval:loss_before": 7.634, "eval:loss": 6.0577}
    run = summary(
        "Succeeded",
        step("Prepare", 0, 8),
        step("Train", 8, 29, metrics=losses),
        step("Register", 29, 31, outputs={"model_version": "3"}),
    )
    found = Documents(PREPARED, TRAINED, None, REPORT, ())
    evidence = Evidence(run, found, training_log.Curve(), traced=TRACED, audited=AUDITED)
    return replace(evidence, bill=BILL)


def failed() -> Evidence:
    """A training that was lost; only its log is there."""
    lost = step("Train", 8, 31, "Failed", failure="AlgorithmError: exit code: 137")
    run = summary("Failed", step("Prepare", 0, 8), lost)
    notes = ("Train's report: reading s3://a was refused by AWS: AccessDenied: no",)
    return Evidence(run, Documents(PREPARED, None, None, None, notes), training_log.curve(LOG))
