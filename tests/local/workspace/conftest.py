"""A real ministack, a real workspace process and unchanged Databricks clients, joined as `up` joins them."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.service import catalog as uc

REPOSITORY = Path(__file__).resolve().parents[3]
BUCKET = "governed"
EXTERNAL_ID = "the-metastores-external-id"
ACCOUNT = "000000000000"


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer within {seconds} s")


def clean_environment(**extra: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return (
        kept | {"AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1", "MLFLOW_DISABLE_TELEMETRY": "true"} | extra
    )


@dataclass
class Aws:
    """ministack with enforced IAM; the root key sets it up, the control plane's key may only assume the storage role."""

    endpoint: str
    control_plane: dict[str, str] = field(default_factory=dict, repr=False)

    def client(self, service: str, key: str = "test", secret: str = "test", token: str | None = None) -> Any:
        session = boto3.session.Session(key, secret, token, region_name="us-east-1")
        return session.client(service, endpoint_url=self.endpoint)

    def vended(self, credentials: uc.AwsCredentials) -> Any:
        """S3 with vended keys."""
        return self.client("s3", credentials.access_key_id, credentials.secret_access_key, credentials.session_token)

    @property
    def storage_role(self) -> str:
        return f"arn:aws:iam::{ACCOUNT}:role/uc-storage"


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    port = unused_port()
    log = (tmp_path_factory.mktemp("ministack") / "log").open("wb")
    started = clean_environment(
        GATEWAY_PORT=str(port), BIND_HOST="127.0.0.1", IOT_MTLS_ENABLED="0", AUTH="true", PYTHONUNBUFFERED="1"
    )
    command = [str(Path(sys.executable).with_name("ministack"))]
    process = subprocess.Popen(command, env=started, stdout=log, stderr=subprocess.STDOUT)
    try:
        aws = Aws(f"http://127.0.0.1:{port}")
        wait_for(f"{aws.endpoint}/_ministack/ready", process)
        _set_up(aws)
        yield aws
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _set_up(aws: Aws) -> None:
    """The bucket that lets in one role, the role that lets in one user with the external id, and that user."""
    iam = aws.client("iam")
    user = iam.create_user(UserName="unity-catalog")["User"]["Arn"]
    key = iam.create_access_key(UserName="unity-catalog")["AccessKey"]
    aws.control_plane |= {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": aws.storage_role}
    iam.put_user_policy(UserName="unity-catalog", PolicyName="assume", PolicyDocument=_policy(assume))
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": user},
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    }
    iam.create_role(RoleName="uc-storage", AssumeRolePolicyDocument=_policy(trust))
    everything = {
        "Effect": "Allow",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
    }
    iam.put_role_policy(RoleName="uc-storage", PolicyName="bucket", PolicyDocument=_policy(everything))
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    # AWS compares the role's ARN, ministack the session's.
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/uc-storage/*"
    others = {"StringNotLike": {"aws:PrincipalArn": [aws.storage_role, session]}}
    s3.put_bucket_policy(
        Bucket=BUCKET,
        Policy=_policy(everything | {"Effect": "Deny", "Principal": "*", "Condition": others}),
    )


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@dataclass
class Workspace:
    """A running workspace process."""

    host: str
    folder: Path
    process: subprocess.Popen[bytes]

    def admin(self) -> WorkspaceClient:
        known = json.loads((self.folder / "admin.json").read_text())
        return self.client(known["client_id"], known["client_secret"])

    def client(self, client_id: str, client_secret: str, **options: Any) -> WorkspaceClient:
        config = Config(
            host=self.host,
            client_id=client_id,
            client_secret=client_secret,
            auth_type="oauth-m2m",
            retry_timeout_seconds=10,
            http_timeout_seconds=10,
            **options,
        )
        return WorkspaceClient(config=config)

    def faults(self, *rules: dict[str, Any]) -> None:
        body = json.dumps(rules).encode()
        with urllib.request.urlopen(f"{self.host}/_test/faults", data=body, timeout=5) as answer:
            assert answer.status == 200

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "audit.jsonl").read_text().splitlines()]

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(10)


StartWorkspace = Callable[..., Workspace]


@pytest.fixture(scope="session")
def start_workspace(aws: Aws) -> Iterator[StartWorkspace]:
    """Starts workspaces; whatever still runs at the end is stopped."""
    with ExitStack() as running:

        def start(state: Path, *options: str, tracking: str = "http://127.0.0.1:9") -> Workspace:
            port = unused_port()
            command = [sys.executable, "-m", "pipeline.local.workspace", "--port", str(port), "--state", str(state)]
            command += ["--tracking-url", tracking, "--aws-endpoint", aws.endpoint, "--storage-bucket", BUCKET]
            command += ["--external-id", EXTERNAL_ID, "--enable-faults", *options]
            process = subprocess.Popen(
                command, cwd=REPOSITORY, env=clean_environment(**aws.control_plane), stdout=subprocess.PIPE
            )
            running.callback(_end, process)
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            assert ready == {"ready": True, "host": f"http://127.0.0.1:{port}"}
            return Workspace(ready["host"], state / "workspace", process)

        yield start


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(scope="session")
def start_tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Starts a real mlflow server and does not wait for it."""
    with ExitStack() as running:

        def start() -> str:
            port, folder = unused_port(), tmp_path_factory.mktemp("tracking")
            log = running.enter_context((folder / "log").open("wb"))
            command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
            command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"]
            command += ["--default-artifact-root", "dbfs:/databricks/mlflow-tracking", "--no-serve-artifacts"]
            started = clean_environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
            process = subprocess.Popen(command, env=started, cwd=folder, stdout=log, stderr=log)
            running.callback(process.wait, 20)
            running.callback(process.terminate)
            return f"http://127.0.0.1:{port}"

        yield start


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    return unused_port


@pytest.fixture(scope="session")
def environment() -> Callable[..., dict[str, str]]:
    """A process environment with nothing of the developer's own."""
    return clean_environment


@pytest.fixture(scope="module")
def workspace(start_workspace: StartWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace of this module's own, with the catalog of the tests."""
    started = start_workspace(tmp_path_factory.mktemp("state"))
    fill_workspace(started)
    return started


@pytest.fixture(scope="session")
def fill() -> Callable[[Workspace], None]:
    """For tests that start a workspace of their own: test modules cannot import this one."""
    return fill_workspace


@pytest.fixture(scope="module")
def admin(workspace: Workspace) -> WorkspaceClient:
    return workspace.admin()


def fill_workspace(workspace: Workspace) -> None:
    """Storage, a catalog with three schemas, and one table, all owned by the admin."""
    admin = workspace.admin()
    role = uc.AwsIamRoleRequest(role_arn=f"arn:aws:iam::{ACCOUNT}:role/uc-storage")
    admin.storage_credentials.create("storage", aws_iam_role=role)
    for name in ("raw", "curated"):
        admin.external_locations.create(name, f"s3://{BUCKET}/{name}", "storage")
    admin.catalogs.create("edgar")
    for name in ("raw", "curated", "models"):
        admin.schemas.create(name, "edgar")
    me = str(admin.current_user.me().user_name)
    grant(admin, me, "SCHEMA", "edgar.raw", "EXTERNAL_USE_SCHEMA")
    grant(admin, me, "EXTERNAL_LOCATION", "raw", "EXTERNAL_USE_LOCATION")
    create_table(admin, "edgar.raw.filings", f"s3://{BUCKET}/raw/filings")


def create_table(client: WorkspaceClient, full_name: str, url: str) -> uc.TableInfo:
    catalog, schema, name = full_name.split(".")
    return client.tables.create(
        name=name,
        catalog_name=catalog,
        schema_name=schema,
        table_type=uc.TableType.EXTERNAL,
        data_source_format=uc.DataSourceFormat.DELTA,
        storage_location=url,
    )


def change_grant(admin: WorkspaceClient, securable: tuple[str, str], change: dict[str, Any]) -> None:
    """By REST: the SDK's enumeration lacks CREATE_MODEL_VERSION and CREATE_EXTERNAL_METADATA."""
    kind, name = securable
    if kind == "METASTORE":
        name = str(admin.metastores.summary().metastore_id)
    admin.api_client.do("PATCH", f"/api/2.1/unity-catalog/permissions/{kind}/{name}", body={"changes": [change]})


def grant(admin: WorkspaceClient, principal: str, kind: str, name: str, *privileges: str) -> None:
    change_grant(admin, (kind, name), {"principal": principal, "add": privileges})


def revoke(admin: WorkspaceClient, principal: str, kind: str, name: str, *privileges: str) -> None:
    change_grant(admin, (kind, name), {"principal": principal, "remove": privileges})


@dataclass
class Principal:
    """A service principal with a client of its own."""

    name: str
    client_id: str
    client_secret: str = field(repr=False)
    client: WorkspaceClient


@pytest.fixture
def principal(workspace: Workspace, admin: WorkspaceClient) -> Principal:
    """Somebody with no rights at all."""
    return new_principal(workspace, admin)


def new_principal(workspace: Workspace, admin: WorkspaceClient) -> Principal:
    name = f"somebody-{secrets.token_hex(4)}"
    made = admin.service_principals.create(display_name=name)
    secret = admin.service_principal_secrets_proxy.create(str(made.id)).secret
    client_id = str(made.application_id)
    return Principal(name, client_id, str(secret), workspace.client(client_id, str(secret)))
