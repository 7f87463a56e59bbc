"""What a run will write, known before it writes anything: counts, the split, and what each commit will say of itself."""

from dataclasses import dataclass

from steps.governance.manifest import PreparedCounts
from steps.prepare import split
from steps.prepare.arguments import Arguments
from steps.prepare.delta_io import Content, Provenance
from steps.prepare.examples import TEMPLATE
from steps.prepare.schemas import EXAMPLES, REJECTED
from steps.prepare.survey import Survey


@dataclass(frozen=True)
class Plan:
    """`bound` decides the split (`steps.prepare.split`); `curated` and `rejected` are what the two commits must hold."""

    counts: PreparedCounts
    bound: str
    curated: Content
    rejected: Content


def plan(found: Survey, arguments: Arguments, *, raw_version: int) -> Plan:
    """Decide the split and bind both commits to what was counted.

    Raises:
        GovernanceError: fewer than two companies are left.
    """
    seed = arguments.seed
    bound = split.eval_bound(found.companies, fraction=arguments.eval_fraction, seed=seed)

    def provenance(sha256: str) -> Provenance:
        return Provenance(arguments.execution_arn, str(arguments.raw_table), raw_version, sha256, TEMPLATE)

    return Plan(
        found.counts(bound=bound, seed=seed),
        bound,
        Content(EXAMPLES, found.examples, provenance(found.examples_sha256(bound=bound, seed=seed))),
        Content(REJECTED, found.rejected, provenance(found.rejected_sha256())),
    )
