"""An audit as one self-contained HTML page: no script, no external resource."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from steps.audit.context import Context
from steps.audit.findings import Finding, Outcome, exit_code
from steps.audit.report.text import headline


def html(findings: Sequence[Finding], context: Context) -> str:
    """Return the page. Every value is escaped, since documents in the bucket may be hostile."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    arguments = context.arguments
    return environment.get_template("page.html.jinja").render(
        headline=headline(findings),
        exit_code=exit_code(findings),
        made_at=context.now().strftime("%Y-%m-%d %H:%M UTC"),
        depth="deep" if arguments.deep else "quick",
        pipeline=arguments.pipeline_name,
        keys={"records": context.signing.keyid, "approvals": context.approval.keyid},
        counts=Counter(finding.outcome.value for finding in findings),
        outcomes=[outcome.value for outcome in Outcome],
        groups=_groups(findings),
    )


def _groups(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The lines by what they are about, the worst group first and within a group the worst line."""
    rank = {outcome: place for place, outcome in enumerate(_WORST_FIRST)}
    subjects = dict.fromkeys(finding.subject for finding in findings)
    groups: list[dict[str, Any]] = []
    for subject in subjects:
        lines = sorted(
            (finding for finding in findings if finding.subject == subject),
            key=lambda finding: rank[finding.outcome],
        )
        groups.append({"subject": subject, "lines": lines, "worst": lines[0].outcome.value})
    return sorted(groups, key=lambda group: rank[Outcome(group["worst"])])


_WORST_FIRST = (Outcome.MISMATCH, Outcome.COULD_NOT, Outcome.GONE, Outcome.OK, Outcome.NOTE)
