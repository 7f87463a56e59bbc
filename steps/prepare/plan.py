"""The plan of a run before it writes: counts, the split, and each commit's metadata."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from steps.governance.documents.manifest import PreparedCounts
from steps.governance.errors import GovernanceError
from steps.prepare.arguments import Arguments
from steps.prepare.contract import settings
from steps.prepare.contract.agreement import Agreement
from steps.prepare.delta.store import Content, Provenance
from steps.prepare.filings import split
from steps.prepare.filings.survey import Survey
from steps.prepare.schemas import EXAMPLES, REJECTED

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """`curated` is what the curated table's commit must hold; `settings` decided it."""

    counts: PreparedCounts
    curated: Content
    settings: dict[str, str]


def agreed(planned: Plan, agreement: Agreement) -> Plan:
    """Return the plan whose curated commit records the profile and the run it was compared with."""
    made = replace(
        planned.curated.provenance,
        compared_with=agreement.run.name,
        profile=agreement.profile.text(),
    )
    return replace(planned, curated=replace(planned.curated, provenance=made))


def plan(found: Survey, arguments: Arguments, *, raw_version: int, unusable: Sequence[str]) -> Plan:
    """Bind the curated commit to what was counted."""
    made = _provenance(arguments, raw_version, found.examples_sha256)
    content = Content(EXAMPLES, found.examples, made)
    return Plan(found.counts(unusable), content, settings.of(arguments))


def rejected_content(
    found: Survey, arguments: Arguments, raw_version: int, compared_with: str
) -> Content:
    """Return the content of the rejected table's commit, also if nothing else is committed."""
    made = _provenance(arguments, raw_version, found.rejected_sha256())
    return Content(REJECTED, found.rejected, replace(made, compared_with=compared_with))


def too_few(found: Survey, where: str) -> GovernanceError:
    """Return why no split is possible, in numbers, and `where` each rejected row is."""
    companies = len(found.companies)
    return GovernanceError(
        "the examples cannot be split into train and eval, no example was written",
        expected=f"risk factors of at least {split.FEWEST_COMPANIES} companies, because no "
        "company may be in both splits",
        got=f"{companies} {'company' if companies == 1 else 'companies'} with usable risk "
        "factors; "
        f"rejected: {found.explained() or 'nothing'}",
        do=f"{where}correct the raw table, or give one with filings of more companies",
    )


def _provenance(arguments: Arguments, raw_version: int, sha256: str) -> Provenance:
    return Provenance(
        arguments.execution_arn,
        str(arguments.raw_table),
        raw_version,
        sha256,
        arguments.tasks.name,
    )


def where_rejected(found: Survey, arguments: Arguments, version: int) -> str:
    """Return a hint at the rejected rows of this execution; empty without any."""
    if not found.rejected:
        return ""
    table = arguments.curated_table.sibling("rejected")
    where = f"table {table} version {version} (execution_id {arguments.execution_id})"
    return f"see the rejected rows in {where}; "


def log_counts(planned: Plan) -> None:
    """Log what will be committed, and each field that could not be used."""
    log.info("counts %s", planned.counts.model_dump_json())
    for fault, filings in (planned.counts.ignored_fields or {}).items():
        log.warning("a field of %d kept filings is ignored: %s", filings, fault)
