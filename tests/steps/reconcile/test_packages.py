"""Packages of SageMaker's own registry: what no decision approves is rejected, nothing approved."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from steps.governance.documents import model_package
from steps.reconcile.differences import Comparison, Remedy
from steps.reconcile.fixing import Line
from tests.steps.reconcile.support.packages import Decisions, deciding
from tests.steps.reconcile.support.reconciler import Reconciler
from tests.steps.register.support.executions import Execution
from tests.support.package_registry import GROUP

pytestmark = pytest.mark.environment
OPTION = f"--model-package-group={GROUP}"


@pytest.fixture
def decisions(registered: Execution) -> Iterator[Decisions]:
    with deciding(registered) as made:
        yield made


def fixed(reconciler: Reconciler, execution: Execution) -> tuple[list[Line], Comparison]:
    never = lambda: pytest.fail("no message was to be sent")  # noqa: E731
    lines, after = reconciler.fix(execution, never, OPTION, "--grace-seconds=0")
    return [each for each in lines if each.difference.pair == "ledger.packages"], after


def test_what_agrees_is_no_difference(
    reconciler: Reconciler, registered: Execution, decisions: Decisions
) -> None:
    decided = decisions.decide("approve")
    decisions.package("Approved", model_package.reason(*decided))
    assert reconciler.compare(registered, OPTION, "--grace-seconds=0").differences == ()


def test_a_package_that_a_crash_left_approved_is_rejected_with_the_revocations_reason(
    reconciler: Reconciler, registered: Execution, decisions: Decisions
) -> None:
    approved = decisions.decide("approve")
    arn = decisions.package("Approved", model_package.reason(*approved))
    revoked = decisions.decide("revoke")
    (found,) = reconciler.compare(registered, OPTION, "--grace-seconds=0").differences
    assert (found.pair, found.remedy) == ("ledger.packages", Remedy.REJECT)
    assert decisions.state(arn)[0] == "Approved"  # a comparison changes nothing
    lines, after = fixed(reconciler, registered)
    assert [line.action for line in lines] == ["rejected"]
    assert (after.differences, after.could_not) == ((), ())
    assert decisions.state(arn) == ("Rejected", model_package.reason(*revoked))


@pytest.mark.parametrize("status", ["PendingManualApproval", "Rejected", "none"])
def test_an_approved_version_without_an_approved_package_is_left_to_the_approver(
    reconciler: Reconciler, registered: Execution, decisions: Decisions, status: str
) -> None:
    decisions.decide("approve")
    arn = None if status == "none" else decisions.package(status)
    lines, after = fixed(reconciler, registered)
    assert [line.action for line in lines] == ["left to a person"]
    assert "pipeline.approve" in lines[0].difference.advice
    assert after.exit_code == 1
    if arn is not None:
        assert decisions.state(arn)[0] == status


def test_a_foreign_and_a_second_package_are_rejected_where_nothing_narrows(
    reconciler: Reconciler, registered: Execution, decisions: Decisions
) -> None:
    decided = decisions.decide("approve")
    reason = model_package.reason(*decided)
    ours = decisions.package("Approved", reason)
    second = decisions.package("Approved", reason)
    foreign = decisions.package("Approved", ModelPackageDescription="mine")
    forged = model_package.subject(
        decisions.record.model.name, version=1, record_sha256="0" * 64, image="x"
    )
    other = decisions.package("PendingManualApproval", ModelPackageDescription=forged)
    assert fixed(reconciler, registered)[0] == []  # --execution narrows
    words = reconciler.argv(registered, OPTION, "--grace-seconds=0", "--fix", narrowed=False)
    reconciler.command(words)  # other tests' executions differ too, so its exit code is theirs
    assert decisions.state(ours) == ("Approved", reason)
    for arn in (second, foreign, other):
        status, why = decisions.state(arn)
        assert (status, "no decision" in why) == ("Rejected", True)


def test_a_decision_that_is_young_is_not_judged(
    reconciler: Reconciler, registered: Execution, decisions: Decisions
) -> None:
    decisions.decide("approve", at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    assert reconciler.compare(registered, OPTION, "--grace-seconds=3600").differences == ()
    (found,) = reconciler.compare(registered, OPTION, "--grace-seconds=0").differences
    assert found.pair == "ledger.packages"
    without_a_group = reconciler.compare(registered, "--grace-seconds=0")
    assert without_a_group.differences == ()


def test_with_a_decision_that_cannot_be_read_nothing_is_rejected(
    reconciler: Reconciler, registered: Execution, decisions: Decisions
) -> None:
    document, approval = decisions.decide("approve")
    arn = decisions.package("Approved", model_package.reason(document, approval))
    decisions.put(document, b"{", "application/json")
    lines, after = fixed(reconciler, registered)
    assert lines == []
    assert "ledger.packages" in [each.pair for each in after.could_not]
    assert decisions.state(arn)[0] == "Approved"


def test_a_refusal_is_named_and_hides_no_other(
    reconciler: Reconciler, registered: Execution, decisions: Decisions
) -> None:
    decided = decisions.decide("revoke")
    arn = decisions.package("Approved", model_package.reason(*decided))
    stub = registered.environment.stub
    stub.refuse.append(("UpdateModelPackage", "AccessDeniedException"))
    lines, after = fixed(reconciler, registered)
    assert [line.action for line in lines] == ["not rejected"]
    assert "AccessDeniedException" in after.could_not[-1].reason
    assert fixed(reconciler, registered)[1].exit_code == 0
    assert decisions.state(arn)[0] == "Rejected"
