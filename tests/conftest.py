"""The environment of every test: a region, no telemetry, no identity or proxy of the developer's
shell, and the groups of pytest-xdist."""

import os
import sys

import pytest

for _name in list(os.environ):
    if _name.startswith(("AWS_", "DATABRICKS_", "MLFLOW_", "SAGEMAKER_")):
        del os.environ[_name]
os.environ |= {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "SAGEMAKER_VALIDATE_ROLE": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_OFFLINE": "1",
    "NO_PROXY": "127.0.0.1,localhost",
}
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # each worker has one core; torch would take all of them

# Groups of tests that take minutes. They start first, so that no worker has one left at the end.
_SLOWEST_FIRST = (
    "tests/journey",
    "tests/steps/prepare/test_prepare_declared.py",
    "tests/steps/prepare/test_prepare_types_on_spark.py",
    "tests/steps/prepare/test_prepare_parity.py",
    "tests/steps/train/model/test_compiled_layers.py",
    "tests/steps/train/fine_tuning/test_ranks_training.py",
    "tests/steps/register/test_crash_campaign.py",
    "tests/steps/test_troubled_workspace.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Assign the tests to groups, one pytest-xdist worker for each, and put slow groups first."""
    rank = {group: place for place, group in enumerate(_SLOWEST_FIRST)}
    items.sort(key=lambda item: rank.get(_group(item), len(rank)))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item: pytest.Item) -> str:
    """A file; or all of tests/journey, whose files share one embedded environment."""
    file = item.nodeid.partition("::")[0]
    return "tests/journey" if file.startswith("tests/journey/") else file


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget boto3's default session before any fixture: it would keep an earlier test's keys."""
    if boto3 := sys.modules.get("boto3"):
        boto3.DEFAULT_SESSION = None
