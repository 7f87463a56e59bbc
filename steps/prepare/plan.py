"""The plan of a run before it writes: counts, the split, and each commit's metadata."""

from collections.abc import Sequence
from dataclasses import dataclass

from steps.governance.documents.manifest import PreparedCounts
from steps.prepare.arguments import Arguments
from steps.prepare.delta.store import Content, Provenance
from steps.prepare.filings import split
from steps.prepare.filings.survey import Survey
from steps.prepare.schemas import EXAMPLES, REJECTED


@dataclass(frozen=True)
class Plan:
    """`bound` decides the split (`steps.prepare.filings.split`).

    `curated` is what the curated table's commit must hold.
    """

    counts: PreparedCounts
    bound: str
    curated: Content


def plan(found: Survey, arguments: Arguments, *, raw_version: int, unusable: Sequence[str]) -> Plan:
    """Decide the split and bind the curated commit to what was counted.

    Raises:
        GovernanceError: fewer than two companies are left.
    """
    seed = arguments.seed
    bound = split.eval_bound(found.companies, fraction=arguments.eval_fraction, seed=seed)
    made = _provenance(arguments, raw_version, found.examples_sha256(bound=bound, seed=seed))
    return Plan(
        found.counts(bound=bound, seed=seed, unusable=unusable),
        bound,
        Content(EXAMPLES, found.examples, made),
    )


def rejected_content(found: Survey, arguments: Arguments, *, raw_version: int) -> Content:
    """Return the content of the rejected table's commit, also if too few companies are left."""
    return Content(
        REJECTED, found.rejected, _provenance(arguments, raw_version, found.rejected_sha256())
    )


def _provenance(arguments: Arguments, raw_version: int, sha256: str) -> Provenance:
    return Provenance(
        arguments.execution_arn,
        str(arguments.raw_table),
        raw_version,
        sha256,
        arguments.tasks.name,
    )
