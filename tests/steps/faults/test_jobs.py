"""Each kind of fault at each API that Prepare and Train call, and outages of up to an hour.

The calls are recorded from a run without faults. Each fault hits one API of one run. A run ends
complete, or with a true reason and no manifest; after it a run of the same job without faults ends
complete, with one table and the same documents. Time is a clock at the seam, so an outage of an
hour takes a second. `make test-long` tries all, the default run a sample. The live metrics have
`train/tracking`.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from steps.governance import aws
from steps.governance.documents.manifest import Prepared, TableVersion
from steps.governance.errors import GovernanceError
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
from tests.steps.faults.support.judge import End, Seen, judged
from tests.steps.faults.support.tally import Tally
from tests.steps.faults.support.truth import Injected
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.prepare.support import fakes
from tests.steps.register.support import archives, manifests, register_environment
from tests.steps.register.support.register_environment import EVIDENCE, RegisterEnvironment
from tests.steps.test_troubled_workspace import (
    PREPARE_GRANTS,
    NoTables,
    as_root,
    principal,
    without_spark,
)
from tests.steps.train.support import curated_table
from tests.steps.troubled_proxy import Proxy, apis, before, kind_of, kinds_at, recorded

__all__ = ["as_root", "without_spark"]  # fixtures
pytestmark = pytest.mark.environment
_HUNG_SECONDS = 120.0  # real seconds; a slow answer takes one, a request's time-out 30
_BUDGET_SECONDS = 60.0  # on the clock that does not wait
_SAMPLE = 2  # runs of each step and target
_MANIFEST = f"s3://{EVIDENCE}/campaign/manifest.json"

Report = Callable[[str, object], None]


@dataclass(frozen=True)
class Step:
    """One step's job. `run` has a new execution each time; the others concern the last one.

    `again` runs the same job without faults, and checks what is stored. `key` is its manifest's.
    """

    run: Callable[[Policy], None]
    again: Callable[[], None]
    key: Callable[[], str]


@pytest.fixture(scope="module")
def workspace_proxy(environment: RegisterEnvironment) -> Iterator[Proxy]:
    with before(environment.host) as started:
        yield started


@pytest.fixture
def cloud(environment: RegisterEnvironment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy before the AWS stand-in, for S3, KMS and Secrets Manager by boto3.

    delta-rs asks the stand-in itself: it holds the interpreter's lock while it waits, so a proxy
    in this process could not answer it.
    """
    options, direct = credentials._endpoint_options, {"AWS_ENDPOINT_URL": environment.endpoint}
    monkeypatch.setattr(
        credentials, "_endpoint_options", lambda location: options(location) | direct
    )
    with before(environment.endpoint) as started:
        monkeypatch.setenv("AWS_ENDPOINT_URL", started.host)
        aws.client.cache_clear()
        yield started
    aws.client.cache_clear()


@pytest.fixture
def proxies(workspace_proxy: Proxy, cloud: Proxy) -> dict[str, Proxy]:
    return {"workspace": workspace_proxy, "cloud": cloud}


def ended(
    environment: RegisterEnvironment, step: Step, target: Proxy, policy: Policy
) -> tuple[Seen, list[Injected]]:
    """Run the step with the faults that are armed; return what it left, and what hit it."""
    status, reasons, began = "Succeeded", list[str](), time.monotonic()
    try:
        step.run(policy)
    except GovernanceError as error:
        status, reasons = "Failed", [str(error)]
    except Exception as error:  # noqa: BLE001 - judged, and the test fails with all of them
        status, reasons = "Failed", ["an unforeseen error"]
        print(f"{type(error).__name__}: {error}")  # noqa: T201
    sent = [Injected(call, kind_of(fault)) for call, fault in target.sent]
    target.out = lambda: False
    target.arm()
    slow = time.monotonic() - began > _HUNG_SECONDS
    published = stored_versions(environment, step.key())
    missing = after(step)
    seen = Seen(
        status,
        hung=f"it took more than {_HUNG_SECONDS:.0f} s" if slow else "",
        reasons=reasons,
        usable=["a manifest"] if published else [],
        missing=missing if published or status == "Failed" else "no manifest",
        copies={"manifest": stored_versions(environment, step.key())},
    )
    return seen, list(dict.fromkeys(sent))


def after(step: Step) -> str:
    """Run the same job again; return what is wrong then."""
    try:
        step.again()
    except (AssertionError, GovernanceError) as error:
        return f"a second run: {type(error).__name__} {str(error)[:300]}"
    return ""


def stored_versions(environment: RegisterEnvironment, key: str) -> int:
    """Return how often a document was written; the bucket keeps versions."""
    answer = environment.client("s3").list_object_versions(Bucket=EVIDENCE, Prefix=key)
    return len(answer.get("Versions", []))


def preparing(environment: RegisterEnvironment, host: str, secret: str) -> Step:
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
                manifest_uri=f"s3://{EVIDENCE}/campaign/{name}/manifest.json",
                region=register_environment.REGION,
            )
        )
        work(made[-1], policy)

    def again() -> None:
        """EMR runs the job again: it finds its tables, and its manifest stays."""
        arguments = made[-1]
        first = work(arguments, FakedClock().policy())
        for table in (arguments.curated_table, arguments.curated_table.sibling("rejected")):
            assert environment.admin().tables.get(str(table)).table_id
        stored = Evidence(register_environment.REGION).read(arguments.manifest_uri)
        assert stored == first.to_bytes()

    return Step(run, again, lambda: made[-1].manifest_uri.removeprefix(f"s3://{EVIDENCE}/"))


def curated_manifest(environment: RegisterEnvironment) -> Prepared:
    """Return Prepare's manifest of the environment's curated table."""
    there = environment.admin().tables.get(register_environment.CURATED)
    manifest: Prepared = curated_table.prepared(environment.clients["folder"], curated_table.ARN, 0)
    target = TableVersion(
        **manifest.target.model_dump()
        | {"table_id": there.table_id, "location": there.storage_location}
    )
    return manifest.model_copy(update={"target": target})


def training(environment: RegisterEnvironment, host: str, secret: str) -> Step:
    """Return what Train reads before it trains, and the manifest that it publishes after it."""
    manifest = curated_manifest(environment)
    Evidence(register_environment.REGION).write_once(_MANIFEST, manifest.to_bytes())
    made: list[str] = []

    def key() -> str:
        return f"campaign/{made[-1]}/manifest.json"

    def publish(evidence: Evidence) -> bytes:
        trained = manifests.trained(
            curated_table.ARN,
            f"pipelines-{made[-1]}-Train",
            manifest,
            archives.adapter_files(),
            "0" * 64,
        )
        evidence.write_once(f"s3://{EVIDENCE}/{key()}", trained.to_bytes())
        return trained.to_bytes()

    def again() -> None:
        evidence = Evidence(register_environment.REGION)
        assert publish(evidence) == evidence.read(f"s3://{EVIDENCE}/{key()}")

    def run(policy: Policy) -> None:
        made.append(register_environment.random_name())
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

    return Step(run, again, key)


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


@pytest.fixture
def steps(
    environment: RegisterEnvironment,
    proxies: dict[str, Proxy],
    secrets_of: dict[str, str],
    without_spark: None,
) -> dict[str, Step]:
    return {
        name: made(environment, proxies["workspace"].host, secrets_of[name])
        for name, (made, _) in STEPS.items()
    }


@pytest.mark.parametrize("most", [_SAMPLE, pytest.param(None, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "case", [(name, of) for name in STEPS for of in ("workspace", "cloud")], ids=str
)
def test_one_fault_at_every_api(
    environment: RegisterEnvironment,
    proxies: dict[str, Proxy],
    steps: dict[str, Step],
    case: tuple[str, str],
    most: int | None,
    record_property: Report,
) -> None:
    name, of = case
    step, target = steps[name], proxies[of]
    calls = recorded(target, lambda: step.run(FakedClock().policy()))
    faults = [(called, kind) for called in apis(calls) for kind in kinds_at(called)]
    if most is not None:
        faults = random.Random(17).sample(faults, most)  # noqa: S311 - a sample
    tally = Tally(f"{name}, {of}" + (", sample" if most else ""))
    for called, kind in faults:
        target.arm_api(called, kinds_at(called)[kind])
        clock = FakedClock()
        seen, injected = ended(environment, step, target, clock.policy(_BUDGET_SECONDS))
        tally.add(seen, injected, f"{kind} at {called}")
        if len(injected) != 1 or clock.passed > _BUDGET_SECONDS:
            tally.wrong.append(f"{kind} at {called}: sent {injected}, {clock.passed:.0f} s")
    tally.report(record_property)


_LASTING = [
    (name, of, calls_before, minutes)
    for name in STEPS
    for of in ("workspace", "cloud")
    for calls_before in (0, 2)
    for minutes in (1, 10, 60)
]
_SAMPLED = [("prepare", "workspace", 2, 10), ("train", "cloud", 0, 60)]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[] if case in _SAMPLED else pytest.mark.long) for case in _LASTING],
    ids=str,
)
def test_an_outage_that_lasts(
    environment: RegisterEnvironment,
    proxies: dict[str, Proxy],
    steps: dict[str, Step],
    case: tuple[str, str, int, int],
    record_property: Report,
) -> None:
    """A job waits 15 minutes at its start and 30 within; after an hour it ends with the reason."""
    name, of, calls_before, minutes = case
    clock, proxy = FakedClock(), proxies[of]
    proxy.arm()
    proxy.out = lambda: len(proxy.asked) > calls_before and clock.passed < 60 * minutes
    policy = replace(clock.policy(WORKING_SECONDS), starting_seconds=CONNECTING_SECONDS)
    seen, injected = ended(environment, steps[name], proxy, policy)
    assert injected
    assert 60 * min(minutes, 15) <= clock.passed < 60 * min(minutes + 1, 33)
    tally = Tally(f"{name}, {of} out for {minutes} min after {calls_before} calls")
    tally.add(seen, injected, "503")
    tally.report(record_property)
    assert judged(seen, injected)[0] is (End.COMPLETE if minutes < 15 else End.TRUE)
