"""The result of a journey: as a table for people, and as a document for programs."""

from dataclasses import asdict, replace
from typing import Any

from pipeline.execution import progress
from pipeline.local.journey import Journey

_ONE_LINE = 160  # characters of a generated text that a table shows


def rows(journey: Journey, *, kept: bool) -> list[tuple[str, str]]:
    """Return the rows of the table, name and value, in the order of the steps.

    Pages are left out unless the environment is `kept`: without it nothing answers at their
    addresses.
    """
    outcome = journey.outcome
    assert outcome is not None  # noqa: S101 - a journey that ended has one
    if not kept:
        outcome = replace(outcome, report_url=None, model_url=None, run_url=None)
    return [
        *progress.result(outcome),
        *_counted(journey.counts, journey.max_eval_examples),
        *(
            (name, _one_line(journey.answer[name]))
            for name in ("prompt", "completion")
            if name in journey.answer
        ),
        (
            "time",
            " · ".join(f"{part} {seconds:.1f} s" for part, seconds in journey.seconds.items()),
        ),
    ]


def document(journey: Journey) -> dict[str, Any]:
    """Return the same as JSON values."""
    steps = journey.outcome.steps if journey.outcome else ()
    return asdict(journey) | {
        "steps": [{"name": step.name, "seconds": step.seconds} for step in steps]
    }


def _counted(counts: dict[str, Any], measured: int) -> list[tuple[str, str]]:
    if not counts:
        return []
    filings = (
        f"{counts['filings_read']} read, {counts['filings_kept']} kept, "
        f"{counts['filings_rejected']} rejected"
    )
    part = (
        f" (each evaluation measures {measured} of them)"
        if 0 <= measured < counts["examples_eval"]
        else ""
    )
    examples = (
        f"{counts['examples_train']} to train on from {counts['companies_train']} companies, "
        f"{counts['examples_eval']} to evaluate on from {counts['companies_eval']} others{part}, "
        f"{counts['examples_rejected']} rejected"
    )
    reasons = ", ".join(
        f"{reason} {count}" for reason, count in sorted(counts["rejected_by_reason"].items())
    )
    ignored = ", ".join(
        f"{fault} {count}" for fault, count in sorted((counts.get("ignored_fields") or {}).items())
    )
    return [
        ("filings", filings),
        ("examples", examples),
        ("rejected for", reasons or "nothing"),
        *([("ignored", ignored)] if ignored else []),
    ]


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _ONE_LINE else f"{words[: _ONE_LINE - 1]}…"
