"""One audit from its target to its lines.

    findings = audit(Context(arguments, services))

A check that fails or cannot run hides no other. Nothing is written but, on stderr, how many records
are done of all, where that takes over three seconds.
"""

import difflib
from collections.abc import Callable
from typing import TypeVar

from steps.audit.arguments import Target
from steps.audit.case import Case
from steps.audit.check import run
from steps.audit.checks.whole import Whole, models, record_keys
from steps.audit.context import Context
from steps.audit.findings import Finding, Outcome, shown
from steps.audit.order import LEDGER, MODEL, PACKAGES, RECORD, WHOLE
from steps.governance.commands import pace
from steps.governance.errors import GovernanceError, NotFound, UsageError

_R = TypeVar("_R")


def audit(context: Context) -> list[Finding]:
    """Return one line for each check of each record, model, the ledger and the bucket.

    Raises:
        UsageError: the target does not exist; the message has the nearest name.
    """
    target = context.arguments.target
    number = None if target is None else _version(context, target)
    findings = [run(check, context, "evidence") for check in LEDGER]
    try:
        keys = record_keys(context)
    except GovernanceError as error:
        unlisted = Finding(
            "records.complete", Outcome.COULD_NOT, "a list of all records", shown(error), ""
        )
        return [*findings, unlisted]
    cases = [Case(context, key) for key in keys]
    _of_each(context, "reading", _read, cases)
    whole = Whole(context, cases)
    chosen = cases if target is None else _of(whole, target.model, number)
    for lines in _of_each(context, "checking", _record_lines, chosen):
        findings += lines
    findings += [run(check, whole, "evidence") for check in WHOLE]
    if context.services.packages is not None:
        findings += [run(check, whole, "evidence") for check in PACKAGES]
    for model in models(whole):
        if target is None or model.name == target.model:
            findings += [run(check, model, model.name) for check in MODEL]
    return findings


def _of_each(
    context: Context, doing: str, work: Callable[[Case], _R], cases: list[Case]
) -> list[_R]:
    """Return the work's result for each record, and show how many are done."""
    records = pace.Work(doing, len(cases), "records")
    with pace.shown(records, quiet=context.arguments.quiet) as add:

        def counted(case: Case) -> _R:
            result = work(case)
            add(1)
            return result

        return context.each(counted, cases)


def _record_lines(case: Case) -> list[Finding]:
    deep = case.context.arguments.deep
    return [run(check, case, case.subject) for check in RECORD if deep or not check.deep]


def _read(case: Case) -> None:
    """Read the record once; what is wrong with it is reported by `record.document`."""
    try:
        case.content  # noqa: B018 - kept by the case
    except GovernanceError:
        return


def _version(context: Context, target: Target) -> int:
    """Return the number of the target's version.

    Raises:
        UsageError: no such model, version or alias.
    """
    registry = context.services.registry
    try:
        aliases = registry.aliases(target.model)
    except NotFound:
        catalog, schema, _ = target.model.split(".")
        raise _unknown("model", target.model, registry.models(catalog, schema)) from None
    if target.alias is not None:
        if target.alias not in aliases:
            raise _unknown("alias", target.alias, list(aliases))
        return aliases[target.alias]
    numbers = [each.version for each in registry.versions(target.model)]
    if target.version not in numbers:
        raise _unknown("version", str(target.version), [str(each) for each in numbers])
    return target.version


def _of(whole: Whole, model: str, number: int | None) -> list[Case]:
    records = whole.records
    found = [
        case
        for case in whole.cases
        if case.key in records
        and (records[case.key].model.name, records[case.key].model.version) == (model, number)
    ]
    unreadable = [case for case in whole.cases if case.key not in records]
    return found + unreadable


def _unknown(kind: str, name: str, known: list[str]) -> UsageError:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return UsageError(
        f"the audit was not started: no {kind} {name} exists",
        expected=f"a registered {kind}",
        got=name,
        do=f"did you mean {nearest[0]}?" if nearest else f"the registry has no {kind} yet",
    )
