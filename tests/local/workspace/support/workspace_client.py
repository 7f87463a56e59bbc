"""What the tests of the workspace share: a ministack with enforced IAM, workspace processes,
principals and grants.
"""

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config
from databricks.sdk.service import catalog as uc

REPOSITORY = Path(__file__).resolve().parents[4]
BUCKET = "governed"
EXTERNAL_ID = "the-metastores-external-id"
ACCOUNT = "000000000000"
STORAGE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/uc-storage"

Securable = tuple[str, str]
CATALOG: Securable = ("CATALOG", "edgar")
RAW: Securable = ("SCHEMA", "edgar.raw")
CURATED: Securable = ("SCHEMA", "edgar.curated")
MODELS: Securable = ("SCHEMA", "edgar.models")
TABLE: Securable = ("TABLE", "edgar.raw.filings")
MODEL: Securable = ("FUNCTION", "edgar.models.analyst")
RAW_LOCATION: Securable = ("EXTERNAL_LOCATION", "raw")
CURATED_LOCATION: Securable = ("EXTERNAL_LOCATION", "curated")
METASTORE: Securable = ("METASTORE", "")


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**extra: str) -> dict[str, str]:
    """A process environment with nothing of the developer's own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    fixed = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    return kept | fixed | extra


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        try:
            if requests.get(url, timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer within {seconds} s")


@dataclass
class Aws:
    """ministack, set up by root; the control plane's key may only assume the storage role."""

    endpoint: str
    control_plane: dict[str, str] = field(default_factory=dict, repr=False)
    _clients: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)

    def client(self, service: str, *keys: str) -> Any:
        """The boto3 client of root, or of an access key, secret key and session token.

        It is created once and closed by `close`: a client that only the garbage collector ends can
        leave a socket open, which is a ResourceWarning.
        """
        if (service, *keys) not in self._clients:
            self._clients[service, *keys] = self._new_client(service, *keys)
        return self._clients[service, *keys]

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients.values():
            client.close()

    def _new_client(self, service: str, *keys: str) -> Any:
        session = boto3.session.Session(*(keys or ("test", "test")), region_name="us-east-1")
        return session.client(service, endpoint_url=self.endpoint)

    def vended(self, credentials: Any) -> Any:
        """S3 with vended keys."""
        return self.client(
            "s3",
            credentials.access_key_id,
            credentials.secret_access_key,
            credentials.session_token,
        )

    @cached_property
    def storage(self) -> Any:
        """S3 as the storage role: what only the control plane can become."""
        sts = self.client("sts", *self.control_plane.values())
        keys = sts.assume_role(
            RoleArn=STORAGE_ROLE, RoleSessionName="test", ExternalId=EXTERNAL_ID
        )["Credentials"]
        return self.client("s3", keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])

    def set_up(self) -> None:
        """The bucket that lets in one role, the role that lets in one user with the external id,
        and that user.
        """
        iam, s3 = self.client("iam"), self.client("s3")
        user = iam.create_user(UserName="unity-catalog")["User"]["Arn"]
        key = iam.create_access_key(UserName="unity-catalog")["AccessKey"]
        self.control_plane |= {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
        assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": STORAGE_ROLE}
        iam.put_user_policy(
            UserName="unity-catalog", PolicyName="assume", PolicyDocument=policy(assume)
        )
        condition = {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
        trust = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": [user, f"arn:aws:iam::{ACCOUNT}:root"]},  # and the role itself
            "Condition": condition,
        }
        iam.create_role(RoleName="uc-storage", AssumeRolePolicyDocument=policy(trust))
        objects = {
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        }
        allow = policy({"Effect": "Allow"} | objects, assume)
        iam.put_role_policy(RoleName="uc-storage", PolicyName="bucket", PolicyDocument=allow)
        s3.create_bucket(Bucket=BUCKET)
        # AWS compares the role's ARN, ministack the session's.
        session = f"arn:aws:sts::{ACCOUNT}:assumed-role/uc-storage/*"
        others = {"StringNotLike": {"aws:PrincipalArn": [STORAGE_ROLE, session]}}
        deny = policy({"Effect": "Deny", "Principal": "*", "Condition": others} | objects)
        s3.put_bucket_policy(Bucket=BUCKET, Policy=deny)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@dataclass
class Workspace:
    """A running workspace process."""

    host: str
    folder: Path
    process: subprocess.Popen[bytes]

    @cached_property
    def admin(self) -> WorkspaceClient:
        """The first admin's client."""
        known = json.loads((self.folder / "admin.json").read_text())
        return self.client(known["client_id"], known["client_secret"])

    def client(self, client_id: str, client_secret: str) -> WorkspaceClient:
        """A new client, which requests a new token."""
        config = Config(
            host=self.host,
            client_id=client_id,
            client_secret=client_secret,
            auth_type="oauth-m2m",
            retry_timeout_seconds=10,
            http_timeout_seconds=10,
        )
        return WorkspaceClient(config=config)

    def faults(self, *rules: dict[str, Any]) -> None:
        requests.post(f"{self.host}/_test/faults", json=rules, timeout=5).raise_for_status()

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "audit.jsonl").read_text().splitlines()]

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(10)


@dataclass
class Principal:
    """A service principal with its own client."""

    id: str
    client_id: str
    client_secret: str = field(repr=False)
    client: WorkspaceClient


def new_principal(
    workspace: Workspace, grants: dict[Securable, Sequence[str]] | None = None
) -> Principal:
    """Somebody with these rights and no others."""
    admin = workspace.admin
    made = admin.service_principals.create(display_name=f"somebody-{secrets.token_hex(4)}")
    secret = str(admin.service_principal_secrets_proxy.create(str(made.id)).secret)
    client_id = str(made.application_id)
    for securable, privileges in (grants or {}).items():
        permit(admin, client_id, securable, add=privileges)
    return Principal(str(made.id), client_id, secret, workspace.client(client_id, secret))


def permit(
    client: WorkspaceClient,
    who: str,
    securable: Securable,
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
) -> None:
    """Grants and revokes by REST: the SDK's enumeration lacks CREATE_MODEL_VERSION and
    CREATE_EXTERNAL_METADATA.
    """
    kind, name = securable
    name = name or str(client.metastores.summary().metastore_id)
    body = {"changes": [{"principal": who, "add": list(add), "remove": list(remove)}]}
    client.api_client.do("PATCH", f"/api/2.1/unity-catalog/permissions/{kind}/{name}", body=body)


def fill(workspace: Workspace) -> None:
    """Storage, a catalog with three schemas, and one table, all owned by the admin."""
    admin = workspace.admin
    admin.storage_credentials.create(
        "storage", aws_iam_role=uc.AwsIamRoleRequest(role_arn=STORAGE_ROLE)
    )
    for name in ("raw", "curated"):
        admin.external_locations.create(name, f"s3://{BUCKET}/{name}", "storage")
    admin.catalogs.create("edgar")
    for name in ("raw", "curated", "models"):
        admin.schemas.create(name, "edgar")
    me = str(admin.current_user.me().user_name)
    permit(admin, me, RAW, add=["EXTERNAL_USE_SCHEMA"])
    permit(admin, me, RAW_LOCATION, add=["EXTERNAL_USE_LOCATION"])
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


def create_version(client: WorkspaceClient, name: str = "edgar.models.analyst") -> Any:
    """A pending model version, as mlflow asks for one."""
    path = "/api/2.0/mlflow/unity-catalog/model-versions/create"
    body = {"name": name, "source": "s3://elsewhere/model"}
    answer: Any = client.api_client.do("POST", path, body=body)
    return answer["model_version"]
