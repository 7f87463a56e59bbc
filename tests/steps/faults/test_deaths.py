"""Real workers end with SIGKILL after each effect, and the next delivery completes the work.

A read changes nothing: a kill after it leaves the same state as a kill after the effect before it.
So by default workers die after effects only. The `long` tests kill after every call, and twice in a
row.
"""

import time

import pytest

from tests.steps.faults.support.forked_workers import (
    KILLED,
    VISIBILITY_SECONDS,
    Workers,
    deliver_at_once,
)
from tests.steps.faults.support.troubled_workers import Troubled
from tests.steps.register.support import executions
from tests.steps.register.support.register_environment import RegisterEnvironment

pytestmark = pytest.mark.environment

# Eleven files of a version are uploaded in parallel. Workers die after the first, a middle and the
# last.
PASSED_OVER = [f"upload {number}" for number in (2, 3, 4, 6, 7, 8, 9, 10)]


@pytest.fixture
def workers(troubled: Troubled) -> Workers:
    """The workers, without faults."""
    troubled.arm({})
    return troubled.workers


def test_a_registration_whose_workers_die_after_each_effect_is_completed(
    environment: RegisterEnvironment, workers: Workers
) -> None:
    """Each worker dies after its first effect that no worker before it died after.

    So a chain of deliveries of one execution dies after every effect, each time in the state that
    the deaths before have left. Effects that this chain passed over are those of the next
    execution, until a worker has no new effect.
    """
    environment.faults()
    survived = list(PASSED_OVER)
    finished_unharmed = False
    while not finished_unharmed:
        execution, known = executions.new_execution(environment), len(survived)
        execution.send()
        while effect := workers.killed_after_a_new_effect(execution, survived):
            assert effect not in survived, "two effects have the same name"
            assert len(survived) < 60, survived
            survived.append(effect)
            deliver_at_once(execution)
        finished_unharmed = len(survived) == known
        workers.settle(execution)
        execution.check_settled()
    check_effects(survived)


def check_effects(effects: list[str]) -> None:
    """The campaign reached every kind of effect; it did not shrink by a change of a path."""
    found = " ".join(effects)
    for kind, count in {
        "leases/": 2,  # taken, released
        "artifact.json": 1,
        "registered-models/create": 1,
        "model-versions/create": 1,
        "upload ": 11,
        "model-versions/finalize": 1,
        "model-versions/delete": 1,  # a version that a death left PENDING_REGISTRATION
        "external-metadata": 2,
        "external-lineage": 4,
        "model.sig": 1,
        "record.json": 1,
        "record.dsse.json": 1,
        "ledger/": 1,
        "model-versions/set-tag": 1,
        "registered-models/alias": 1,
        "SendPipelineExecutionStepSuccess": 1,
        "DeleteMessage": 1,
    }.items():
        assert found.count(kind) >= count, (kind, effects)


def test_two_workers_on_two_copies_of_a_message_make_one_of_everything(
    environment: RegisterEnvironment, workers: Workers
) -> None:
    execution = executions.new_execution(environment)
    execution.send()
    execution.send()
    assert workers.run(execution, workers=2).statuses == [0, 0]
    if execution.waiting():
        workers.settle(execution)
    execution.check_settled()


@pytest.mark.long
@pytest.mark.timeout(3600)  # some 70 workers of seconds each, with real time-outs
@pytest.mark.parametrize("deaths", [1, 2])
def test_a_worker_that_dies_after_any_one_effect_is_completed_when_its_lease_ends(
    environment: RegisterEnvironment, workers: Workers, deaths: int
) -> None:
    """Each effect has its own execution, and the time-outs of message and lease are real."""
    environment.faults()
    killed = []
    for effect in clean_effects(environment, workers):
        execution = executions.new_execution(environment)
        execution.send()
        assert workers.run(execution, dies_after=effect).statuses == [KILLED]
        killed.append((effect, execution))
    if deaths == 2:
        for effect, execution in killed:
            wait_for_message(execution)
            workers.run(execution, survived=[effect])
    settle_all(workers, killed)


@pytest.mark.long
@pytest.mark.timeout(3600)  # two workers for each of some 100 calls
def test_a_worker_that_dies_after_any_call_is_completed(
    environment: RegisterEnvironment, workers: Workers
) -> None:
    environment.faults()
    killed, place = [], 0
    while True:
        place += 1
        execution = executions.new_execution(environment)
        execution.send()
        if workers.run(execution, dies_at_call=place).statuses == [0]:
            break  # it made fewer calls
        killed.append((f"call {place}", execution))
    assert place > 50
    settle_all(workers, killed)


def clean_effects(environment: RegisterEnvironment, workers: Workers) -> list[str]:
    """The effects of one registration that nothing disturbs."""
    execution = executions.new_execution(environment)
    execution.send()
    ran = workers.run(execution)
    assert ran.statuses == [0]
    execution.check_settled()
    return ran.effects


def settle_all(workers: Workers, killed: list[tuple[str, executions.Execution]]) -> None:
    for place, execution in killed:
        workers.settle(execution)
        try:
            execution.check_settled()
        except AssertionError as error:
            raise AssertionError(f"killed after {place}: {error}") from error
    print(f"{len(killed)} deaths, all completed")  # noqa: T201 - the size belongs in the log


def wait_for_message(execution: executions.Execution) -> None:
    deadline = time.monotonic() + 2 * VISIBILITY_SECONDS
    sqs, names = execution.environment.client("sqs"), ["ApproximateNumberOfMessages"]
    while time.monotonic() < deadline:
        answer = sqs.get_queue_attributes(QueueUrl=execution.queue_url, AttributeNames=names)
        if int(answer["Attributes"][names[0]]):
            return
        time.sleep(0.2)
