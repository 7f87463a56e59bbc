"""The reconciler with its own role and principal, in this process and as a command."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import boto3

from steps.governance import aws
from steps.reconcile.arguments import Arguments, parse
from steps.reconcile.comparing import compare
from steps.reconcile.differences import Comparison
from steps.reconcile.fixing import Line, fix
from steps.reconcile.inventory import Inventory, Services
from tests.steps.register.support.executions import Execution
from tests.steps.register.support.policies import allow
from tests.steps.register.support.register_environment import (
    ACCOUNT,
    EVIDENCE,
    PIPELINE,
    REGION,
    REPOSITORY,
    RegisterEnvironment,
    _user,
)

SECRET = "gf/databricks/reconciler"
MODEL = "edgar.models.unused"


def rights() -> list[dict[str, Any]]:
    """The rights of the role in conf/infrastructure."""
    queues = f"arn:aws:sqs:{REGION}:{ACCOUNT}:register-"
    secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{SECRET}-*"
    return [
        allow(["secretsmanager:GetSecretValue"], secret),
        allow(["s3:GetObject"], f"arn:aws:s3:::{EVIDENCE}/*"),
        allow(["s3:ListBucket"], f"arn:aws:s3:::{EVIDENCE}"),
        allow(["sqs:SendMessage", "sqs:GetQueueAttributes"], f"{queues}*"),
        allow(
            ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"],
            f"{queues}*-dead",
        ),
    ]


@dataclass
class Reconciler:
    """Compares and repairs what one environment has."""

    environment: RegisterEnvironment
    keys: dict[str, str]

    @classmethod
    def made(cls, environment: RegisterEnvironment) -> "Reconciler":
        """Make the role, the principal and its secret."""
        admin = environment.admin()
        made = admin.service_principals.create(display_name="reconciler")
        secret = admin.service_principal_secrets_proxy.create(str(made.id)).secret
        principal = str(made.application_id)
        environment.client("secretsmanager").create_secret(
            Name=SECRET, SecretString=json.dumps({"clientId": principal, "clientSecret": secret})
        )
        for kind, name, *privileges in (
            ("CATALOG", "edgar", "USE_CATALOG"),
            ("SCHEMA", "edgar.raw", "USE_SCHEMA", "SELECT"),
            ("SCHEMA", "edgar.curated", "USE_SCHEMA", "SELECT"),
            ("SCHEMA", "edgar.models", "USE_SCHEMA", "EXECUTE"),
        ):
            environment.change_grant(kind, name, principal, "add", *privileges)
        return cls(environment, _user(environment, "reconciler", *rights()))

    def argv(self, execution: Execution, *more: str, narrowed: bool = True) -> list[str]:
        """The command line for one execution's queue, narrowed to it."""
        settings = {
            "evidence-uri": f"s3://{EVIDENCE}/executions",
            "pipeline-name": PIPELINE,
            "queue-url": execution.queue_url,
            "model-name": MODEL,
            "databricks-host": self.environment.host,
            "databricks-secret-id": SECRET,
            "region": REGION,
        }
        words = [f"--{name}={value}" for name, value in settings.items()]
        return [*words, *([f"--execution={execution.id}"] if narrowed else []), *more]

    def services(self, arguments: Arguments) -> Services:
        """The clients with the reconciler's keys."""
        session = boto3.session.Session(
            self.keys["AWS_ACCESS_KEY_ID"], self.keys["AWS_SECRET_ACCESS_KEY"], region_name=REGION
        )

        def client(service: str, _: str, *, attempts: int = 1) -> Any:
            jobs = service in ("sagemaker", "emr-serverless")
            url = self.environment.sagemaker_url if jobs else self.environment.endpoint
            return session.client(service, endpoint_url=url)

        with patch.object(aws, "client", client), patch.object(boto3, "DEFAULT_SESSION", session):
            found = Services.connected(arguments)
            registry = found.connect()
        return replace(found, connect=lambda: registry)

    def compare(self, execution: Execution, *more: str) -> Comparison:
        """Compare, and change nothing."""
        arguments = parse(self.argv(execution, *more))
        inventory = Inventory(arguments, self.services(arguments))
        try:
            return compare(inventory)
        finally:
            inventory.close()

    def fix(
        self, execution: Execution, deliver: Callable[[], object], *more: str
    ) -> tuple[list[Line], Comparison]:
        """Repair; `deliver` handles a message while the reconciler waits."""
        arguments = parse(self.argv(execution, "--fix", *more))
        return fix(arguments, self.services(arguments), lambda _: deliver() and None)

    def command(self, words: list[str]) -> "subprocess.CompletedProcess[str]":
        """Run the command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "steps.reconcile", *words],
            cwd=REPOSITORY,
            env=self.variables(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def variables(self) -> dict[str, str]:
        """The environment of the command."""
        return dict(os.environ) | self.environment.variables() | self.keys
