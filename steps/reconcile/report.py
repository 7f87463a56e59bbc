"""The lines of a reconciliation, for a person or as one JSON document."""

import json
from collections.abc import Sequence

from steps.reconcile.differences import Comparison
from steps.reconcile.fixing import Line

SCHEMA = "governed-finetune/reconciliation/1"


def as_text(lines: Sequence[Line], comparison: Comparison) -> str:
    """Return one line for each difference, and for each comparison that could not be made."""
    rows = [(line.action, line.difference.pair, _sentence(line)) for line in lines] + [
        ("could not compare", each.pair, each.reason) for each in comparison.could_not
    ]
    return "".join(f"{action:<20} {pair:<17} {text}\n" for action, pair, text in rows)


def summary(comparison: Comparison) -> str:
    """Return one line about the whole: how many differences are left, and what was left out."""
    left = len(comparison.differences)
    words = ["all agree" if not left else f"{left} difference{'s' if left > 1 else ''} left"]
    if comparison.could_not:
        words.append(f"{len(comparison.could_not)} not compared")
    if young := comparison.young:
        some = ", ".join(f"{identity} ({reason})" for identity, reason in sorted(young.items())[:3])
        words.append(f"{len(young)} left out: {some}{', …' if len(young) > 3 else ''}")
    return "; ".join(words)


def as_json(lines: Sequence[Line], comparison: Comparison) -> str:
    """Return the same as one JSON document."""
    document = {
        "schema": SCHEMA,
        "lines": [
            {
                "action": line.action,
                "pair": line.difference.pair,
                "subject": line.difference.subject,
                "difference": line.difference.what,
                "execution": line.difference.execution or None,
                "advice": line.difference.advice or None,
            }
            for line in lines
        ],
        "left": len(comparison.differences),
        "could_not": [{"pair": each.pair, "reason": each.reason} for each in comparison.could_not],
        "left_out": dict(comparison.young or {}),
        "exit_code": comparison.exit_code,
    }
    return json.dumps(document, indent=2) + "\n"


def _sentence(line: Line) -> str:
    found = line.difference
    advice = f" ({found.advice})" if found.advice else ""
    return f"{found.subject}: {found.what}{advice}"
