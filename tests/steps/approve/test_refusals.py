"""Each refusal of an approval: one message, nothing decided, nothing written."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from steps.approve.decisions import Decisions
from steps.governance.documents import canonical
from steps.governance.documents.ledger import PAYLOAD_TYPE as ENTRY
from steps.governance.documents.ledger import name as entry_name
from steps.governance.evidence import Evidence
from steps.governance.names import UcName
from steps.governance.signing.kms_signer import Signer
from tests.steps.approve.support.approvals import Approvals, Version, record_of
from tests.steps.approve.support.dying import Dying
from tests.steps.register.support.register_environment import EVIDENCE, REGION

Damage = Callable[[Approvals, Version], None]


def refused(dying: Dying, version: Version, *flags: str, status: int = 1, **changed: str) -> str:
    """Run as alice; return what stderr has, after checking that nothing was written."""
    got, errors, calls = dying.run(version, "alice", *flags, **changed)
    assert got == status, errors
    assert "Traceback" not in errors
    assert not [call for call in calls if call.startswith(("PUT ", "DELETE "))]
    assert not [call for call in calls if call.endswith(("/set-tag", "/alias"))]
    return errors


def _record(version: Version) -> str:
    return f"{version.folder}/record.json"


def _without_record(approvals: Approvals, version: Version) -> None:
    approvals.environment.client("s3").delete_object(Bucket=EVIDENCE, Key=_record(version))


def _another_digest(approvals: Approvals, version: Version) -> None:
    approvals.tag(version, "record_sha256", "f" * 64)


def _not_canonical(approvals: Approvals, version: Version) -> None:
    content = json.dumps(json.loads(version.record.to_bytes()), indent=1).encode()
    approvals.put(_record(version), content)
    approvals.tag(version, "record_sha256", canonical.sha256(content))


def _withdrawn(approvals: Approvals, version: Version) -> None:
    approvals.tag(version, "withdrawn", "its pipeline step was answered with Failure")


def _newer_schema(approvals: Approvals, version: Version) -> None:
    content = version.record.to_bytes().replace(b"registered/2", b"registered/9")
    approvals.put(_record(version), content)


def _hostile(approvals: Approvals, version: Version) -> None:
    approvals.put(_record(version), b"[" * 100_000)


def _of_another_version(approvals: Approvals, version: Version) -> None:
    document = record_of(version.model, 9, version.record.execution.arn, _head(version))
    approvals.put(_record(version), document.to_bytes())


def _signed_for_another(approvals: Approvals, version: Version) -> None:
    approvals.sign(version, "f" * 64)


def _signed_by_another(approvals: Approvals, version: Version) -> None:
    envelope = Signer(REGION, approvals.keys["approval"]).envelope(b"{}", "text/plain")
    approvals.put(f"{version.folder}/record.dsse.json", envelope.to_bytes())


def _no_statement(approvals: Approvals, version: Version) -> None:
    envelope = approvals.signer.envelope(b"{}", "text/plain")
    approvals.put(f"{version.folder}/record.dsse.json", envelope.to_bytes())


def _replaced_after_its_entry(approvals: Approvals, version: Version) -> None:
    """Record, signature and tag agree, and only the ledger still has the first record's digest."""
    head, arn = _head(version), version.record.execution.arn
    changed = record_of(version.model, version.number, arn, head, started_at="2026-01-01T00:00:00Z")
    assert changed.sha256 != version.record.sha256
    approvals.put(_record(version), changed.to_bytes())
    approvals.sign(version, changed.sha256)
    approvals.tag(version, "record_sha256", changed.sha256)


def _head(version: Version) -> Any:
    assert version.record.ledger is not None
    return version.record.ledger.model_dump()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without_record, "has no record"),
        (_another_digest, "is not the record that the version names"),
        (_not_canonical, "is not canonical"),
        (_withdrawn, "was withdrawn"),
        (_newer_schema, "registered/1' or 'governed-finetune/registered/2"),
        (_hostile, "nested too deeply"),
        (_of_another_version, "is the record of another version"),
        (_signed_for_another, "was signed for another record"),
        (_signed_by_another, "the signature of s3://"),
        (_no_statement, "is not a statement"),
        (_replaced_after_its_entry, "the ledger has no entry of the record of version 1"),
    ],
)
def test_a_record_that_cannot_be_trusted_is_never_approved(
    approvals: Approvals, dying: Dying, damage: Damage, message: str
) -> None:
    version = approvals.new_version()
    damage(approvals, version)
    assert message in refused(dying, version)
    assert approvals.documents(version) == []
    assert approvals.alias(version.model) is None


def test_a_ledger_fork_is_refused(approvals: Approvals, dying: Dying) -> None:
    version = approvals.new_version()
    number = _head(version)["number"] + 1
    key = f"ledger/{entry_name(number)}"
    s3 = approvals.environment.client("s3")
    whole = s3.get_object(Bucket=EVIDENCE, Key=key)["Body"].read()
    entry = {
        "schema": "governed-finetune/ledger/2",
        "number": number,
        "previous_sha256": "e" * 64,
        "kind": "registration",
        "document": _record(version),
        "document_sha256": version.record.sha256,
        "appended_at": "2026-01-01T00:00:00Z",
    }
    fork = approvals.signer.envelope(canonical.dumps(entry), ENTRY)
    try:
        approvals.put(key, fork.to_bytes())
        errors = refused(dying, version)
    finally:
        approvals.put(key, whole)
    assert f"entry {number} of the ledger does not follow entry {number - 1}" in errors
    assert approvals.documents(version) == []
    assert dying.run(version)[0] == 0  # the fork was the only reason


def test_a_model_or_version_that_does_not_exist_gets_the_nearest(
    approvals: Approvals, dying: Dying
) -> None:
    version = approvals.new_version()
    errors = refused(dying, version, model=f"{version.model}@77")
    assert f"version 77 of {version.model} does not exist" in errors
    assert "a version, such as 1" in errors
    errors = refused(dying, version, model=f"{version.model}x@1")
    assert f"the model {version.model}x does not exist" in errors
    assert f"such as {version.model}" in errors


def test_what_was_never_approved_is_not_revoked(approvals: Approvals, dying: Dying) -> None:
    version = approvals.new_version()
    errors = refused(dying, version, "--revoke")
    assert f"version 1 of {version.model} has no approval for alias champion" in errors


def test_an_alias_that_a_run_may_set_is_not_approved(approvals: Approvals, dying: Dying) -> None:
    version = approvals.new_version()
    for alias in ("challenger", "candidate"):
        errors = refused(dying, version, status=2, alias=alias)
        assert f"--alias: an alias that no run may set was expected, got '{alias}'" in errors
        assert approvals.alias(version.model, alias) is None
    assert approvals.documents(version) == []


def test_an_approval_of_an_alias_that_runs_got_later_can_be_revoked(
    approvals: Approvals, dying: Dying
) -> None:
    version = approvals.new_version()
    assert dying.run(version, run_aliases="challenger")[0] == 0
    runs = "challenger,champion"  # the configuration changed
    assert "--alias" in refused(dying, version, status=2, run_aliases=runs)
    assert dying.run(version, "alice", "--revoke", run_aliases=runs)[0] == 0
    assert approvals.alias(version.model) is None


def test_another_key_than_the_pinned_one_is_the_users_fault(
    approvals: Approvals, dying: Dying
) -> None:
    version = approvals.new_version()
    words = approvals.argv(version, "alice")
    register = words[words.index("--signing-public-key") + 1]
    errors = refused(dying, version, status=2, approval_public_key=register)
    assert "is not the approvers' key that the configuration pins" in errors


def test_a_decision_that_cannot_be_trusted_ends_the_command(
    approvals: Approvals, dying: Dying
) -> None:
    first, second = approvals.new_version(), approvals.new_version()
    assert dying.run(first)[0] == 0
    (key,) = approvals.documents(first)
    s3 = approvals.environment.client("s3")
    content = s3.get_object(Bucket=EVIDENCE, Key=key)["Body"].read()
    place = f"approvals/{second.model}/{second.number}/1.json"
    approvals.put(place, content)  # signed with the right key, about another version
    assert "is not a decision of this place" in refused(dying, second)
    forged = approvals.signer.envelope(b"{}", "text/plain")  # signed with another key
    approvals.put(place, forged.to_bytes())
    assert "the signature of s3://" in refused(dying, second)


def test_an_unfinished_decision_about_the_current_version_is_finished_first(
    approvals: Approvals, dying: Dying
) -> None:
    first = approvals.new_version()
    second = approvals.new_version(first.model)
    assert dying.run(first)[0] == 0
    signer = Signer(REGION, approvals.keys["approval"])
    decisions = Decisions(Evidence(REGION), f"s3://{EVIDENCE}", signer)
    (made,) = decisions.of(UcName.parse(first.model), first.number)
    decisions.add(made.approval.model_copy(update={"action": "revoke"}), 2)  # no entry follows
    errors = refused(dying, second)
    assert f"a decision about version 1 of {first.model} is not finished" in errors
    assert "revoke version 1 first" in errors
    assert dying.run(first, "alice", "--revoke")[0] == 0
    assert dying.run(second)[0] == 0
    assert approvals.alias(first.model) == second.number
