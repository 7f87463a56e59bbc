"""The packages of SageMaker's own registry with the ledger's decisions, if conf names a group.

The reconciler rejects: a package that no decision approves is closed here, which its policy allows
and nothing more. What is missing or waits, only the approver's command completes.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from steps.governance.documents import model_package
from steps.governance.documents.model_package import APPROVED, REJECTED, Decided, Version
from steps.governance.errors import IntegrityError
from steps.governance.model_packages.group import Package
from steps.reconcile.differences import Difference, Rejection, Remedy
from steps.reconcile.inventory import Inventory

_PAIR = "ledger.packages"
_AGAIN = "the same pipeline.approve again completes it, or revoke and approve"
_UNDECIDED = "rejected by a reconciliation: the ledger has no decision that this package repeats"


def ledger_packages(inventory: Inventory) -> Iterator[Difference]:
    """Each package has the status that the ledger's decisions about its version mean."""
    if inventory.services.packages is None:
        return
    _require_whole(inventory)
    decided, first = _decided(inventory), dict[Version, Package]()
    for package in inventory.packages:
        version = model_package.decided_version(package.subject, decided)
        if version is not None and version not in first:
            first[version] = package
        elif package.status != REJECTED and _is_old_enough(inventory, package):
            yield _closed(package, "no decision that it repeats", _UNDECIDED)
    for version, given in decided.items():
        if _is_settled(inventory, given):
            yield from _differences(version, given, first.get(version))


def _differences(
    version: Version, given: list[Decided], package: Package | None
) -> Iterator[Difference]:
    status, deciding = model_package.standing(given)
    reason = model_package.reason(*deciding)
    if package is None:
        if status == APPROVED:
            subject = f"{version[0]}@{version[1]}"
            what = "it is approved by the ledger, and has no package"
            yield Difference(_PAIR, subject, what, advice=_AGAIN)
    elif status == REJECTED:
        if package.status != REJECTED:
            yield _closed(package, f"revoked by {deciding[0]}", reason)
    elif (package.status, package.reason) != (status, reason):
        what = f"{_shown(package)}, by {deciding[0]} it is {status}"
        yield Difference(_PAIR, _name(package), what, advice=_AGAIN)


def _closed(package: Package, by_ledger: str, reason: str) -> Difference:
    what = f"{_shown(package)}, by the ledger: {by_ledger}"
    rejection = Rejection(package.arn, reason)
    return Difference(_PAIR, _name(package), what, Remedy.REJECT, rejection=rejection)


def _decided(inventory: Inventory) -> dict[Version, list[Decided]]:
    """The decisions about each version that `--execution` and `--model` leave in."""
    found: dict[Version, list[Decided]] = {}
    for entered in inventory.evidence.ledger:
        if (approval := entered.approval) is not None:
            version = (approval.model, approval.version)
            found.setdefault(version, []).append((entered.entry.document, approval))
    only, model = inventory.arguments.execution, inventory.arguments.model
    return {
        version: given
        for version, given in found.items()
        if model is None or version[0] == str(model)
        if only is None or f"/{only}/" in given[0][1].record
    }


def _require_whole(inventory: Inventory) -> None:
    """Refuse to judge by a part of the decisions: an approved package could be rejected.

    Raises:
        IntegrityError: an entry or an approval cannot be read.
    """
    unread = [key for key in inventory.evidence.unread if key.startswith(("ledger/", "approvals/"))]
    if unread:
        raise IntegrityError(
            "packages were not compared, since a decision cannot be read",
            expected="each entry of the ledger with its document",
            got=", ".join(sorted(unread))[:200],
            do="run `python -m pipeline.audit --all`",
        )


def _is_old_enough(inventory: Inventory, package: Package) -> bool:
    """Whether a package without a decision is judged: nothing narrows, and no command makes it."""
    given = inventory.arguments
    return (
        given.execution is None and given.model is None and inventory.is_older(package.changed_at)
    )


def _is_settled(inventory: Inventory, given: list[Decided]) -> bool:
    """Whether the last decision is old enough for its command to have ended."""
    at = datetime.strptime(given[-1][1].decided_at, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007
    return inventory.is_older(at.replace(tzinfo=UTC))


def _name(package: Package) -> str:
    return package.arn.rpartition("model-package/")[2]


def _shown(package: Package) -> str:
    return f"it is {package.status or 'without a status'}, changed by {package.changed_by}"
