"""Each pair: a difference is reported, --fix repairs or leaves it, the next run finds nothing."""

from collections.abc import Callable

import pytest

from steps.reconcile.sources.queues import Letter, Queues
from steps.register.delivery.lease import Lease
from steps.register.worker import Fate, Worker
from tests.steps.reconcile.support import spoiling
from tests.steps.reconcile.support.reconciler import Reconciler
from tests.steps.register.support.deliveries import deliver, deliver_until_deleted
from tests.steps.register.support.executions import Execution, new_execution
from tests.steps.register.support.register_environment import EVIDENCE, REGION

pytestmark = pytest.mark.environment

# what is wrong, the comparison that finds it, what --fix reports
REPAIRED: dict[str, tuple[Callable[[Execution], None], str, str]] = {
    "tag": (spoiling.remove_tag, "version.tags", "completed"),
    "alias": (spoiling.remove_alias, "ledger.aliases", "completed"),
    "statement": (spoiling.remove_statement, "record.signature", "completed"),
    "entry": (spoiling.remove_last_entry, "record.ledger", "completed"),
    "unfinished version": (spoiling.add_version, "record.version", "completed"),
    "second edge": (spoiling.repeat_edge, "record.lineage", "completed"),
    "edge": (spoiling.remove_edge, "record.lineage", "completed"),
    "node": (spoiling.remove_node, "record.lineage", "completed"),
    "old node": (spoiling.add_node, "record.lineage", "completed"),
    "dead letter": (spoiling.leave_dead_letter, "step.queue", "redriven"),
}
LEFT: dict[str, tuple[Callable[[Execution], None], str]] = {
    "tag": (spoiling.change_tag, "version.tags"),
    "job": (spoiling.run_on, "execution.jobs"),
    "manifest": (spoiling.remove_manifest, "jobs.evidence"),
    "record": (spoiling.remove_record, "step.record"),
    "version": (spoiling.remove_version, "record.version"),
}


def test_all_differences_at_once_are_repaired_by_one_message(
    reconciler: Reconciler, worker: Worker, registered: Execution
) -> None:
    for name, (spoil, _, _) in REPAIRED.items():
        if name != "entry":
            spoil(registered)
    spoilt = spoiling.state(registered)
    pairs = {pair for _, pair, _ in REPAIRED.values()} - {"record.ledger"}
    assert {each.pair for each in reconciler.compare(registered).differences} == pairs
    assert spoiling.state(registered) == spoilt
    lines, after = reconciler.fix(registered, lambda: deliver(worker))
    assert (after.differences, after.could_not) == ((), ())
    assert {line.action for line in lines} == {"completed", "redriven"}
    registered.check_settled()
    assert registered.waiting(registered.dead_letters_url) == 0
    again, after = reconciler.fix(registered, lambda: pytest.fail("nothing was to be done"))
    assert (again, after.exit_code) == ([], 0)


@pytest.mark.long
@pytest.mark.parametrize("name", REPAIRED)
def test_a_difference_is_reported_then_repaired_and_nothing_else_is_touched(
    reconciler: Reconciler, worker: Worker, registered: Execution, name: str
) -> None:
    spoil, pair, action = REPAIRED[name]
    whole = spoiling.state(registered)
    spoil(registered)
    spoilt = spoiling.state(registered)
    reported = reconciler.compare(registered)
    assert {each.pair for each in reported.differences} >= {pair}
    assert reported.exit_code == 1
    assert spoiling.state(registered) == spoilt
    lines, after = reconciler.fix(registered, lambda: deliver(worker))
    assert (after.differences, after.could_not) == ((), ())
    assert {line.action for line in lines if line.difference.pair == pair} == {action}
    if registered.waiting():
        assert deliver(worker) is Fate.DELETE
    registered.check_signed(registered.versions()[0])
    if name not in ("statement", "entry", "second edge", "edge", "node"):
        assert spoiling.state(registered) == whole  # what was made again has another id or time
    assert registered.waiting() + registered.waiting(registered.dead_letters_url) == 0
    again, after = reconciler.fix(registered, lambda: pytest.fail("nothing was to be done"))
    assert (again, after.exit_code) == ([], 0)


@pytest.mark.long
@pytest.mark.parametrize("name", list(LEFT)[1:])
def test_each_difference_that_a_person_decides_is_left(
    reconciler: Reconciler, registered: Execution, name: str
) -> None:
    test_what_a_person_decides_is_reported_and_left(reconciler, registered, name)


@pytest.mark.parametrize("name", list(LEFT)[:1])
def test_what_a_person_decides_is_reported_and_left(
    reconciler: Reconciler, registered: Execution, name: str
) -> None:
    spoil, pair = LEFT[name]
    spoil(registered)
    spoilt = spoiling.state(registered)
    lines, after = reconciler.fix(registered, lambda: pytest.fail("nobody was to be asked"))
    of_the_pair = [line.action for line in lines if line.difference.pair == pair]
    assert of_the_pair
    assert set(of_the_pair) == {"left to a person"}
    assert after.exit_code == 1
    assert spoiling.state(registered) == spoilt
    assert registered.waiting() == 0


def test_a_step_that_waits_without_a_message_gets_one(
    reconciler: Reconciler, worker: Worker, execution: Execution
) -> None:
    assert [each.pair for each in reconciler.compare(execution).differences] == ["step.queue"]
    lines, after = reconciler.fix(execution, lambda: deliver(worker))
    assert [line.action for line in lines] == ["completed"]
    assert after.exit_code == 0
    execution.check_settled()


def test_a_dead_letter_of_a_waiting_step_is_redriven_and_a_forged_one_stays(
    reconciler: Reconciler, worker: Worker, execution: Execution
) -> None:
    spoiling.leave_dead_letter(execution)
    spoiling.forge_dead_letter(execution)
    lines, _ = reconciler.fix(execution, lambda: deliver(worker), "--redrive", "--wait-seconds=0")
    assert [line.action for line in lines] == ["redriven"]
    assert execution.waiting(execution.dead_letters_url) == 1
    deliver_until_deleted(worker, most=1)
    execution.check_settled()


def test_a_redrive_that_ends_before_its_deletion_has_one_effect(
    reconciler: Reconciler,
    worker: Worker,
    execution: Execution,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ends(queues: Queues, letter: Letter) -> None:
        queues.send_request(letter.arn, letter.token)
        raise KeyboardInterrupt

    spoiling.leave_dead_letter(execution)
    with monkeypatch.context() as patch:
        patch.setattr(Queues, "redrive", ends)
        with pytest.raises(KeyboardInterrupt):
            reconciler.fix(execution, lambda: None, "--redrive")
    assert (execution.waiting(), execution.waiting(execution.dead_letters_url)) == (1, 1)
    deliver_until_deleted(worker, most=1)
    lines, _ = reconciler.fix(execution, lambda: None, "--redrive", "--wait-seconds=0")
    assert [line.action for line in lines] == ["redriven"]
    deliver_until_deleted(worker, most=1)
    assert (execution.waiting(), execution.waiting(execution.dead_letters_url)) == (0, 0)
    execution.check_settled()


def test_what_is_young_held_or_under_way_is_not_touched(
    reconciler: Reconciler, registered: Execution
) -> None:
    spoiling.remove_tag(registered)
    registered.state["status"] = "Executing"
    running = reconciler.compare(registered)
    assert (running.differences, running.young) == ((), {registered.id: "it has not ended"})
    registered.state["status"] = "Succeeded"
    registered.state["changed"] = 4102444800.0  # in the year 2100
    assert not reconciler.compare(registered).differences
    registered.state["changed"] = 0.0
    folder = f"s3://{EVIDENCE}/executions/{registered.id}/register"
    with Lease(REGION, folder=folder, seconds=30):
        assert not reconciler.compare(registered).differences
    assert reconciler.compare(registered).differences


def test_without_a_worker_the_request_is_sent_once(
    reconciler: Reconciler, registered: Execution
) -> None:
    spoiling.remove_tag(registered)
    lines, after = reconciler.fix(registered, lambda: None, "--wait-seconds=1")
    assert {line.action for line in lines} == {"asked, not done yet"}
    assert after.exit_code == 1
    lines, _ = reconciler.fix(registered, lambda: None, "--wait-seconds=0")
    assert {line.action for line in lines} == {"not asked, 1 in queue"}
    assert registered.waiting() == 1


def test_a_later_execution_is_compared_alone(reconciler: Reconciler, registered: Execution) -> None:
    other = new_execution(registered.environment)
    s3 = registered.environment.client("s3")
    longer = {"Bucket": EVIDENCE, "Key": f"executions/{other.id}x/prepare/manifest.json"}
    s3.put_object(**longer, Body=b"{}")  # its name begins with the execution's id
    spoiling.remove_tag(registered)
    assert {each.execution for each in reconciler.compare(registered).differences} == {
        registered.id
    }
    assert {each.execution for each in reconciler.compare(other).differences} == {other.id}
    s3.delete_object(**longer)
