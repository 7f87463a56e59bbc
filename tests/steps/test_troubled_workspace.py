"""Prepare, Train and Register succeed with a failing workspace, or end within their budget.

The workspace answers 502 once to each call in turn, or asks to wait an hour. The steps use their
own clients against a real workspace process, with a proxy in between and a clock that does not
wait. The calls to fail are recorded from a run without faults.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk.service import catalog as uc

from steps.governance import aws
from steps.governance.documents.manifest import Prepared, TableVersion
from steps.governance.documents.reading import Build
from steps.governance.documents.record import RegisterFacts
from steps.governance.errors import Unavailable
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Catalog
from steps.governance.unity_catalog.identity import Workspace, connect
from steps.prepare import job as prepare_job
from steps.prepare.delta.store import Commit, Content
from steps.prepare.filings.judge import EXAMPLE, FILING
from steps.prepare.filings.survey import Group, Survey
from steps.prepare.filings.vocabulary import GROUPS
from steps.prepare.verdict.numbers import Numbers
from steps.register.delivery.sagemaker_truth import Truth
from steps.register.fact_reader import FactReader
from steps.register.register import Registration
from steps.register.signing.signing import Signing
from steps.train.data import verified_table
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.agreements import AGREED
from tests.steps.register.support import ceilings, executions, register_environment
from tests.steps.register.support.register_environment import RegisterEnvironment
from tests.steps.train.support import curated_table
from tests.steps.troubled_proxy import Proxy, before, demands, losses, recorded

pytestmark = pytest.mark.environment
_BUDGET_SECONDS = 60.0
# mlflow continues without an answer to this call.
_OPTIONAL = "is-databricks-sdk-models-artifact-repository-enabled"
_FOUND = Survey(
    tuple(
        Group(kind, cik, None, None, 1, "0" * 64)
        for kind in (FILING, EXAMPLE)
        for cik in ("0000000001", "0000000002")
    )
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegisterEnvironment]:
    with register_environment.started(tmp_path_factory.mktemp("troubled")) as made:
        curated_location = f"{register_environment.GOVERNED}/curated/risk_factor_examples"
        folder = tmp_path_factory.mktemp("curated")
        curated_table.commit(folder, curated_table.ARN)
        for path in folder.rglob("*"):
            if path.is_file():
                bucket, _, prefix = curated_location.partition("/")
                made.client("s3").put_object(
                    Bucket=bucket,
                    Key=f"{prefix}/{path.relative_to(folder)}",
                    Body=path.read_bytes(),
                )
        made.clients["folder"] = folder
        yield made


@pytest.fixture(scope="module")
def proxy(environment: RegisterEnvironment) -> Iterator[Proxy]:
    with before(environment.host) as started:
        yield started


@pytest.fixture(autouse=True)
def as_root(environment: RegisterEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this process the account's root keys: only the workspace fails in these tests."""
    keys = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": register_environment.REGION,
    }
    for name, value in (environment.variables() | keys).items():
        monkeypatch.setenv(name, value)
    aws.client.cache_clear()


def principal(environment: RegisterEnvironment, name: str, *grants: tuple[str, ...]) -> str:
    """Create a service principal with these grants; return its secret's id."""
    admin = environment.admin()
    made = admin.service_principals.create(display_name=name)
    value = {
        "clientId": made.application_id,
        "clientSecret": admin.service_principal_secrets_proxy.create(str(made.id)).secret,
    }
    environment.client("secretsmanager").create_secret(
        Name=f"gf/databricks/{name}", SecretString=json.dumps(value)
    )
    for kind, securable, *privileges in grants:
        environment.change_grant(kind, securable, str(made.application_id), "add", *privileges)
    return f"gf/databricks/{name}"


def connecting(proxy: Proxy, secret: str) -> Callable[[FakedClock], Workspace]:
    """Return a function that connects through the proxy, with the retries of the given clock."""

    def connected(clock: FakedClock) -> Workspace:
        return connect(
            host=proxy.host,
            secret_id=secret,
            region=register_environment.REGION,
            policy=clock.policy(),
        )

    return connected


def sweep(
    proxy: Proxy, run: Callable[[Workspace], object], connected: Callable[[FakedClock], Workspace]
) -> list[str]:
    """Run once for every fault of every call; return the calls of a run without faults."""
    calls = recorded(proxy, lambda: run(connected(FakedClock())))
    for number, fault in losses(calls):
        clock = FakedClock()
        proxy.arm(number, fault)
        run(connected(clock))
        assert proxy.fired, (calls[number], fault)
        assert clock.passed < _BUDGET_SECONDS
    optional = _optional(calls)
    for number, fault in demands(calls):
        clock, began = FakedClock(), time.monotonic()
        proxy.arm(number, fault)
        if number in optional:
            run(connected(clock))
        else:
            with pytest.raises(Unavailable) as error:
                run(connected(clock))
            assert error.value.retry_after_seconds == 3600, (calls[number], error.value)
        assert proxy.fired
        assert clock.passed < _BUDGET_SECONDS
        assert time.monotonic() - began < 30
    return calls


def _optional(calls: list[str]) -> set[int]:
    """Return the calls without whose answer a job continues.

    The record of who allowed a reading is one of them: the calls from the first to the last
    look-up of effective permissions.
    """
    numbers = {number for number, call in enumerate(calls) if call.endswith(_OPTIONAL)}
    grants = [number for number, call in enumerate(calls) if "/effective-permissions/" in call]
    return numbers | set(range(grants[0], grants[-1] + 1) if grants else ())


class NoTables:
    """A store for Prepare that requests the credentials and writes nothing."""

    spark = SimpleNamespace(version="4.0.0")

    def files(self, place: Any, version: int) -> tuple[()]:
        """Return no files, so that Spark is not called to hash them."""
        return ()

    def resolve_version(self, place: Any, version: int) -> int:
        return 0

    def earlier(self, place: Any, execution_arn: str) -> None:
        return None

    def check_target(self, place: Any, schema: Any) -> None:
        place.access.storage_options()

    def check_rows(self, frame: Any, place: Any, schema: Any) -> tuple[()]:
        return ()

    def columns(self, place: Any, version: int) -> dict[str, str]:
        return dict.fromkeys(fakes.RAW_COLUMNS, "string")

    def rows(self, place: Any, version: int) -> None:
        return None

    @contextmanager
    def staged(self, rows: Any, kernel: Any, target: Any) -> Iterator[Any]:
        rows.place.access.storage_options()
        target.access.storage_options()
        yield SimpleNamespace(read=lambda *_: None)

    def require_files(self, place: Any, version: int) -> None:
        """Every file exists: only the workspace fails here."""

    def append(self, frame: Any, place: Any, content: Content) -> Commit:
        place.access.storage_options()
        return Commit(0, 1795323600000, ())


PREPARE_GRANTS = (
    ("CATALOG", "edgar", "USE_CATALOG"),
    ("SCHEMA", "edgar.raw", "USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA"),
    ("SCHEMA", "edgar.curated", "USE_SCHEMA", "SELECT", "MODIFY", "CREATE_TABLE"),
    ("SCHEMA", "edgar.curated", "EXTERNAL_USE_SCHEMA"),
    ("EXTERNAL_LOCATION", "curated", "EXTERNAL_USE_LOCATION", "CREATE_EXTERNAL_TABLE"),
)


@pytest.fixture
def without_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the work of Spark, which calls no workspace, by its result `_FOUND`."""
    monkeypatch.setattr(prepare_job.decision, "rejected", lambda *_, **__: None)
    for name in ("run", "final"):
        monkeypatch.setattr(prepare_job.stages, name, lambda *_: None)
    monkeypatch.setattr(prepare_job.Job, "_examples", lambda *_: None)
    numbers = Numbers(_FOUND.groups, {1: 1}, {}, [0] * GROUPS, 0.0)
    monkeypatch.setattr(prepare_job.counted, "counted", lambda *_: numbers)
    monkeypatch.setattr(prepare_job.Job, "_agreement", lambda *_: AGREED)


@pytest.mark.usefixtures("without_spark")
def test_prepare(environment: RegisterEnvironment, proxy: Proxy) -> None:
    secret = principal(environment, "prepare", *PREPARE_GRANTS)

    def run(workspace: Workspace) -> None:
        table = f"edgar.curated.{register_environment.random_name()}"
        arguments = fakes.arguments(
            Path("/none"),
            raw_table=UcName.parse(register_environment.RAW),
            curated_table=UcName.parse(table),
            curated_root=f"s3://{register_environment.GOVERNED}/curated",
        )
        evidence = fakes.MemoryEvidence()
        prepare_job.Job(arguments, Catalog(workspace), NoTables(), evidence).run()
        assert len(evidence.documents) == 2  # the list of filings, and the manifest that names it
        assert environment.admin().tables.get(table).table_id
        assert environment.admin().tables.get(f"{table}_rejected").table_id

    calls = sweep(proxy, run, connecting(proxy, secret))
    assert calls[0] == "POST /oidc/v1/token"
    assert sum(call == "POST /api/2.1/unity-catalog/tables" for call in calls) == 2
    assert len(calls) >= 10


def test_train(environment: RegisterEnvironment, proxy: Proxy) -> None:
    secret = principal(
        environment,
        "train",
        ("CATALOG", "edgar", "USE_CATALOG"),
        ("SCHEMA", "edgar.curated", "USE_SCHEMA", "SELECT", "EXTERNAL_USE_SCHEMA"),
    )
    there = environment.admin().tables.get(register_environment.CURATED)
    manifest: Prepared = curated_table.prepared(environment.clients["folder"], curated_table.ARN, 0)
    target = TableVersion(
        **manifest.target.model_dump()
        | {"table_id": there.table_id, "location": there.storage_location}
    )
    manifest = manifest.model_copy(update={"target": target})

    def run(workspace: Workspace) -> None:
        catalog = Catalog(workspace)
        table = catalog.table(UcName.parse(register_environment.CURATED))
        batches = verified_table.stream(
            manifest, table, catalog.read_access(table), execution_arn=curated_table.ARN
        )
        assert sum(batch.num_rows for batch in batches) == 30

    assert len(sweep(proxy, run, connecting(proxy, secret))) == 3  # token, table, credential


def test_register(environment: RegisterEnvironment, proxy: Proxy) -> None:
    spoiled: list[executions.Execution] = []

    def run(workspace: Workspace) -> None:
        spoiled.append(executions.new_execution(environment))
        register(spoiled[-1], workspace)
        spoiled.pop()

    connected = connecting(proxy, register_environment.SECRET_ID)
    calls = sweep(proxy, run, connected)
    assert sum(call.endswith("/model-versions/create") for call in calls) == 1
    assert sum(call == "POST /api/2.0/lineage-tracking/external-lineage" for call in calls) == 4
    proxy.arm()
    for execution in spoiled[:: max(len(spoiled) // 8, 1)]:  # the message is delivered again
        register(execution, connected(FakedClock()))


def register(execution: executions.Execution, workspace: Workspace) -> None:
    """Run the Register step's work; check that each of its effects exists once."""
    environment = execution.environment
    truth = Truth(
        register_environment.REGION,
        pipeline_name=register_environment.PIPELINE,
        queue_url=execution.queue_url,
    )
    evidence_uri = f"s3://{register_environment.EVIDENCE}/executions"
    Registration(
        facts=FactReader(
            register_environment.REGION,
            evidence_uri=evidence_uri,
            truth=truth,
            limits=ceilings.LIMITS,
        ).read(execution.arn),
        folder=f"{evidence_uri}/{execution.id}/register",
        region=register_environment.REGION,
        guard=lambda: None,
        confirm=lambda: None,
        worker=RegisterFacts(
            image="register@sha256:" + "0" * 64, build=Build(clean=True, lock_sha256="0" * 64)
        ),
        signing=Signing.connected(
            register_environment.REGION,
            key_arn=environment.key_arn,
            ledger_uri=f"s3://{register_environment.EVIDENCE}/{environment.ledger}",
        ),
    ).run(workspace)
    check_registered(execution)


def check_registered(execution: executions.Execution) -> None:
    """Check: one READY version with alias, and each lineage edge once."""
    environment = execution.environment
    (version,) = execution.versions()
    assert version.status is uc.ModelVersionInfoStatus.READY
    assert (
        environment.admin().model_versions.get_by_alias(execution.model, "challenger").version
        == version.version
    )
    for node in execution.evidence("record.json")["lineage"]["nodes"]:
        for direction in (uc.LineageDirection.UPSTREAM, uc.LineageDirection.DOWNSTREAM):
            end = uc.ExternalLineageObject(
                external_metadata=uc.ExternalLineageExternalMetadata(node.removeprefix("job:"))
            )
            assert (
                len(
                    list(
                        environment.admin().external_lineage.list_external_lineage_relationships(
                            end, direction
                        )
                    )
                )
                == 1
            )
