"""The real process against the embedded AWS and workspace, which enforce IAM and grants."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from databricks.sdk.service.catalog import PermissionsChange, Privilege, SecurableType

from steps.governance.documents import membership
from steps.governance.documents.manifest import Prepared
from tests.steps.prepare.support import fakes
from tests.steps.prepare.support.environment import Environment, Run, environment

pytestmark = [pytest.mark.spark, pytest.mark.environment]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with environment(tmp_path_factory.mktemp("environment"), fakes.corpus()) as running:
        yield running


def governed(embedded: Environment) -> list[str]:
    return embedded.keys(embedded.config.storage.governed_bucket, "curated/")


@pytest.fixture(scope="module")
def runs(embedded: Environment) -> list[Run]:
    """Two executions at once, and then one of them again."""
    names = ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "aaaaaaaaaaaa"]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda name: embedded.run(execution=name), names))


def test_two_executions_at_once_and_one_of_them_twice(
    embedded: Environment, runs: list[Run]
) -> None:
    assert [run.code for run in runs] == [0, 0, 0], "\n".join(run.stderr[-2000:] for run in runs)
    names = [run.execution for run in runs[:2]]
    manifests = [
        Prepared.from_bytes(json.dumps(embedded.manifest(name)).encode(), origin=name)
        for name in names
    ]
    assert {manifest.target.version for manifest in manifests} == {0, 1}
    assert all(manifest.counts.filings_read == len(fakes.corpus()) for manifest in manifests)
    assert all(
        manifest.principal == embedded.seeded.application_ids["prepare"] for manifest in manifests
    )
    files = [
        f"curated/edgar/curated/risk_factor_examples/{file.path}"
        for manifest in manifests
        for file in manifest.files
    ]
    assert {
        key for key in governed(embedded) if key.endswith(".parquet") and "rejected" not in key
    } == set(files)
    registered = embedded.admin.tables.get("edgar.curated.risk_factor_examples")
    assert (registered.table_id, registered.storage_location) == (
        manifests[0].target.table_id,
        manifests[0].target.location,
    )
    assert [column.name for column in registered.columns or []][:3] == [
        "example_id",
        "execution_id",
        "split",
    ]


def test_the_record_has_the_rights_the_raw_bytes_and_the_filings(
    embedded: Environment, runs: list[Run]
) -> None:
    (execution, principal) = runs[0].execution, embedded.seeded.application_ids["prepare"]
    document = json.dumps(embedded.manifest(execution)).encode()
    manifest = Prepared.from_bytes(document, origin="here")
    assert manifest.schema_ == "governed-finetune/prepared/2"
    assert manifest.reading is not None
    assert manifest.reading.principal == principal
    assert manifest.reading.grants_unknown is None
    granted = {(one.privilege, one.securable) for one in manifest.reading.grants or []}
    assert {("USE_CATALOG", "edgar"), ("EXTERNAL_USE_SCHEMA", "edgar.raw")} <= granted
    assert "SELECT" in {privilege for privilege, _ in granted}
    raw = embedded.config.storage.governed_bucket, "raw/"
    stored = {key for key in embedded.keys(*raw) if key.endswith(".parquet")}
    assert {file.path for file in manifest.raw_files or []} == {
        key.rpartition("/")[2] for key in stored
    }
    assert manifest.membership is not None
    answer = embedded.evidence(execution, manifest.membership.path)
    assert answer["ContentType"] == membership.MEDIA_TYPE
    rows = membership.read(answer["Body"].read(), origin="here")
    assert len(rows) == manifest.membership.rows
    assert sum(rows["examples_train"].to_pylist()) == manifest.counts.examples_train


@pytest.mark.parametrize(
    ("schema", "privilege"),
    [
        ("edgar.raw", Privilege.SELECT),
        ("edgar.raw", Privilege.EXTERNAL_USE_SCHEMA),
        ("edgar.curated", Privilege.EXTERNAL_USE_SCHEMA),
    ],
)
def test_a_revoked_privilege_is_named_and_nothing_is_written(
    embedded: Environment, schema: str, privilege: Privilege
) -> None:
    principal = embedded.seeded.application_ids["prepare"]
    before = governed(embedded)

    def change(**how: list[Privilege]) -> None:
        changes = [PermissionsChange(principal=principal, **how)]
        embedded.admin.grants.update(SecurableType.SCHEMA.value, schema, changes=changes)

    change(remove=[privilege])
    try:
        run = embedded.run(execution="cccccccccccc")
    finally:
        change(add=[privilege])
    assert run.code == 1
    assert run.last_line.startswith("AccessDenied: ")
    for part in (principal, schema, privilege.value.replace("_", " ")):
        assert part in run.last_line
    assert "Traceback" not in run.stderr
    assert governed(embedded) == before


@pytest.mark.parametrize("schema", ["edgar.curatde", "egdar.curated"])
def test_a_mistyped_schema_is_named_and_nothing_is_written(
    embedded: Environment, schema: str
) -> None:
    before = governed(embedded)
    run = embedded.run("--curated-table", f"{schema}.risk_factor_examples")
    assert run.code == 1
    assert run.last_line.startswith("ContainerNotFound: ")
    assert f"look up schema {schema}" in run.last_line
    assert governed(embedded) == before


def test_the_job_s_own_role_reads_no_governed_byte(embedded: Environment) -> None:
    import boto3
    from botocore.exceptions import ClientError

    keys = embedded.root.lend("prepare")
    s3 = boto3.Session(
        keys["AWS_ACCESS_KEY_ID"],
        keys["AWS_SECRET_ACCESS_KEY"],
        keys["AWS_SESSION_TOKEN"],
        region_name="us-east-1",
    ).client("s3", endpoint_url=embedded.variables["AWS_ENDPOINT_URL"])
    bucket = embedded.config.storage.governed_bucket
    assert embedded.keys(bucket, "raw/")
    for key in embedded.keys(bucket, "raw/"):
        with pytest.raises(ClientError, match=r"AccessDenied|403|Forbidden"):
            s3.get_object(Bucket=bucket, Key=key)


def test_no_output_of_the_runs_contains_a_secret(embedded: Environment, runs: list[Run]) -> None:
    secrets = embedded.root.client("secretsmanager")
    found = secrets.get_secret_value(SecretId=embedded.config.prepare.databricks_secret_id)
    secret = json.loads(found["SecretString"])["clientSecret"]
    for run in runs:
        left = run.stdout + run.stderr + json.dumps(embedded.manifest(run.execution))
        assert run.execution in left
        for word in (secret, "aws_secret", "session_token", "Bearer"):
            assert word.lower() not in left.lower()


def test_a_wrong_argument_ends_with_usage_and_opens_nothing(embedded: Environment) -> None:
    run = embedded.run("--seed", "many")
    assert run.code == 2
    assert run.last_line.startswith("UsageError: Prepare was not started")


def test_an_unreachable_workspace_is_named_in_the_last_line(embedded: Environment) -> None:
    run = embedded.run("--databricks-host", "http://127.0.0.1:9", connecting_seconds=2)
    assert run.code == 1
    assert run.last_line.startswith(
        "Unavailable: the workspace at 127.0.0.1:9 gave no access token"
    )
