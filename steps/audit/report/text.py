"""An audit's lines as text and as JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from steps.audit.findings import Finding, Outcome, exit_code

_WORDS = {
    0: "clean",
    1: "mismatch",
    2: "could not check everything",
    3: "clean, but some files are gone by declared retention",
}


def headline(findings: Sequence[Finding]) -> str:
    """Return the outcome of an audit in one line."""
    counts = Counter(finding.outcome for finding in findings)
    parts = [f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome]]
    return f"{_WORDS[exit_code(findings)]}: {', '.join(parts)}"


def as_text(findings: Sequence[Finding]) -> str:
    """Return the outcome, then one line for each check, grouped by what the lines are about."""
    lines = [headline(findings)]
    for subject in dict.fromkeys(finding.subject for finding in findings):
        lines += ["", subject]
        lines += [_line(each) for each in findings if each.subject == subject]
    return "\n".join(lines) + "\n"


def as_json(findings: Sequence[Finding]) -> str:
    """Return one JSON document: the outcome, the exit code and every line."""
    document = {
        "outcome": headline(findings),
        "exit_code": exit_code(findings),
        "findings": [asdict(finding) for finding in findings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _line(finding: Finding) -> str:
    parts = (finding.expected, finding.found, finding.where)
    return f"  {finding.outcome.value:<9} {finding.code:<22} " + " · ".join(filter(None, parts))
