"""What every test may rely on: a region, no telemetry, and no identity or proxy from the developer's own shell."""

import os
import sys

import pytest

for _name in [
    name for name in os.environ if name.startswith(("AWS_", "DATABRICKS_", "MLFLOW_", "SAGEMAKER_"))
]:
    del os.environ[_name]
os.environ |= {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "SAGEMAKER_VALIDATE_ROLE": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_OFFLINE": "1",
    "NO_PROXY": "127.0.0.1,localhost",
}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget boto3's default session before any fixture of the test: it would keep the keys of an earlier test."""
    if boto3 := sys.modules.get("boto3"):
        boto3.DEFAULT_SESSION = None
