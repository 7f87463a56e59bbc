"""Every kind of fault at every API that Prepare and Train call, and outages of up to an hour.

The calls are recorded from a run without faults. Each fault hits one call of one run. A run ends
complete, or with a typed reason; after it a run of the same job without faults ends complete, with
one table and the same documents. Time is a clock at the seam, so an outage of an hour takes a
second. `make test-long` tries all, the default run a sample. Register has
`register/test_worker_faults.py`, and the live metrics `train/tracking`.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from steps.governance import aws
from steps.governance.documents.manifest import Prepared, TableVersion
from steps.governance.errors import GovernanceError, IntegrityError, Unavailable
from steps.governance.evidence import Evidence
from steps.governance.names import UcName
from steps.governance.unity_catalog import credentials
from steps.governance.unity_catalog.budgets import CONNECTING_SECONDS, WORKING_SECONDS
from steps.governance.unity_catalog.catalog import Catalog
from steps.governance.unity_catalog.identity import Workspace, connect
from steps.governance.unity_catalog.retrying import Policy
from steps.prepare import job as prepare_job
from steps.prepare.arguments import Arguments
from steps.train.data import verified_table
from tests.steps.fault_tally import Tally
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.prepare.support import fakes
from tests.steps.register.support import archives, manifests, register_environment
from tests.steps.register.support.register_environment import RegisterEnvironment
from tests.steps.test_troubled_workspace import (
    PREPARE_GRANTS,
    NoTables,
    as_root,
    environment,
    principal,
    proxy,
    without_spark,
)
from tests.steps.train.support import curated_table
from tests.steps.troubled_proxy import KINDS, Proxy, before, every_fault, recorded

__all__ = ["as_root", "environment", "proxy", "without_spark"]  # fixtures
pytestmark = pytest.mark.environment
_HUNG_SECONDS = 120.0  # real seconds; a slow answer takes one, a request's time-out 30
_BUDGET_SECONDS = 60.0  # on the clock that does not wait
_SAMPLE = 6  # runs of each step and target
_MANIFEST = f"s3://{register_environment.EVIDENCE}/campaign/manifest.json"

Settled = Callable[[], None]  # the same job again, without faults
Run = Callable[[Policy], None]  # one job, whose calls are repeated within this policy


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
    calls = recorded(target, lambda: run(FakedClock().policy()))
    faults, tally = every_fault(calls), Tally()
    if most is not None:
        faults = random.Random(17).sample(faults, min(most, len(faults)))  # noqa: S311
    for number, kind in faults:
        where = f"{kind} at {calls[number]}"
        tally.counts["runs"] += 1
        clock, began = FakedClock(), time.monotonic()
        target.arm(number, KINDS[kind])
        try:
            run(clock.policy())
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
        except (AssertionError, GovernanceError) as error:
            tally.bad("disagreeing", f"{where}: {type(error).__name__} {str(error)[:300]}")
    return tally


def preparing(environment: RegisterEnvironment, host: str, secret: str) -> tuple[Run, Settled]:
    """Return Prepare but for Spark and the store: catalog, credentials, tables and documents."""
    made: list[Arguments] = []

    def work(arguments: Arguments, policy: Policy) -> Prepared:
        workspace = connected(host, secret, policy)
        evidence = Evidence(register_environment.REGION, workspace.policy)
        return prepare_job.Job(arguments, Catalog(workspace), NoTables(), evidence).run()

    def run(policy: Policy) -> None:
        name = register_environment.random_name()
        made.append(
            fakes.arguments(
                Path("/none"),
                raw_table=UcName.parse(register_environment.RAW),
                curated_table=UcName.parse(f"edgar.curated.{name}"),
                curated_root=f"s3://{register_environment.GOVERNED}/curated",
                manifest_uri=f"s3://{register_environment.EVIDENCE}/campaign/{name}/manifest.json",
                region=register_environment.REGION,
            )
        )
        work(made[-1], policy)

    def settled() -> None:
        """EMR runs the job again: it finds its tables, and its manifest stays."""
        arguments = made[-1]
        first = work(arguments, FakedClock().policy())
        for table in (arguments.curated_table, arguments.curated_table.sibling("rejected")):
            assert environment.admin().tables.get(str(table)).table_id
        stored = Evidence(register_environment.REGION).read(arguments.manifest_uri)
        assert stored == first.to_bytes() == work(arguments, FakedClock().policy()).to_bytes()

    return run, settled


def training(environment: RegisterEnvironment, host: str, secret: str) -> tuple[Run, Settled]:
    """Return what Train does before and after it trains.

    It reads manifest, table, credential, log and files, and publishes its own manifest.
    """
    there = environment.admin().tables.get(register_environment.CURATED)
    manifest: Prepared = curated_table.prepared(environment.clients["folder"], curated_table.ARN, 0)
    target = TableVersion(
        **manifest.target.model_dump()
        | {"table_id": there.table_id, "location": there.storage_location}
    )
    Evidence(register_environment.REGION).write_once(
        _MANIFEST, manifest.model_copy(update={"target": target}).to_bytes()
    )

    made: list[str] = []

    def publish(evidence: Evidence) -> None:
        trained = manifests.trained(
            curated_table.ARN, made[-1], manifest, archives.adapter_files(), "0" * 64
        )
        uri = f"s3://{register_environment.EVIDENCE}/campaign/{made[-1]}/manifest.json"
        evidence.write_once(uri, trained.to_bytes())
        assert evidence.read(uri) == trained.to_bytes()

    def run(policy: Policy) -> None:
        made.append(f"pipelines-{register_environment.random_name()}-Train")
        workspace = connected(host, secret, policy)
        catalog = Catalog(workspace)
        evidence = Evidence(register_environment.REGION, workspace.policy)
        prepared = Prepared.from_bytes(evidence.read(_MANIFEST), origin=_MANIFEST)
        table = catalog.table(UcName.parse(register_environment.CURATED))
        batches = verified_table.stream(
            prepared, table, catalog.read_access(table), execution_arn=curated_table.ARN
        )
        assert sum(batch.num_rows for batch in batches) == 30
        publish(evidence)

    return run, lambda: publish(Evidence(register_environment.REGION))


def connected(host: str, secret: str, policy: Policy) -> Workspace:
    """Connect as a job does."""
    return connect(host=host, secret_id=secret, region=register_environment.REGION, policy=policy)


TRAIN_GRANTS = (
    ("CATALOG", "edgar", "USE_CATALOG"),
    ("SCHEMA", "edgar.curated", "USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA"),
)
STEPS = {"prepare": (preparing, PREPARE_GRANTS), "train": (training, TRAIN_GRANTS)}


@pytest.fixture(scope="module")
def secrets_of(environment: RegisterEnvironment) -> dict[str, str]:
    """The secret of each step's principal."""
    return {
        name: principal(environment, f"campaign-{name}", *grants)
        for name, (_, grants) in STEPS.items()
    }


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("of", ["workspace", "cloud"])
@pytest.mark.parametrize("most", [_SAMPLE, pytest.param(None, marks=pytest.mark.long)])
@pytest.mark.usefixtures("without_spark")
def test_a_fault_at_every_api(
    environment: RegisterEnvironment,
    proxies: dict[str, Proxy],
    secrets_of: dict[str, str],
    step: str,
    of: str,
    most: int | None,
) -> None:
    made, _ = STEPS[step]
    run, settled = made(environment, proxies["workspace"].host, secrets_of[step])
    campaign(proxies[of], run, settled, most=most).report(f"{step}, {of}")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("of", ["workspace", "cloud"])
@pytest.mark.parametrize("calls_before", [0, 2])
@pytest.mark.parametrize("minutes", [1, 10, 60])
@pytest.mark.usefixtures("without_spark")
def test_an_outage_that_lasts(
    environment: RegisterEnvironment,
    proxies: dict[str, Proxy],
    secrets_of: dict[str, str],
    step: str,
    of: str,
    calls_before: int,
    minutes: int,
) -> None:
    """A job waits 15 minutes at its start and 30 within; after an hour it ends with the reason."""
    made, _ = STEPS[step]
    run, settled = made(environment, proxies["workspace"].host, secrets_of[step])
    clock, proxy = FakedClock(), proxies[of]
    proxy.arm()
    proxy.out = lambda: len(proxy.asked) > calls_before and clock.passed < 60 * minutes
    policy = replace(clock.policy(WORKING_SECONDS), starting_seconds=CONNECTING_SECONDS)
    try:
        if minutes < 15:
            run(policy)
        else:
            with pytest.raises(Unavailable, match=r"503|ServiceUnavailable"):
                run(policy)
    finally:
        proxy.out = lambda: False
    assert proxy.fired
    assert 60 * min(minutes, 15) <= clock.passed < 60 * min(minutes + 1, 33)
    settled()


@pytest.fixture
def proxies(proxy: Proxy, cloud: Proxy) -> dict[str, Proxy]:
    return {"workspace": proxy, "cloud": cloud}
