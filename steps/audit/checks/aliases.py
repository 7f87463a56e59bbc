"""Checks of a model's aliases: registrations and approvals are replayed in the ledger's order."""

from collections.abc import Mapping

from steps.audit.checks.whole import Model, is_running, is_withdrawn
from steps.audit.findings import Comparison
from steps.governance.documents.approval import Approval


def version_alias(model: Model) -> Comparison:
    """Aliases that registrations set point where the last registration set them."""
    expected, decided = _aliases(model)
    found = _now(model)
    pairs = [
        (alias, version, found.get(alias))
        for alias, version in sorted(expected.items())
        if alias not in decided and not _is_unsettled(model, alias)
    ]
    return Comparison(f"aliases of {model.name}", pairs, summary=_summary(expected, decided))


def alias_approval(model: Model) -> Comparison:
    """Every other alias points where its last approval or revocation put it."""
    expected, decided = _aliases(model)
    found = _now(model)
    names = (decided | (found.keys() - expected.keys())) - {
        alias for alias in found if _is_unsettled(model, alias)
    }
    pairs = [(alias, expected.get(alias), found.get(alias)) for alias in sorted(names)]
    return Comparison(
        f"aliases of {model.name}", pairs, summary=f"{len(pairs)} aliases with an approval"
    )


def _aliases(model: Model) -> tuple[dict[str, int], set[str]]:
    """Replay registrations and approvals: the version of each alias, and who has it by approval."""
    context = model.whole.context
    records = {
        case.key: model.records[case.key]
        for case in model.whole.cases
        if case.key in model.records and not is_withdrawn(case)
    }
    first = [each for each in records.values() if each.ledger is None]
    aliases = {
        each.model.alias: each.model.version
        for each in sorted(first, key=lambda each: each.registered_at)
    }
    decided: set[str] = set()
    for stored in context.ledger.entries:
        if stored.entry is None:
            continue
        record = records.get(stored.entry.document)
        approval = context.ledger.approvals.get(stored.entry.document)
        if record is not None:
            aliases[record.model.alias] = record.model.version
            decided.discard(record.model.alias)
        elif approval is not None and approval.model == model.name:
            _decide(approval, aliases)
            decided.add(approval.alias)
    return aliases, decided


def _decide(approval: Approval, aliases: dict[str, int]) -> None:
    """Apply a decision; a revocation puts back what the approval replaced."""
    approves = approval.action == "approve"
    version = approval.version if approves else approval.replaced_version
    if version is None:
        aliases.pop(approval.alias, None)
    else:
        aliases[approval.alias] = version


def _now(model: Model) -> Mapping[str, int]:
    return model.whole.context.services.registry.aliases(model.name)


def _is_unsettled(model: Model, alias: str) -> bool:
    """Whether a registration that still runs may be about to set the alias."""
    return any(
        case.key in model.records
        and model.records[case.key].model.alias == alias
        and is_running(case)
        for case in model.whole.cases
    )


def _summary(expected: Mapping[str, int], decided: set[str]) -> str:
    return ", ".join(
        f"{alias} → {version}" for alias, version in expected.items() if alias not in decided
    )
