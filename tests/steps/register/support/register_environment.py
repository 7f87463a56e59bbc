"""The services that tests register with.

AWS is ministack (S3, SQS, STS, Secrets Manager, with IAM enforced). The workspace is a process that
makes faults on demand. SageMaker is a stub. `executions` makes what is registered.
"""

# ruff: noqa: S310 - our own loopback URLs

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.service import catalog as uc

from steps.governance.documents import builds
from tests.steps.register.support import ceilings, signing_key
from tests.steps.register.support.policies import allow, policy
from tests.steps.register.support.sagemaker_stub import SageMakerStub, serving

REPOSITORY = Path(__file__).resolve().parents[4]
REGION, ACCOUNT, PIPELINE = "us-east-1", "000000000000", "governed-finetune-test"
GOVERNED, EVIDENCE, ARTIFACTS = "gf-governed", "gf-evidence", "gf-artifacts"
SECRET_ID, EXTERNAL_ID = "gf/databricks/register", "the-metastores-external-id"
RAW, CURATED = "edgar.raw.filings", "edgar.curated.risk_factor_examples"
VISIBILITY_SECONDS = 30  # of messages and leases; a heartbeat may be late by 20 s
MAX_RECEIVES = 5
END_SECONDS = 90  # of a server after SIGTERM, on a machine that others keep busy
HEX = "0123456789abcdef"
REGISTER_IMAGE = "registry/register@sha256:" + "cd" * 32
REGISTER_BUILD = {"git_commit": "e" * 40, "clean": False, "lock_sha256": "f" * 64}


@dataclass
class RegisterEnvironment:
    """The running services, and the settings of a worker that uses them."""

    endpoint: str
    host: str
    sagemaker_url: str
    stub: SageMakerStub
    state: Path
    worker_keys: dict[str, str] = field(default_factory=dict, repr=False)
    principal: str = ""
    key_arn: str = ""
    ledger: str = "ledger"  # the folder; a test that spoils it has a separate one
    clients: dict[str, Any] = field(default_factory=dict, repr=False)

    def client(self, service: str) -> Any:
        """A client with the rights of the account's root."""
        if service not in self.clients:
            self.clients[service] = self._client(service)
        return self.clients[service]

    def _client(self, service: str) -> Any:
        return boto3.session.Session("test", "test", region_name=REGION).client(
            service, endpoint_url=self.endpoint
        )

    def admin(self) -> WorkspaceClient:
        if "admin" not in self.clients:
            known = json.loads((self.state / "workspace" / "admin.json").read_text())
            self.clients["admin"] = self.as_principal(known["client_id"], known["client_secret"])
        return self.clients["admin"]

    def as_principal(self, client_id: str, client_secret: str) -> WorkspaceClient:
        return WorkspaceClient(
            config=Config(
                host=self.host,
                client_id=client_id,
                client_secret=client_secret,
                auth_type="oauth-m2m",
                retry_timeout_seconds=10,
            )
        )

    def faults(self, *rules: dict[str, Any]) -> None:
        with urllib.request.urlopen(
            f"{self.host}/_test/faults", data=json.dumps(rules).encode(), timeout=5
        ) as answer:
            assert answer.status == 200

    def faults_left(self) -> int:
        with urllib.request.urlopen(f"{self.host}/_test/faults", timeout=5) as answer:
            return sum(rule["times"] for rule in json.load(answer))

    def variables(self) -> dict[str, str]:
        """The environment variables of a worker: the register role's keys and the endpoints."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.sagemaker_url,
            "AWS_ENDPOINT_URL_EMR_SERVERLESS": self.sagemaker_url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            builds.VARIABLE: str(self.state / "build.json"),
            **self.worker_keys,
        }

    def argv(self, queue_url: str, **changed: str) -> list[str]:
        """The command line of a worker."""
        settings = {
            "queue-url": queue_url,
            "pipeline-name": PIPELINE,
            "databricks-host": self.host,
            "databricks-secret-id": SECRET_ID,
            "evidence-uri": f"s3://{EVIDENCE}/executions",
            "image": REGISTER_IMAGE,
            "signing-key-arn": self.key_arn,
            "ledger-uri": f"s3://{EVIDENCE}/{self.ledger}",
            **ceilings.OPTIONS,
            "region": REGION,
            "visibility-seconds": str(VISIBILITY_SECONDS),
        } | changed
        return [part for name, value in settings.items() for part in (f"--{name}", value)]

    def change_grant(
        self, kind: str, name: str, principal: str, change: str, *privileges: str
    ) -> None:
        """Change a grant by REST; `change` is add or remove.

        The SDK's enumeration lacks CREATE_MODEL_VERSION and CREATE_EXTERNAL_METADATA.
        """
        admin = self.admin()
        if kind == "METASTORE":
            name = str(admin.metastores.summary().metastore_id)
        body = {"changes": [{"principal": principal, change: list(privileges)}]}
        admin.api_client.do("PATCH", f"/api/2.1/unity-catalog/permissions/{kind}/{name}", body=body)


@contextmanager
def started(folder: Path) -> Iterator[RegisterEnvironment]:
    """Start all services, set them up, and end them."""
    with ExitStack() as stack:
        stub = SageMakerStub()
        url = stack.enter_context(serving(stub))
        endpoint = stack.enter_context(_ministack(folder))
        environment = RegisterEnvironment(endpoint, "", url, stub, folder)
        control_plane = _set_up_aws(environment)
        (folder / "build.json").write_text(json.dumps(REGISTER_BUILD))
        environment.host = stack.enter_context(_workspace(environment, control_plane))
        _set_up_workspace(environment)
        yield environment


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def plain_variables(**extra: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return (
        kept
        | {
            "AWS_DEFAULT_REGION": REGION,
            "NO_PROXY": "127.0.0.1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        | extra
    )


@contextmanager
def _ministack(folder: Path) -> Iterator[str]:
    port = free_port()
    variables = plain_variables(
        GATEWAY_PORT=str(port), BIND_HOST="127.0.0.1", IOT_MTLS_ENABLED="0", AUTH="true"
    )
    with (folder / "ministack.log").open("wb") as log:
        command = [str(Path(sys.executable).with_name("ministack"))]
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        try:
            _wait_for(f"http://127.0.0.1:{port}/_ministack/ready")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()  # nothing of it is kept
            process.wait(END_SECONDS)


@contextmanager
def _workspace(environment: RegisterEnvironment, control_plane: dict[str, str]) -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "pipeline.local.workspace",
        "--port",
        str(free_port()),
        "--state",
        str(environment.state),
    ]
    command += [
        "--tracking-url",
        "http://127.0.0.1:9",
        "--aws-endpoint",
        environment.endpoint,
        "--storage-bucket",
        GOVERNED,
    ]
    command += ["--external-id", EXTERNAL_ID, "--enable-faults"]
    with (environment.state / "workspace.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=plain_variables(**control_plane),
            stdout=subprocess.PIPE,
            stderr=log,
        )
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["host"]
        finally:
            process.terminate()
            process.wait(END_SECONDS)
            process.stdout.close()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            assert time.monotonic() < deadline, url
            time.sleep(0.1)
        else:
            return


def _set_up_aws(environment: RegisterEnvironment) -> dict[str, str]:
    """Make the buckets, the worker's key with the register role's rights, Unity Catalog's key."""
    s3 = environment.client("s3")
    for bucket in (GOVERNED, EVIDENCE, ARTIFACTS):
        s3.create_bucket(Bucket=bucket)
    for bucket in (EVIDENCE, ARTIFACTS):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    environment.key_arn = signing_key.make(environment.client("kms"), ACCOUNT)
    environment.worker_keys = _user(environment, "register", *_worker_policy())
    storage_role = f"arn:aws:iam::{ACCOUNT}:role/uc-storage"
    keys = _user(environment, "unity-catalog", allow(["sts:AssumeRole"], storage_role))
    trust = allow(["sts:AssumeRole"]) | {
        "Principal": {
            "AWS": [f"arn:aws:iam::{ACCOUNT}:user/unity-catalog", f"arn:aws:iam::{ACCOUNT}:root"]
        },
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    }
    iam = environment.client("iam")
    iam.create_role(RoleName="uc-storage", AssumeRolePolicyDocument=policy(trust))
    whole = allow(["s3:*"], f"arn:aws:s3:::{GOVERNED}", f"arn:aws:s3:::{GOVERNED}/*")
    document = policy(whole, allow(["sts:AssumeRole"], storage_role))  # Unity Catalog demands it
    iam.put_role_policy(RoleName="uc-storage", PolicyName="bucket", PolicyDocument=document)
    return keys


def _worker_policy() -> list[dict[str, Any]]:
    """The rights of the register role in conf/infrastructure."""
    return [
        allow(
            ["secretsmanager:GetSecretValue"],
            f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{SECRET_ID}-*",
        ),
        allow(
            [
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
                "sqs:GetQueueAttributes",
            ],
            f"arn:aws:sqs:{REGION}:{ACCOUNT}:register-*",
        ),
        allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{EVIDENCE}/ledger*"),
        allow(["s3:GetObject"], f"arn:aws:s3:::{EVIDENCE}/executions/*"),
        allow(["s3:PutObject"], f"arn:aws:s3:::{EVIDENCE}/executions/*/register/*"),
        allow(["s3:GetObject", "s3:GetObjectVersion"], f"arn:aws:s3:::{ARTIFACTS}/executions/*"),
        allow(["s3:GetObject"], f"arn:aws:s3:::{ARTIFACTS}/base-models/*"),
        allow(["s3:PutObject"], f"arn:aws:s3:::{ARTIFACTS}/workers/*"),
        allow(["s3:ListBucket"], f"arn:aws:s3:::{EVIDENCE}", f"arn:aws:s3:::{ARTIFACTS}"),
    ]


def _user(
    environment: RegisterEnvironment, name: str, *statements: dict[str, Any]
) -> dict[str, str]:
    iam = environment.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy(*statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


def _set_up_workspace(environment: RegisterEnvironment) -> None:
    """Make the catalog, its tables, and the principal `register` with its grants."""
    admin = environment.admin()
    role = uc.AwsIamRoleRequest(role_arn=f"arn:aws:iam::{ACCOUNT}:role/uc-storage")
    admin.storage_credentials.create("storage", aws_iam_role=role)
    for name in ("raw", "curated"):
        admin.external_locations.create(name, f"s3://{GOVERNED}/{name}", "storage")
    admin.catalogs.create("edgar")
    for name in ("raw", "curated", "models"):
        admin.schemas.create(name, "edgar")
    me = str(admin.current_user.me().user_name)
    for full_name in (RAW, CURATED):
        _, schema, name = full_name.split(".")
        environment.change_grant("SCHEMA", f"edgar.{schema}", me, "add", "EXTERNAL_USE_SCHEMA")
        environment.change_grant("EXTERNAL_LOCATION", schema, me, "add", "EXTERNAL_USE_LOCATION")
        admin.tables.create(
            name=name,
            catalog_name="edgar",
            schema_name=schema,
            table_type=uc.TableType.EXTERNAL,
            data_source_format=uc.DataSourceFormat.DELTA,
            storage_location=f"s3://{GOVERNED}/{schema}/{name}",
        )
    made = admin.service_principals.create(display_name="register")
    secret = admin.service_principal_secrets_proxy.create(str(made.id)).secret
    environment.principal = str(made.application_id)
    value = {"clientId": environment.principal, "clientSecret": secret}
    environment.client("secretsmanager").create_secret(
        Name=SECRET_ID, SecretString=json.dumps(value)
    )
    grant_register(environment)


def grant_register(environment: RegisterEnvironment) -> None:
    """Grant the register principal its rights (docs/architecture.md)."""
    for kind, name, *privileges in (
        ("CATALOG", "edgar", "USE_CATALOG"),
        ("SCHEMA", "edgar.raw", "USE_SCHEMA", "SELECT"),
        ("SCHEMA", "edgar.curated", "USE_SCHEMA", "SELECT", "MODIFY"),
        ("SCHEMA", "edgar.models", "USE_SCHEMA", "CREATE_MODEL", "CREATE_MODEL_VERSION", "EXECUTE"),
        ("METASTORE", "", "CREATE_EXTERNAL_METADATA"),
    ):
        environment.change_grant(kind, name, environment.principal, "add", *privileges)


def random_name(length: int = 8) -> str:
    return "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(length))
