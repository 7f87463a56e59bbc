"""A model's aliases with the registrations and decisions, replayed in the ledger's order."""

from collections.abc import Iterator
from dataclasses import dataclass

from steps.governance.documents.approval import Approval
from steps.reconcile.differences import Difference, Remedy
from steps.reconcile.inventory import Inventory
from steps.reconcile.sources.evidence import Recorded
from steps.reconcile.sources.registry import Model

_PAIR = "ledger.aliases"


@dataclass(frozen=True)
class _Origin:
    """Why an alias points to a version: its last registration, or a decision (None)."""

    version: int | None
    registration: Recorded | None = None


def ledger_aliases(inventory: Inventory) -> Iterator[Difference]:
    """Each alias points where the last registration or decision about it put it."""
    for name, model in inventory.models.items():
        expected = _replayed(inventory, name)
        for alias in sorted(expected.keys() | model.aliases.keys()):
            if _is_unsettled(inventory, name, alias):
                continue
            found = _difference(inventory, model, alias, expected.get(alias))
            if found is not None and inventory.arguments.execution in (None, found.execution):
                yield found


def _replayed(inventory: Inventory, model: str) -> dict[str, _Origin]:
    evidence = inventory.evidence
    by_key = {each.key: each for each in evidence.records.values()}
    first = [each for each in by_key.values() if each.record.ledger is None]
    aliases: dict[str, _Origin] = {}
    for recorded in sorted(first, key=lambda each: each.record.registered_at):
        _register(recorded, model, aliases)
    for entered in evidence.ledger:
        if recorded_now := by_key.get(entered.entry.document):
            _register(recorded_now, model, aliases)
        elif entered.approval is not None and entered.approval.model == model:
            _decide(entered.approval, aliases)
    return aliases


def _register(recorded: Recorded, model: str, aliases: dict[str, _Origin]) -> None:
    if recorded.record.model.name == model:
        aliases[recorded.record.model.alias] = _Origin(recorded.record.model.version, recorded)


def _decide(approval: Approval, aliases: dict[str, _Origin]) -> None:
    """Apply a decision; a revocation puts back what the approval replaced."""
    approves = approval.action == "approve"
    aliases[approval.alias] = _Origin(approval.version if approves else approval.replaced_version)


def _difference(
    inventory: Inventory, model: Model, alias: str, origin: _Origin | None
) -> Difference | None:
    found = model.aliases.get(alias)
    wanted = origin.version if origin else None
    if found == wanted:
        return None
    subject = f"{model.name}@{alias}"
    recorded = origin.registration if origin else None
    if found is not None or recorded is None:
        what = f"the alias points to {_shown(found)}, by the ledger to {_shown(wanted)}"
        advice = "run pipeline.audit, then pipeline.approve with or without --revoke"
        return Difference(_PAIR, subject, what, advice=advice)
    execution = inventory.executions.get(recorded.execution)
    if execution is not None and not execution.registered:
        return None  # stopped after its record: no alias was set, as it should be
    if execution is None or model.versions.get(int(wanted or 0)) is None:
        what = f"the alias is missing, by the ledger it points to {_shown(wanted)}"
        return Difference(_PAIR, subject, what, execution=recorded.execution)
    what = f"the alias is missing, its registration set it to {_shown(wanted)}"
    return Difference(_PAIR, subject, what, Remedy.WORKER, recorded.execution)


def _is_unsettled(inventory: Inventory, model: str, alias: str) -> bool:
    """Whether a registration that is not settled may be about to set the alias."""
    return any(
        (each.record.model.name, each.record.model.alias) == (model, alias)
        and not inventory.settled(each.execution)
        for each in inventory.evidence.records.values()
    )


def _shown(version: int | None) -> str:
    return "nothing" if version is None else f"version {version}"
