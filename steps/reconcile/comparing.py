"""All comparisons in their order. One that fails or cannot be made hides no other.

comparison = compare(Inventory(arguments, services))
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from steps.governance.errors import GovernanceError
from steps.reconcile.differences import Comparison, CouldNot, Difference, one_line
from steps.reconcile.inventory import Inventory
from steps.reconcile.pairs import aliases, packages, records, steps


@dataclass(frozen=True)
class Pair:
    """Two services that are compared: a stable code and the comparison."""

    code: str
    compare: Callable[[Inventory], Iterator[Difference]]


QUEUE = Pair("step.queue", steps.step_queue)
PAIRS = (
    Pair("execution.jobs", steps.execution_jobs),
    Pair("jobs.evidence", steps.jobs_evidence),
    QUEUE,
    Pair("step.record", steps.step_record),
    Pair("record.signature", records.record_signature),
    Pair("record.ledger", records.record_ledger),
    Pair("record.version", records.record_version),
    Pair("version.tags", records.version_tags),
    Pair("ledger.aliases", aliases.ledger_aliases),
    Pair("record.lineage", records.record_lineage),
    Pair("ledger.packages", packages.ledger_packages),
)


def compare(inventory: Inventory) -> Comparison:
    """Return the differences of each pair, and which comparisons could not be made."""
    found: list[Difference] = []
    could_not: list[CouldNot] = []
    for pair in (QUEUE,) if inventory.arguments.redrive else PAIRS:
        try:
            for difference in pair.compare(inventory):
                found.append(difference)
        except GovernanceError as error:
            could_not.append(CouldNot(pair.code, one_line(error)))
    return Comparison(tuple(found), (*could_not, *_unread(inventory)), _young(inventory))


def _unread(inventory: Inventory) -> Iterator[CouldNot]:
    """One line for each document that could not be read."""
    try:
        unread = inventory.evidence.unread
    except GovernanceError:
        return  # each pair that needs it has reported it
    for key, reason in sorted(unread.items()):
        yield CouldNot("evidence.documents", f"{key}: {reason}")


def _young(inventory: Inventory) -> dict[str, str]:
    try:
        reasons = {identity: inventory.young(identity) for identity in inventory.executions}
    except GovernanceError:
        return {}
    return {
        identity: reason
        for identity, reason in reasons.items()
        if reason and inventory.arguments.execution in (None, identity)
    }
