"""What a package in SageMaker's own registry states about a model version and its decisions.

    subject(name, version=3, record_sha256=…, image=…)   # its description, which nobody can change
    metadata(record, sha256)                             # its customer metadata
    status, (key, approval) = standing(decided)          # Approved while an alias is approved
    reason(key, approval)                                # its approval's description

The evidence decides, and a package repeats it. Who makes packages and who compares them share
these texts (docs/decisions/080-packages.md).
"""

import re
from collections.abc import Mapping, Sequence

from steps.governance.documents.approval import Approval
from steps.governance.documents.record import Record

APPROVED, REJECTED, PENDING = "Approved", "Rejected", "PendingManualApproval"
_PREFIX = "governed_finetune."
_MOST_VALUE, _MOST_REASON = 256, 1024  # characters [botocore 1.44.5]
_SUBJECT = re.compile(
    r"(?P<name>[a-z0-9_]+(?:\.[a-z0-9_]+){2})@(?P<version>[1-9][0-9]{0,17})"
    r", record (?P<record>[0-9a-f]{64}), image (?P<image>\S+)"
)
Version = tuple[str, int]  # a model's name and the number
Decided = tuple[str, Approval]  # the key of a decision's document, and its content


def subject(name: str, *, version: int, record_sha256: str, image: str) -> str:
    """Return a package's description: of which version, by which record, served by which image."""
    return f"{beginning(name, version=version, record_sha256=record_sha256)}{image}"


def beginning(name: str, *, version: int, record_sha256: str) -> str:
    """Return the beginning of a version's description, for every image."""
    return f"{name}@{version}, record {record_sha256}, image "


def parsed(description: str) -> tuple[str, int, str, str] | None:
    """Return name, version, record's sha256 and image of a description; None: it is not ours."""
    found = _SUBJECT.fullmatch(description)
    if found is None:
        return None
    return found["name"], int(found["version"]), found["record"], found["image"]


def decided_version(
    description: str, decided: Mapping[Version, Sequence[Decided]]
) -> Version | None:
    """Return the version that a description names; None if no decision was about its record."""
    found = parsed(description)
    if found is None:
        return None
    name, version, record_sha256, _ = found
    given = decided.get((name, version), ())
    known = any(approval.record_sha256 == record_sha256 for _, approval in given)
    return (name, version) if known else None


def metadata(record: Record, sha256: str) -> dict[str, str]:
    """Return a package's customer metadata; a value has 256 characters at most."""
    values = {
        "execution": record.execution.arn.rsplit("/", 1)[-1],
        "model": record.model.name,
        "version": str(record.model.version),
        "record_sha256": sha256,
        "archive_sha256": record.artifact.sha256,
        "archive_version": record.artifact.version_id,
        "data": f"{record.curated.table}@{record.curated.version}",
        "base_model": f"{record.base_model.name}@{record.base_model.revision}",
    }
    return {f"{_PREFIX}{name}": value[:_MOST_VALUE] for name, value in values.items()}


def standing(decided: Sequence[Decided]) -> tuple[str, Decided]:
    """Return a version's status and the decision that gave it, of decisions in the ledger's order.

    It is approved while the last decision about any of its aliases is an approval, as the
    version's approval tag.
    """
    last = {approval.alias: (key, approval) for key, approval in decided}
    approved = [each for each in last.values() if each[1].action == "approve"]
    if not approved:
        return REJECTED, decided[-1]
    return APPROVED, max(approved, key=decided.index)


def reason(key: str, approval: Approval) -> str:
    """Return an approval's description: the decision, who decided, and why, in one line."""
    done = "approved" if approval.action == "approve" else "revoked"
    text = f"{key}: alias {approval.alias} {done} by {approval.approver}: {approval.reason}"
    return text if len(text) <= _MOST_REASON else f"{text[: _MOST_REASON - 1]}…"
