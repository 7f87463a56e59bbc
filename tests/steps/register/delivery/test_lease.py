"""A lease has one holder at a time, by S3's clock. A worker that lost its lease does not act."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from steps.governance.errors import GovernanceError, Unavailable
from steps.register.delivery.callback_answer import shortened
from steps.register.delivery.lease import Lease, LeaseHeld, LeaseLost
from steps.register.delivery.lease_guard import Guard, Interrupted
from tests.steps.register.support import register_environment
from tests.steps.register.support.register_environment import RegisterEnvironment

pytestmark = pytest.mark.environment


@pytest.fixture
def folder(worker_environment: RegisterEnvironment) -> str:
    name = register_environment.random_name(12)
    return f"s3://{register_environment.EVIDENCE}/executions/{name}/register"


def lease(folder: str, seconds: int = 30) -> Lease:
    return Lease(register_environment.REGION, folder=folder, seconds=seconds)


def test_a_held_lease_is_refused_and_a_released_one_is_free(folder: str) -> None:
    with lease(folder):
        with pytest.raises(LeaseHeld) as refusal, lease(folder):
            pass
        assert 1 <= refusal.value.retry_seconds <= 31
    with lease(folder) as next_one:
        next_one.check()


def test_of_eight_workers_at_once_one_takes_the_lease(folder: str) -> None:
    def take(_: int) -> bool:
        try:
            lease(folder).__enter__()
        except LeaseHeld:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1


def test_the_lease_of_a_dead_worker_ends_after_its_seconds_and_not_before(folder: str) -> None:
    lease(folder, seconds=2).__enter__()  # and then it is gone
    taken_at = time.monotonic()
    while True:
        try:
            lease(folder, seconds=2).__enter__()
            break
        except LeaseHeld:
            time.sleep(0.2)
    assert 2 <= time.monotonic() - taken_at < 8


def test_a_slow_worker_notices_that_its_lease_ran_out(folder: str) -> None:
    slow = lease(folder, seconds=1).__enter__()
    time.sleep(1.1)
    with pytest.raises(LeaseLost):
        slow.check()
    with pytest.raises(LeaseLost):
        slow.renew()


def test_renewing_keeps_others_out_for_longer(folder: str) -> None:
    first = lease(folder, seconds=3).__enter__()
    for _ in range(3):
        time.sleep(1.2)
        first.renew()
    with pytest.raises(LeaseHeld):
        lease(folder, seconds=3).__enter__()


def test_the_guard_stops_on_a_signal_and_on_two_lost_heartbeats(folder: str) -> None:
    stop, beats = threading.Event(), []

    def fail() -> None:
        beats.append(time.monotonic())
        raise Unavailable("AWS gave no answer: change visibility", got="503")

    with lease(folder) as held, Guard(held, stop, beat=fail, every_seconds=0.05) as guard:
        guard.check()
        deadline = time.monotonic() + 10
        while len(beats) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        guard._thread.join(10)  # it ends with the second failure
        with pytest.raises(LeaseLost, match=r"got +AWS gave no answer: change visibility got 503"):
            guard.check()
        stop.set()
        with pytest.raises(Interrupted):
            guard.check()
    assert len(beats) == 2


def test_a_reason_is_one_line_of_at_most_256_characters() -> None:
    error = GovernanceError("what", expected="right", got="wrong", do="x" * 400)
    reason = shortened(str(error))
    assert len(reason) == 256
    assert "\n" not in reason
    assert reason.startswith("what · expected  right · got       wrong · do")
