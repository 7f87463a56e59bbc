"""The findings of a typical run, for tests of card and page. Each part can be replaced."""

import math
from typing import Any

from steps.train.report.findings import Findings, Merged
from tests.steps.train.support.curated_table import ARN

HOSTILE = (
    """</pre><script>alert(1)</script><img src="https://evil.example/x" onerror='alert(2)'>&amp;"""
    "\x00\x1b[31m\u202e"
)

_METRICS = {
    "eval_loss_before": 3.2, "eval_loss": 2.1, "eval_tokens": 8123, "train_tokens": 1640000,
    "steps": 200, "best_step": 150, "stopped_early": True, "resumed_from": [50],
    "eval_examples": 43, "eval_perplexity_before": 24.53, "eval_perplexity": 8.166,
    "tokens_per_second": 1812.4,
}  # fmt: skip
_DATA = {
    "raw": {
        "table": "edgar.raw.filings", "table_id": "raw-id", "location": "s3://raw", "version": 4,
    },
    "curated": {
        "table": "edgar.curated.risk_factor_examples", "table_id": "curated-id",
        "location": "s3://curated", "version": 3, "partition": "execution_id=abcdefghijkl",
    },
    "template": "risk-factor-heading/1",
    "counts": {
        "filings_read": 62, "filings_kept": 36, "filings_rejected": 26, "examples_train": 900,
        "examples_eval": 120, "examples_rejected": 3, "companies_train": 30, "companies_eval": 6,
        "rejected_by_reason": {"no_risk_factors": 26},
    },
}  # fmt: skip


def _lineage() -> dict[str, Any]:
    return {
        "execution_arn": ARN,
        "training_job": "pipelines-abcdefghijkl-Train",
        "principal": "train-principal",
        "prepare_manifest_sha256": "a" * 64,
        "git_commit": "c" * 40,
        "base_model": {
            "name": "mistralai/Ministral-3-3B-Instruct-2512",
            "revision": "b" * 40,
            "mirror_sha256": "d" * 64,
            "licence": "apache-2.0",
        },
    }


def _lengths(n: int) -> dict[str, Any]:
    """Return the lengths of a split with 900 / n documents."""
    return {
        "documents": 900 // n, "tokens": 400000 // n, "target_tokens": 70000 // n,
        "longest_before_cut": 3000,
        "histogram_before_cut": {
            "<= 64": 3, "<= 128": 60 // n, "<= 256": 260 // n, "<= 512": 420 // n, "<= 1024": 150,
            "longer": 9,
        },
        "affected_documents": {"prompt_cut": 9}, "lost_tokens": {"prompt_cut": 1200},
    }  # fmt: skip


def _share(name: str, tokens: int, before: float | None, after: float) -> dict[str, Any]:
    return {"name": name, "tokens": tokens, "eval_loss_before": before, "eval_loss": after}


def _point(step: int) -> dict[str, float]:
    return {
        "step": step,
        "train_loss": 3.3 * math.exp(-step / 80) + 1.9 + math.sin(step) / 9,
        "learning_rate": 2e-4 * (1 - step / 200),
    }


def measured(**passes: int) -> dict[str, Any]:
    """Return metrics whose evaluations made these passes over 43 examples and a sample of 16."""
    sizes = {"examples": 43, "tokens": 90000, "sample_examples": 16, "sample_tokens": 30000}
    return {**_METRICS, "evaluated": {**sizes, **passes, "share": 0.117}}


def document(**changes: Any) -> dict[str, Any]:
    """Return the findings as a JSON document, with parts replaced by `changes`."""
    merged = Merged(
        documents=4, positions=128, difference=0.019, difference_from_base=0.13, tolerance=0.05
    )
    return {
        "schema": "governed-finetune/training-report/1",
        "system": "You are an analyst.",
        "metrics": dict(_METRICS),
        "by_year": [_share(str(y), 800, 3.2, 2.0 + y % 7 / 20) for y in range(2014, 2024)],
        "by_group": [_share("finance | banks", 4000, None, 2.2)],
        "data": dict(_DATA),
        "lineage": _lineage(),
        "live_metrics": {"mlflow_run_id": "0123456789abcdef", "problems": []},
        "lengths": {"train": _lengths(1), "eval": _lengths(8)},
        "precision": {
            "requested": "auto", "effective": "storage", "dtype": "bfloat16",
            "device": "NVIDIA A10G",
        },
        "parameters": {
            "epochs": 1, "learning_rate": 0.0002, "lora_rank": 16, "seed": 17,
            "determinism": "seeded", "micro_rows": 4,
        },
        "curve": [_point(step) for step in range(1, 201)],
        "curve_steps_per_point": 1,
        "evaluations": [
            {"step": s, "eval_loss": 2.1 + abs(s - 150) / 150} for s in (50, 100, 150, 200)
        ],
        "sample": {"example_id": "x<1>", "base": HOSTILE, "tuned": "Competition could harm us."},
        "merged": merged.model_dump(),
        "seconds": {"load": 1.5, "train": 905.2},
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
    } | changes  # fmt: skip


def findings(**changes: Any) -> Findings:
    """Return the document as validated findings."""
    return Findings.model_validate(document(**changes))
