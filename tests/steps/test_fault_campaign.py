"""Every kind of fault at every call that Train and Register make of the workspace and of AWS.

The calls are recorded from a run without faults. Each fault hits one call of one run. A run ends
complete, or with a typed reason; after it a run without faults ends complete, with one model
version, one alias and each lineage edge once. `make test-long` tries all, the default run a sample.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from steps.governance import aws
from steps.governance.documents.manifest import Prepared, TableVersion
from steps.governance.errors import GovernanceError, IntegrityError
from steps.governance.evidence import Evidence
from steps.governance.names import UcName
from steps.governance.unity_catalog import credentials
from steps.governance.unity_catalog.catalog import Catalog
from steps.governance.unity_catalog.identity import Workspace, connect
from steps.train.data import verified_table
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.register.support import executions, register_environment
from tests.steps.register.support.register_environment import RegisterEnvironment
from tests.steps.test_troubled_workspace import (
    as_root,
    environment,
    principal,
    proxy,
    register,
)
from tests.steps.train.support import curated_table
from tests.steps.troubled_proxy import KINDS, Proxy, before, every_fault, recorded

__all__ = ["as_root", "environment", "proxy"]  # fixtures
pytestmark = pytest.mark.environment
_HUNG_SECONDS = 120.0  # real seconds; a slow answer takes one, a request's time-out 30
_BUDGET_SECONDS = 60.0  # on the clock that does not wait
_SAMPLE, _REGISTRATIONS = 12, 2  # runs of each target; a registration takes seconds
_MANIFEST = f"s3://{register_environment.EVIDENCE}/campaign/manifest.json"

Run = Callable[[FakedClock], None]


@dataclass
class Tally:
    """What became of the runs of one campaign; `wrong` describes each that must not be."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        names = ("runs", "complete", "true reason", "hung", "disagreeing", "duplicates")
        return " · ".join(f"{name} {self.counts[name]}" for name in names)

    def bad(self, what: str, where: str) -> None:
        """Count one run that must not be."""
        self.counts[what] += 1
        self.wrong.append(f"{what}: {where}")


@pytest.fixture
def cloud(environment: RegisterEnvironment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy before the AWS stand-in, for S3, KMS and Secrets Manager by boto3.

    delta-rs asks the stand-in itself: it holds the interpreter's lock while it waits, so a proxy
    in this process could not answer it.
    """
    direct = credentials._endpoint_options() | {"AWS_ENDPOINT_URL": environment.endpoint}
    monkeypatch.setattr(credentials, "_endpoint_options", lambda: direct)
    with before(environment.endpoint) as started:
        monkeypatch.setenv("AWS_ENDPOINT_URL", started.host)
        aws.client.cache_clear()
        yield started
    aws.client.cache_clear()


def campaign(target: Proxy, run: Run, settled: Callable[[], None], *, most: int | None) -> Tally:
    """Run once for each fault, or for `most` of them, chosen by a fixed seed."""
    calls = recorded(target, lambda: run(FakedClock()))
    faults, tally = every_fault(calls), Tally()
    if most is not None:
        faults = random.Random(17).sample(faults, min(most, len(faults)))  # noqa: S311
    for number, kind in faults:
        where = f"{kind} at {calls[number]}"
        tally.counts["runs"] += 1
        clock, began = FakedClock(), time.monotonic()
        target.arm(number, KINDS[kind])
        try:
            run(clock)
            tally.counts["complete"] += 1
        except IntegrityError as error:
            tally.bad("untrue reason", f"{where}: {error}")
        except GovernanceError:
            tally.counts["true reason"] += 1
        except Exception as error:  # noqa: BLE001 - counted, and the test fails with all of them
            tally.bad("untyped", f"{where}: {type(error).__name__}: {error}")
        if not target.fired:
            tally.bad("not fired", where)
        if time.monotonic() - began > _HUNG_SECONDS or clock.passed > _BUDGET_SECONDS:
            tally.bad("hung", where)
        target.arm()
        try:
            settled()
        except ValueError as error:  # `check_registered` unpacks one version
            tally.bad("duplicates", f"{where}: {error}")
        except (AssertionError, GovernanceError) as error:
            tally.bad("disagreeing", f"{where}: {type(error).__name__} {str(error)[:300]}")
    return tally


def training(environment: RegisterEnvironment, host: str, secret: str) -> Run:
    """Return what Train reads before it trains: manifest, table, credential, log and files."""
    there = environment.admin().tables.get(register_environment.CURATED)
    manifest: Prepared = curated_table.prepared(environment.clients["folder"], curated_table.ARN, 0)
    target = TableVersion(
        **manifest.target.model_dump()
        | {"table_id": there.table_id, "location": there.storage_location}
    )
    Evidence(register_environment.REGION).write_once(
        _MANIFEST, manifest.model_copy(update={"target": target}).to_bytes()
    )

    def run(clock: FakedClock) -> None:
        workspace = connected(host, secret, clock)
        catalog = Catalog(workspace)
        evidence = Evidence(register_environment.REGION, workspace.policy)
        prepared = Prepared.from_bytes(evidence.read(_MANIFEST), origin=_MANIFEST)
        table = catalog.table(UcName.parse(register_environment.CURATED))
        batches = verified_table.stream(
            prepared, table, catalog.read_access(table), execution_arn=curated_table.ARN
        )
        assert sum(batch.num_rows for batch in batches) == 30

    return run


def connected(host: str, secret: str, clock: FakedClock) -> Workspace:
    """Connect with a clock that does not wait."""
    return connect(
        host=host, secret_id=secret, region=register_environment.REGION, policy=clock.policy()
    )


TRAIN_GRANTS = (
    ("CATALOG", "edgar", "USE_CATALOG"),
    ("SCHEMA", "edgar.curated", "USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA"),
)


@pytest.mark.parametrize("of", ["workspace", "cloud"])
@pytest.mark.parametrize("most", [_SAMPLE, pytest.param(None, marks=pytest.mark.long)])
def test_train(
    environment: RegisterEnvironment, proxy: Proxy, cloud: Proxy, of: str, most: int | None
) -> None:
    secret = principal(environment, f"train-{of}-{most}", *TRAIN_GRANTS)
    run = training(environment, proxy.host, secret)
    target = proxy if of == "workspace" else cloud
    report(campaign(target, run, lambda: None, most=most), f"Train, {of}")


@pytest.mark.parametrize("of", ["workspace", "cloud"])
@pytest.mark.parametrize("most", [_REGISTRATIONS, pytest.param(None, marks=pytest.mark.long)])
def test_register(
    environment: RegisterEnvironment, proxy: Proxy, cloud: Proxy, of: str, most: int | None
) -> None:
    made: list[executions.Execution] = []

    def run(clock: FakedClock) -> None:
        made.append(executions.new_execution(environment))
        register(made[-1], connected(proxy.host, register_environment.SECRET_ID, clock))

    def settled() -> None:
        """The message is delivered again: one version, one alias, each edge once."""
        again = connected(proxy.host, register_environment.SECRET_ID, FakedClock())
        register(made[-1], again)

    target = proxy if of == "workspace" else cloud
    report(campaign(target, run, settled, most=most), f"Register, {of}")


def report(tally: Tally, title: str) -> None:
    """Print the tally, and fail with every run that must not be."""
    print(f"{title}: {tally}")  # noqa: T201 - the campaign's result
    assert not tally.wrong, "\n".join(tally.wrong)
    assert tally.counts["runs"] == tally.counts["complete"] + tally.counts["true reason"]
