"""The whole pipeline with no Databricks secret: each step proves its AWS role."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from databricks.sdk import WorkspaceClient

from pipeline.local.setup.grants import PRINCIPALS
from tests.journey.conftest import local

pytestmark = [pytest.mark.environment, pytest.mark.long]


def root_client(state: Path, service: str, variables: dict[str, str]) -> Any:
    key = json.loads((state / "aws" / "root.json").read_text())
    endpoint, region = variables["AWS_ENDPOINT_URL"], variables["AWS_REGION"]
    return boto3.client(service, endpoint_url=endpoint, region_name=region, **key)


def test_a_run_and_its_audit_need_no_stored_secret(tmp_path: Path) -> None:
    state = tmp_path / "state"
    ran = local(state, "run", "--identity", "federated", "--keep", "--json")
    try:
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout)["outcome"]["model_version"] == "1"
        variables = json.loads((state / "environment.json").read_text())["variables"]
        secrets = root_client(state, "secretsmanager", variables)
        for name in PRINCIPALS:
            found = secrets.get_secret_value(SecretId=f"governed-finetune-local/databricks/{name}")
            assert found["SecretString"] == "{}"
        admin = json.loads((state / "workspace" / "admin.json").read_text())
        client = WorkspaceClient(
            host=variables["DATABRICKS_HOST"],
            client_id=admin["client_id"],
            client_secret=admin["client_secret"],
            auth_type="oauth-m2m",
        )
        principals = [
            found
            for found in client.service_principals.list()
            if found.id != admin["service_principal_id"]
        ]
        assert len(principals) == len(PRINCIPALS)
        for principal in principals:
            assert list(client.service_principal_secrets_proxy.list(str(principal.id))) == []
        as_auditor = local(state, "env", "--as", "auditor")
        assert "CLIENT_SECRET" not in as_auditor.stdout
    finally:
        local(state, "down")
