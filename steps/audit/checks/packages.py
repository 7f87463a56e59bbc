"""Checks of SageMaker's own registry: its packages repeat record and ledger, and decide nothing.

They run if conf names a group. The evidence is the answer to who allowed what, so a package that
differs is the mismatch. One that is Rejected cannot be deployed: only its status is compared.
"""

from collections.abc import Iterator

from steps.audit.checks.whole import Whole
from steps.audit.findings import Comparison
from steps.audit.services.packages import Package, Packages
from steps.governance.documents import model_package
from steps.governance.documents.model_package import APPROVED, REJECTED, Decided, Version
from steps.governance.documents.record import Record
from steps.governance.errors import NotFound

_Pair = tuple[str, object, object]


def packages_decided(whole: Whole) -> Comparison:
    """Each package is of a version that was decided about, by its record, and its only one."""
    service = _service(whole)
    decided, seen = _decided(whole), set[Version]()
    foreign, repeated, closed = [], [], 0
    for package in service.all():
        version = model_package.decided_version(package.subject, decided)
        if package.status == REJECTED and (version is None or version in seen):
            closed += 1
        elif version is None:
            foreign.append(f"{package.name} ({package.status}) by {package.changed}")
        elif version in seen:
            repeated.append(f"{package.name} by {package.changed}")
        if version is not None:
            seen.add(version)
    return Comparison(
        service.group,
        [
            ("packages without a decision", [], foreign),
            ("second packages of a version", [], repeated),
        ],
        summary=f"packages: {len(service.all())}, of which {closed} rejected without a decision",
    )


def packages_status(whole: Whole) -> Comparison:
    """The package of each version has the status, reason, archive and digests of the evidence."""
    service = _service(whole)
    decided, found = _decided(whole), dict[Version, Package]()
    for package in service.all():
        version = model_package.decided_version(package.subject, decided)
        if version is not None:
            found.setdefault(version, package)
    pairs: list[_Pair] = []
    for version, given in decided.items():
        pairs += _pairs(whole, version, given, found.get(version))
    return Comparison(service.group, pairs, summary=f"versions with a decision: {len(decided)}")


def _pairs(
    whole: Whole, version: Version, given: list[Decided], package: Package | None
) -> Iterator[_Pair]:
    status, deciding = model_package.standing(given)
    shown = f"{version[0]}@{version[1]}"
    if package is None:
        if status == APPROVED:
            yield f"package of {shown}", status, "none"
        return
    yield f"status of {package.name}", status, _by(package, package.status, status)
    record = _record(whole, version)
    if status != APPROVED or record is None:
        return
    reason = model_package.reason(*deciding)
    yield f"reason of {package.name}", reason, _by(package, package.reason, reason)
    wanted = model_package.metadata(record, deciding[1].record_sha256)
    yield f"metadata of {package.name}", wanted, dict(package.metadata)
    yield f"archive of {package.name}", (record.artifact.uri,), package.archives
    described = model_package.parsed(package.subject)
    yield f"image of {package.name}", described and (described[3],), package.images


def _by(package: Package, found: str, expected: str) -> str:
    """What was found; if it differs, with who changed the package last."""
    return found if found == expected else f"{found or 'nothing'}, changed by {package.changed}"


def _service(whole: Whole) -> Packages:
    service = whole.context.services.packages
    if service is None:
        raise NotFound("no group of packages was asked for")
    return service


def _decided(whole: Whole) -> dict[Version, list[Decided]]:
    """The decisions about each version, in the ledger's order."""
    found: dict[Version, list[Decided]] = {}
    approvals = whole.context.ledger.approvals
    for stored in whole.context.ledger.entries:
        approval = stored.entry and approvals.get(stored.entry.document)
        if stored.entry is not None and approval:
            decided = found.setdefault((approval.model, approval.version), [])
            decided.append((stored.entry.document, approval))
    return found


def _record(whole: Whole, version: Version) -> Record | None:
    """The record of a version; one that cannot be read is reported by its own check."""
    of_version = (
        each for each in whole.records.values() if (each.model.name, each.model.version) == version
    )
    return next(of_version, None)
