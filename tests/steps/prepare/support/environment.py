"""The embedded AWS and workspace that Prepare needs, with a seeded catalog.

The model, the tracking server and the Register worker are left out.
"""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from databricks.sdk import WorkspaceClient

from pipeline.configuration import config as configuration
from pipeline.configuration.config import Config
from pipeline.local.aws import infrastructure
from pipeline.local.host.processes import stop
from pipeline.local.host.servers import REPOSITORY, Servers, inherited
from pipeline.local.host.state import Record, State, choose_ports
from pipeline.local.setup import aws_account, workspace
from pipeline.local.setup.filings import Filings
from pipeline.local.setup.rows import Rows
from steps.governance.documents import builds
from tests.support import storage_role

CATALOG_ADMIN = ("workspace", "admin.json")


@dataclass(frozen=True)
class Environment:
    """Running servers, with the template's roles and the grants of docs/architecture.md."""

    servers: Servers
    root: aws_account.Root
    admin: WorkspaceClient
    config: Config
    seeded: workspace.Seeded
    variables: dict[str, str]

    def run(
        self,
        *words: str,
        execution: str = "",
        connecting_seconds: int = 60,
        timeout_seconds: float = 120,
    ) -> "Run":
        """Run `python -m steps.prepare` as EMR does: on Sail, with only the `prepare` role's keys.

        `connecting_seconds` is the budget for the first access token, 960 s in production.
        """
        identifier = execution or uuid.uuid4().hex[:12]
        waits = ["--waits", f"{connecting_seconds},1920"]
        command = [*self.command(identifier), *waits, *words]
        environment = (
            inherited()
            | {"PYTHONPATH": str(REPOSITORY), "TMPDIR": "/tmp"}
            | self.variables
            | {builds.VARIABLE: str(Path(__file__).with_name("build.json"))}
            | self.root.lend("prepare")
        )
        done = subprocess.run(
            command,
            env=environment,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        return Run(identifier, done.returncode, done.stdout, done.stderr)

    def vend_for(self, seconds: int) -> None:
        """Start the workspace again, so that its storage keys end after so many seconds."""
        stop([each for each in self.servers.record.processes if each.name == "workspace"])
        _start_workspace(self.servers, self.root, "--vended-ttl-seconds", str(seconds))

    def command(self, execution: str) -> list[str]:
        """Return the compiled command line for one execution."""
        arn = (
            "arn:aws:sagemaker:us-east-1:000000000000:pipeline/governed-finetune-local"
            f"/execution/{execution}"
        )
        arguments = {
            "--execution-arn": arn,
            "--raw-table": "edgar.raw.filings",
            "--raw-version": "-1",
            "--curated-table": "edgar.curated.risk_factor_examples",
            "--curated-root": self.config.prepare.curated_root,
            "--manifest-uri": self.manifest_uri(execution),
            "--eval-fraction": str(self.config.prepare.eval_fraction),
            "--seed": "17",
            "--delta-engine": self.config.prepare.delta_engine,
            "--model-name": "edgar.models.risk_analyst",
            "--model-alias": "challenger",
            "--register-principal": str(self.config.register.databricks_client_id),
            "--databricks-host": self.config.databricks.host,
            "--databricks-secret-id": self.config.prepare.databricks_secret_id,
            "--region": self.config.aws.region,
        }
        entry = REPOSITORY / "steps" / "prepare" / "__main__.py"
        flat = [word for pair in arguments.items() for word in pair]
        return [
            sys.executable,
            "-m",
            "pipeline.local.aws.emr_serverless.spark_driver",
            str(entry),
            *flat,
        ]

    def manifest_uri(self, execution: str) -> str:
        """Return the location of this execution's manifest."""
        bucket = self.config.storage.evidence_bucket
        return f"s3://{bucket}/executions/{execution}/prepare/manifest.json"

    def manifest(self, execution: str) -> dict[str, Any]:
        """Return the manifest, read as the account's root."""
        return dict(json.loads(self.evidence(execution, "manifest.json")["Body"].read()))

    def evidence(self, execution: str, name: str) -> dict[str, Any]:
        """Return S3's answer for a file next to the manifest, read as the account's root."""
        folder = self.manifest_uri(execution).removeprefix("s3://").rpartition("/")[0]
        bucket, _, key = f"{folder}/{name}".partition("/")
        return dict(self.root.client("s3").get_object(Bucket=bucket, Key=key))

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys below a prefix, as the role that may enter the governed bucket."""
        s3 = self._client("s3", **storage_role.keys(self._client))
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for found in listed.get("Contents", [])]

    def _client(self, service: str, /, **keys: str) -> Any:
        endpoint = self.variables["AWS_ENDPOINT_URL"]
        return (
            boto3.client(service, endpoint_url=endpoint, **keys)
            if keys
            else self.root.client(service)
        )


@dataclass(frozen=True)
class Run:
    """How one process ended."""

    execution: str
    code: int
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        """The line that EMR shows of a failed run."""
        return self.stderr.strip().splitlines()[-1]


@contextmanager
def environment(folder: Path, filings: Iterable[dict[str, str | None]]) -> Iterator[Environment]:
    """Start the servers and seed the catalog; stop the servers at the end."""
    state = State(folder)
    servers = Servers(state, Record(ports=choose_ports({}, {})))
    try:
        servers.aws("sail")
        root = aws_account.root(state, servers.url("aws"))
        outputs = root.deploy({})
        _start_workspace(servers, root)
        variables = _variables(servers, outputs)
        identity = state.secret_document(*CATALOG_ADMIN)
        admin = WorkspaceClient(
            host=variables["DATABRICKS_HOST"],
            client_id=identity["client_id"],
            client_secret=identity["client_secret"],
            auth_type="oauth-m2m",
        )
        made = workspace.principals(admin, root.client("secretsmanager"), "local")
        variables |= {f"{name.upper()}_CLIENT_ID": found for name, found in made.items()}
        variables["DATABRICKS_IDENTITY"] = "secret"
        variables |= root.public_keys(outputs)
        config = configuration.load("local", environ=variables)
        seeded = workspace.seed(
            admin,
            config,
            filings=Filings(Rows(filings), asked_for=True),
            aws=variables,
        )
        yield Environment(servers, root, admin, config, seeded, variables)
    finally:
        servers.stop()


def _start_workspace(servers: Servers, root: aws_account.Root, *options: str) -> None:
    servers.workspace(
        storage_bucket=aws_account.bucket("governed"),
        external_id=infrastructure.EXTERNAL_ID,
        identity=root.control_plane_key(),
        options=options,
    )


def _variables(servers: Servers, outputs: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that the configuration and the AWS clients read."""
    return {
        "AWS_ENDPOINT_URL": servers.url("aws"),
        "AWS_DEFAULT_REGION": aws_account.REGION,
        "AWS_REGION": aws_account.REGION,
        "BASE_MODEL_REVISION": "0" * 40,
        "DATABRICKS_HOST": servers.url("workspace"),
        "EMR_APPLICATION_ID": outputs["ApplicationId"],
        "REGISTER_QUEUE_URL": outputs["RegisterQueueUrl"],
    }
