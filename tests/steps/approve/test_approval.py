"""Approve and revoke: who may, in which order, and what stays when it is repeated."""

import pytest

from tests.steps.approve.support.approvals import TAG, Approvals, Version
from tests.steps.approve.support.dying import KILLED, Dying


def check(
    approvals: Approvals, version: Version, kinds: list[str], alias: int | None, tag: str | None
) -> None:
    """Check: one document and one entry for each decision, the alias, the tag."""
    assert len(approvals.documents(version)) == len(kinds)
    assert approvals.entries(version) == kinds
    assert approvals.alias(version.model) == alias
    assert approvals.tags(version).get(TAG) == tag


def test_an_approval_is_signed_and_entered_then_tag_and_alias_are_set(
    approvals: Approvals, dying: Dying
) -> None:
    version = approvals.new_version()
    status, errors, calls = dying.run(version)
    assert status == 0, errors
    check(approvals, version, ["approval"], 1, "Approved")
    effects = [
        call
        for call in calls
        if call.startswith("PUT ") or (call.startswith("POST ") and "unity-catalog" in call)
    ]
    order = [call.rsplit("/", 1)[-1] for call in effects]
    assert order[0] == "1.json"
    assert order[1].endswith(".json")
    assert order[2:] == ["set-tag", "alias"]


def test_the_same_command_again_changes_nothing(approvals: Approvals, dying: Dying) -> None:
    version = approvals.new_version()
    assert dying.run(version)[0] == 0
    status, errors, calls = dying.run(version)
    assert status == 0, errors
    assert not [call for call in calls if call.startswith("PUT ")]
    check(approvals, version, ["approval"], 1, "Approved")


def test_a_revocation_puts_the_alias_back(approvals: Approvals, dying: Dying) -> None:
    first = approvals.new_version()
    assert dying.run(first)[0] == 0
    second = approvals.new_version(first.model)
    assert dying.run(second)[0] == 0
    assert approvals.alias(first.model) == 2
    for _ in range(2):
        status, errors, _ = dying.run(second, "bob", "--revoke", reason="it is worse")
        assert status == 0, errors
        check(approvals, second, ["approval", "revocation"], 1, None)
    status, errors, _ = dying.run(first, "bob", "--revoke", reason="both are")
    assert status == 0, errors
    check(approvals, first, ["approval", "revocation"], None, None)


def test_a_version_is_approved_again_after_its_revocation(
    approvals: Approvals, dying: Dying
) -> None:
    version = approvals.new_version()
    for flags in ((), ("--revoke",), ()):
        status, errors, _ = dying.run(version, "alice", *flags)
        assert status == 0, errors
    check(approvals, version, ["approval", "revocation", "approval"], 1, "Approved")


def test_an_alias_goes_back_to_an_earlier_version_by_a_new_approval(
    approvals: Approvals, dying: Dying
) -> None:
    first = approvals.new_version()
    second = approvals.new_version(first.model)
    for version in (first, second, first, second):
        status, errors, _ = dying.run(version)
        assert status == 0, errors
        assert approvals.alias(first.model) == version.number
    check(approvals, second, ["approval", "approval"], 2, "Approved")


def test_who_is_not_a_member_is_refused(approvals: Approvals, dying: Dying) -> None:
    version = approvals.new_version()
    status, errors, _ = dying.run(version, "mallory")
    assert status == 1
    assert f"{approvals.ids['mallory']} may not approve" in errors
    assert "a member of the group model-approvers" in errors
    check(approvals, version, [], None, None)


@pytest.mark.parametrize(
    "started_by",
    [
        {"arn": "arn:aws:iam::000000000000:user/alice"},
        {"arn": "arn:aws:sts::000000000000:assumed-role/scientist/alice"},
        {"user_profile": "arn:aws:sagemaker:us-east-1:000000000000:user-profile/d-1/alice"},
    ],
)
def test_who_started_the_execution_cannot_approve_it(
    approvals: Approvals, dying: Dying, started_by: dict[str, str]
) -> None:
    version = approvals.new_version(started_by=started_by)
    status, errors, _ = dying.run(version)
    assert status == 1
    assert "started the execution that made this version" in errors
    check(approvals, version, [], None, None)
    assert dying.run(version, "bob")[0] == 0


def test_of_two_people_one_wins(approvals: Approvals, dying: Dying) -> None:
    version = approvals.new_version()
    assert dying.run(version, "alice")[0] == 0
    status, errors, _ = dying.run(version, "bob", reason="another reason")
    assert status == 1
    assert "is approved already" in errors
    assert approvals.ids["alice"] in errors
    check(approvals, version, ["approval"], 1, "Approved")


def test_a_revocation_is_refused_when_the_alias_has_moved_on(
    approvals: Approvals, dying: Dying
) -> None:
    first = approvals.new_version()
    second = approvals.new_version(first.model)
    assert dying.run(first)[0] == 0
    assert dying.run(second)[0] == 0
    status, errors, _ = dying.run(first, "alice", "--revoke")
    assert status == 1
    assert "has moved on" in errors
    check(approvals, first, ["approval"], 2, "Approved")


def test_the_tag_stays_while_another_alias_is_approved(approvals: Approvals, dying: Dying) -> None:
    version = approvals.new_version()
    assert dying.run(version)[0] == 0
    assert dying.run(version, alias="shadow")[0] == 0
    assert dying.run(version, "alice", "--revoke")[0] == 0
    check(approvals, version, ["approval", "approval", "revocation"], None, "Approved")
    assert approvals.alias(version.model, "shadow") == 1
    assert dying.run(version, "alice", "--revoke", alias="shadow")[0] == 0
    assert TAG not in approvals.tags(version)


def _campaign(
    approvals: Approvals,
    dying: Dying,
    flags: tuple[str, ...],
    *,
    every: bool,
    moments: tuple[str, ...] = ("before", "after"),
) -> int:
    """End the command before and after each call (or each effect), run it again, and check."""
    ended = 0
    version = approvals.new_version()
    if flags:
        assert dying.run(version)[0] == 0
    status, errors, calls = dying.run(version, "alice", *flags)
    assert status == 0, errors
    chosen = [
        number
        for number, call in enumerate(calls, 1)
        if every or not call.startswith(("GET ", "HEAD ")) or number == len(calls)
    ]
    kinds = ["approval", "revocation"] if flags else ["approval"]
    expected = (None, None) if flags else (1, "Approved")
    for call in chosen:
        for when in moments:
            version = approvals.new_version()
            if flags:
                assert dying.run(version)[0] == 0
            status, errors, _ = dying.killed(version, call, when, *flags)
            assert status == KILLED, (call, calls[call - 1], status, errors)
            ended += 1
            status, errors, _ = dying.run(version, "alice", *flags)
            assert status == 0, (call, when, calls[call - 1], errors)
            check(approvals, version, kinds, *expected)
    return ended


@pytest.mark.parametrize("flags", [(), ("--revoke",)])
def test_after_a_crash_at_an_effect_the_same_command_completes_it(
    approvals: Approvals, dying: Dying, flags: tuple[str, ...]
) -> None:
    assert _campaign(approvals, dying, flags, every=False) >= 10


@pytest.mark.long
@pytest.mark.timeout(3600)  # about 30 commands of a second each, three times that on a busy machine
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("flags", [(), ("--revoke",)])
def test_after_a_crash_at_any_call_the_same_command_completes_it(
    approvals: Approvals, dying: Dying, flags: tuple[str, ...], when: str
) -> None:
    assert _campaign(approvals, dying, flags, every=True, moments=(when,)) >= 20
