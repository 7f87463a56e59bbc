"""Register workers meet each kind of fault at each API, up to six at once, one worker and two.

A proxy before each service (workspace, AWS, SageMaker) replaces answers. The calls are recorded
from a run without faults. Workers are forks that take one delivery each and do not pause; after
each the message is visible again. A run ends complete, or with Failure and no usable version.
`make test-long` tries all, `pytest -m long -k NAME` a part, and the default run a sample.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from databricks.sdk.errors import NotFound

from tests.steps.fault_tally import Tally
from tests.steps.forked_workers import Workers, deliver_at_once, forked
from tests.steps.register.support import executions
from tests.steps.register.support.register_environment import RegisterEnvironment
from tests.steps.troubled_proxy import KINDS, Proxy, before, every_fault

pytestmark = pytest.mark.environment
_HANGS_AFTER_SECONDS = 150  # a worker that takes longer hangs; a request's time-out is 30 s
_HUNG, _UNTYPED = -14, 99  # the exit statuses of a worker that SIGALRM or an unforeseen error ended
_MOST_DELIVERIES = 8
_SAMPLE = 3
_SEEDS, _MOST_FAULTS = 200, 6
_LATER = 1.2  # faults also hit calls that only a troubled run makes

Plan = dict[str, dict[int, str]]  # kinds of faults by the number of the call, for each service


@dataclass
class Troubled:
    """Workers behind three proxies, and the calls of a run without faults."""

    environment: RegisterEnvironment
    workers: Workers
    proxies: dict[str, Proxy]
    calls: dict[str, list[str]]

    def deliver(self, execution: executions.Execution, workers: int) -> list[int]:
        statuses, _ = self.workers.run(
            execution,
            workers=workers,
            hangs_after=_HANGS_AFTER_SECONDS,
            argv=execution.argv(
                **{"databricks-host": self.proxies["workspace"].host, "visibility-seconds": "30"}
            ),
        )
        return statuses

    def registered(self, tally: Tally, plan: Plan, workers: int, where: str) -> None:
        """Register one execution with these faults in its first deliveries; count its end."""
        execution = executions.new_execution(self.environment)
        for service, proxy in self.proxies.items():
            proxy.arm_all({at: KINDS[kind] for at, kind in plan.get(service, {}).items()})
        tally.counts["runs"] += 1
        for _ in range(workers):
            execution.send()
        for _ in range(_MOST_DELIVERIES):
            statuses = self.deliver(execution, workers)
            if _HUNG in statuses:
                return tally.bad("hung", where)
            if _UNTYPED in statuses:
                return tally.bad("untyped", where)
            if not execution.waiting():
                return count_end(tally, execution, where)
            deliver_at_once(execution)
        return tally.bad("hung", f"{where}: not settled after {_MOST_DELIVERIES} deliveries")


@pytest.fixture(scope="module")
def troubled(
    environment: RegisterEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Troubled]:
    with ExitStack() as stack:
        hosts = {
            "workspace": environment.host,
            "aws": environment.endpoint,
            "sagemaker": environment.sagemaker_url,
        }
        proxies = {name: stack.enter_context(before(host)) for name, host in hosts.items()}
        through = {
            "AWS_ENDPOINT_URL": proxies["aws"].host,
            "AWS_ENDPOINT_URL_SAGEMAKER": proxies["sagemaker"].host,
            "AWS_ENDPOINT_URL_EMR_SERVERLESS": proxies["sagemaker"].host,
        }
        scratch = tmp_path_factory.mktemp("scratch")
        workers = stack.enter_context(forked(environment.variables() | through, scratch))
        made = Troubled(environment, workers, proxies, {})
        for _ in range(2):  # the first worker imports more than the others
            tally = Tally()
            made.registered(tally, {}, 1, "no fault")
            tally.report("Register, no fault")
            made.calls = {name: list(proxy.asked) for name, proxy in proxies.items()}
        yield made


def count_end(tally: Tally, execution: executions.Execution, where: str) -> None:
    """Compare the step's answer with the registry."""
    status = execution.step["StepStatus"]
    try:
        if status == "Succeeded":
            execution.check_registered()
            tally.counts["complete"] += 1
        elif status == "Failed":
            check_nothing_usable(execution)
            tally.counts["true reason"] += 1
        else:
            tally.bad("hung", f"{where}: no message is left, and the step is {status}")
    except ValueError as error:  # the checks unpack one version, one ledger entry, one edge
        tally.bad("duplicates", f"{where}: {error}")
    except (AssertionError, NotFound, LookupError) as error:
        tally.bad("disagreeing", f"{where}: {type(error).__name__} {str(error)[:300]}")


def check_nothing_usable(execution: executions.Execution) -> None:
    """Check: one reason, and no version without the tag `withdrawn`."""
    assert {answer["status"] for answer in execution.answers()} == {"Failed"}
    assert all(answer["FailureReason"].strip() for answer in execution.answers())
    for version in execution.versions():
        assert "withdrawn" in execution.tags(int(version.version or 0)), version


@pytest.mark.parametrize("service", ["workspace", "aws", "sagemaker"])
def test_a_fault_at_some_apis(troubled: Troubled, service: str) -> None:
    faults = random.Random(17).sample(every_fault(troubled.calls[service]), _SAMPLE)  # noqa: S311
    single(troubled, service, faults, f"Register, {service}, sample")


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("service", ["workspace", "aws", "sagemaker"])
def test_a_fault_at_every_api(troubled: Troubled, service: str, kind: str) -> None:
    every = every_fault(troubled.calls[service])
    single(
        troubled,
        service,
        [(at, each) for at, each in every if each == kind],
        f"Register, {service}, {kind}",
    )


def single(troubled: Troubled, service: str, faults: list[tuple[int, str]], title: str) -> None:
    """Register one execution for each fault."""
    tally = Tally()
    for at, kind in faults:
        where = f"{kind} at {troubled.calls[service][at]}"
        troubled.registered(tally, {service: {at: kind}}, 1, where)
    tally.report(title)


@pytest.mark.parametrize(
    ("first", "count"),
    [(0, 2), *(pytest.param(at, 25, marks=pytest.mark.long) for at in range(0, _SEEDS, 25))],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_up_to_six_faults(troubled: Troubled, workers: int, first: int, count: int) -> None:
    tally = Tally()
    for seed in range(first, first + count):
        plan = drawn(troubled.calls, seed)
        troubled.registered(tally, plan, workers, f"seed {seed}, {workers} workers, {plan}")
    tally.report(f"Register, {workers} workers, seeds {first} to {first + count - 1}")


def drawn(calls: dict[str, list[str]], seed: int) -> Plan:
    """Return one to six faults, at any calls of any services."""
    chance, plan = random.Random(seed), {name: dict[int, str]() for name in calls}  # noqa: S311
    for _ in range(chance.randint(1, _MOST_FAULTS)):
        service = chance.choice(list(calls))
        at = chance.randrange(int(len(calls[service]) * _LATER))
        plan[service][at] = chance.choice(list(KINDS))
    return plan
