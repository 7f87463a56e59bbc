"""Register meets each kind of fault at each API, up to six at once, and outages of hours.

The calls are recorded from a run without faults. A run ends complete, or with Failure, a true
reason and no usable version: `support/judge.py` decides from what is stored. `make test-long`
tries all, `pytest -m long -k NAME` a part, and the default run a sample.
"""

import random
from collections.abc import Callable

import pytest

from tests.steps.faults.support.judge import End, judged
from tests.steps.faults.support.tally import Tally
from tests.steps.faults.support.troubled_workers import SERVICES, Plan, Troubled
from tests.steps.troubled_proxy import KINDS, REFUSALS, apis, kinds_at

pytestmark = pytest.mark.environment
_SEEDS, _MOST_FAULTS = 200, 6
_LATER = 1.2  # faults also hit calls that only a troubled run makes
_AT_A_TIME = 25  # seeds

Report = Callable[[str, object], None]


def test_one_fault_of_each_service(troubled: Troubled, record_property: Report) -> None:
    tally = Tally("Register, one fault, sample")
    for place, service in enumerate(SERVICES):
        chance = random.Random(17 + place)  # noqa: S311 - a sample
        name = chance.choice(apis(troubled.calls[service]))
        one_fault(troubled, service, name, chance.choice(list(KINDS)), tally)
    tally.report(record_property)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kind", KINDS | REFUSALS)
def test_one_fault_at_every_api(
    troubled: Troubled, service: str, kind: str, record_property: Report
) -> None:
    tally = Tally(f"Register, {service}, {kind}")
    for name in apis(troubled.calls[service]):
        if kind in kinds_at(name):
            one_fault(troubled, service, name, kind, tally)
    tally.report(record_property)


def one_fault(troubled: Troubled, service: str, name: str, kind: str, tally: Tally) -> None:
    """Register one execution with one fault of this kind at this API."""
    troubled.arm({})
    troubled.proxies[service].arm_api(name, kinds_at(name)[kind])
    seen, injected = troubled.registered()
    tally.add(seen, injected, f"{kind} at {name}")
    if len(injected) != 1:
        tally.wrong.append(f"{kind} at {name}: sent {injected}")


_LONG = [pytest.mark.long, pytest.mark.timeout(7200)]


@pytest.mark.parametrize(
    ("workers", "first", "count"),
    [
        (2, 0, 1),
        *(
            pytest.param(workers, first, _AT_A_TIME, marks=_LONG)
            for first in range(0, _SEEDS, _AT_A_TIME)
            for workers in (1, 2)
        ),
    ],
)
def test_up_to_six_faults(
    troubled: Troubled, workers: int, first: int, count: int, record_property: Report
) -> None:
    tally = Tally(f"Register, {workers} workers, seeds {first} to {first + count - 1}")
    for seed in range(first, first + count):
        plan = drawn(troubled.calls, seed)
        troubled.arm(plan)
        tally.add(*troubled.registered(workers), f"seed {seed}, {workers} workers, {plan}")
    tally.report(record_property)


def drawn(calls: dict[str, list[str]], seed: int) -> Plan:
    """Return one to six faults, at any calls of any services."""
    chance, plan = random.Random(seed), {name: dict[int, str]() for name in calls}  # noqa: S311
    for _ in range(chance.randint(1, _MOST_FAULTS)):
        service = chance.choice(list(calls))
        at = chance.randrange(int(len(calls[service]) * _LATER))
        plan[service][at] = chance.choice(list(KINDS))
    return plan


_LASTING = [
    (service, minutes, begun)
    for service in SERVICES
    for minutes in (1, 10, 60, 480)
    for begun in (False, True)
]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("service", "minutes", "begun"),
    [
        pytest.param(*case, marks=[] if case == ("workspace", 10, True) else pytest.mark.long)
        for case in _LASTING
    ],
)
def test_an_outage_that_lasts(
    troubled: Troubled, service: str, minutes: int, *, begun: bool, record_property: Report
) -> None:
    """Register waits six hours. After eight, a registration that was begun ends with the reason.

    An outage that hides the message or its confirmation does not count: nobody has seen it yet.
    """
    before = len(troubled.calls[service]) // 2 if begun else 0
    seen, injected = troubled.lasting_outage(service, seconds=60 * minutes, calls_before=before)
    assert troubled.hours.passed >= 60 * minutes
    tally = Tally(f"Register, {service} out for {minutes} min, {'begun' if begun else 'new'}")
    tally.add(seen, injected, "503")
    tally.report(record_property)
    if minutes <= 60:
        assert judged(seen, injected)[0] is End.COMPLETE
