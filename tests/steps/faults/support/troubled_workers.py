"""Register workers behind a proxy before each service: workspace, AWS, SageMaker.

    troubled.arm({"aws": {12: "503"}})
    tally.add(*troubled.registered(workers=2), "seed 7")

Workers are forks that take one delivery each and do not pause; after each the message is visible
again. `lasting_outage` has one worker that lives on, on a clock that only its pauses move.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.steps.faults.support import registered
from tests.steps.faults.support.forked_workers import HUNG, Workers, deliver_at_once, forked
from tests.steps.faults.support.judge import Seen
from tests.steps.faults.support.lasting_worker import Hours
from tests.steps.faults.support.truth import Injected
from tests.steps.register.support import executions
from tests.steps.register.support.register_environment import RegisterEnvironment
from tests.steps.troubled_proxy import KINDS, Proxy, before, kind_of

_HANGS_AFTER_SECONDS = 150  # a worker that takes longer hangs; a request's time-out is 30 s
_LASTING_HANGS_AFTER_SECONDS = 900  # eight hours are 60 deliveries of 10 s on a busy machine
_MOST_DELIVERIES = 8
_RECEIVES = 120  # maxReceiveCount of the real queue
SERVICES = ("workspace", "aws", "sagemaker")

Plan = dict[str, dict[int, str]]  # kinds of faults by the number of the call, for each service
Judged = tuple[Seen, list[Injected]]


@dataclass
class Troubled:
    """The workers, their proxies by service, and the calls of a run without faults."""

    environment: RegisterEnvironment
    workers: Workers
    proxies: dict[str, Proxy]
    hours: Hours
    calls: dict[str, list[str]] = field(default_factory=dict)

    def arm(self, plan: Plan) -> None:
        """Replace these answers from now on, and no others."""
        for service, proxy in self.proxies.items():
            proxy.out = lambda: False
            proxy.arm_all({at: KINDS[kind] for at, kind in plan.get(service, {}).items()})

    def injected(self) -> list[Injected]:
        """Return the faults that were sent since `arm`, each call and kind once."""
        sent = [each for proxy in self.proxies.values() for each in proxy.sent]
        return list(dict.fromkeys(Injected(call, kind_of(fault)) for call, fault in sent))

    def registered(self, workers: int = 1) -> Judged:
        """Register one execution, with the faults that are armed, until its message is gone."""
        execution = executions.new_execution(self.environment)
        for _ in range(workers):
            execution.send()
        errors, hung = list[str](), f"not settled after {_MOST_DELIVERIES} deliveries"
        for _ in range(_MOST_DELIVERIES):
            ran = self.workers.run(
                execution,
                workers=workers,
                hangs_after=_HANGS_AFTER_SECONDS,
                argv=self._argv(execution, visibility_seconds=30),
            )
            errors += ran.errors
            if HUNG in ran.statuses:
                hung = f"a worker took more than {_HANGS_AFTER_SECONDS} s"
                break
            if not execution.waiting():
                hung = ""
                break
            deliver_at_once(execution)
        return registered.seen(execution, errors, hung=hung), self.injected()

    def lasting_outage(self, service: str, *, seconds: float, calls_before: int) -> Judged:
        """Register one execution while a service gives 503 for so long, after these calls."""
        execution = executions.new_execution(self.environment)
        execution.allow_receives(_RECEIVES)
        self.arm({})
        self.hours.file.write_text("0")
        proxy = self.proxies[service]
        proxy.out = lambda: len(proxy.asked) > calls_before and self.hours.passed < seconds
        execution.send()
        ran = self.workers.run(
            execution,
            hangs_after=_LASTING_HANGS_AFTER_SECONDS,
            passed=str(self.hours.file),
            argv=self._argv(execution, visibility_seconds=6),
        )
        proxy.out = lambda: False
        late = f"the worker took more than {_LASTING_HANGS_AFTER_SECONDS} s"
        hung = late if ran.statuses != [0] else ""
        return registered.seen(execution, ran.errors, hung=hung), self.injected()

    def _argv(self, execution: executions.Execution, *, visibility_seconds: int) -> list[str]:
        return execution.argv(
            **{
                "databricks-host": self.proxies["workspace"].host,
                "visibility-seconds": str(visibility_seconds),
            }
        )


@contextmanager
def started(environment: RegisterEnvironment, scratch: Path) -> Iterator[Troubled]:
    """Start proxies and the process that forks workers, and record the calls of one run."""
    hosts = {
        "workspace": environment.host,
        "aws": environment.endpoint,
        "sagemaker": environment.sagemaker_url,
    }
    with ExitStack() as stack:
        proxies = {name: stack.enter_context(before(host)) for name, host in hosts.items()}
        through = {
            "AWS_ENDPOINT_URL": proxies["aws"].host,
            "AWS_ENDPOINT_URL_SAGEMAKER": proxies["sagemaker"].host,
            "AWS_ENDPOINT_URL_EMR_SERVERLESS": proxies["sagemaker"].host,
        }
        workers = stack.enter_context(forked(environment.variables() | through, scratch))
        made = Troubled(environment, workers, proxies, Hours(scratch / "passed"))
        made.arm({})
        first, _ = made.registered()  # this worker takes seconds longer than the others
        assert first.status == "Succeeded", first
        made.calls = {name: list(proxy.asked) for name, proxy in proxies.items()}
        yield made
