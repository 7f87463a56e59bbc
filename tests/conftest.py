"""The environment of every test: a region, no telemetry, no identity or proxy of the developer's
shell, and the groups of pytest-xdist."""

import os
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.steps.faults.support.tally import pytest_terminal_summary as pytest_terminal_summary

_OF_CLOUDS = ("AWS_", "DATABRICKS_", "MLFLOW_", "SAGEMAKER_")

for _name in list(os.environ):
    if _name.startswith(_OF_CLOUDS):
        del os.environ[_name]
os.environ |= {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "SAGEMAKER_VALIDATE_ROLE": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_OFFLINE": "1",
    "NO_PROXY": "127.0.0.1,localhost",
}
_AT_FIRST = {name: os.environ[name] for name in os.environ if name.startswith(_OF_CLOUDS)}
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # each worker has one core; torch would take all of them

# no test fails by the time that it takes: how long that is depends on what else the machine does
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

_MOST_WORKERS = 4  # the longest group, tests/journey, takes a quarter of the whole

_JOURNEY, _FAULTS, _SPARK = "tests/journey/", "tests/steps/faults/", "real Spark"
# They share a JVM that takes most of a core and 2 GiB (tests/steps/prepare/conftest.py).
_ON_SPARK = (
    "tests/steps/prepare/delta/test_declared.py",
    "tests/steps/prepare/test_types_on_spark.py",
    "tests/steps/prepare/test_parity.py",
)

# Groups of tests that take minutes. They start first, so that no worker has one left at the end.
_SLOWEST_FIRST = (
    _JOURNEY,
    _SPARK,
    "tests/steps/train/model/test_compiled_layers.py",
    "tests/steps/train/fine_tuning/test_ranks_training.py",
    "tests/steps/train/distributed/test_ranks_out_of_memory.py",
    "tests/steps/train/fine_tuning/test_interruptions.py",
    "tests/pipeline/bootstrap/test_bootstrap.py",
    _FAULTS,
    "tests/steps/approve/test_approval.py",
    "tests/steps/test_troubled_workspace.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow groups first."""
    rank = {group: place for place, group in enumerate(_SLOWEST_FIRST)}
    items.sort(key=lambda item: rank.get(_group(item.nodeid), len(rank)))


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Name each failed test at once: a run that is ended early has printed no summary yet."""
    if terminal := config.pluginmanager.get_plugin("terminalreporter"):
        config.pluginmanager.register(_Failures(terminal))


class _Failures:
    """Prints a line for each failed test: its name, its seconds and its error's last line."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            error = (report.longreprtext.strip().splitlines() or [""])[-1]
            line = f"{report.when} of {report.nodeid} failed after {report.duration:.0f} s: {error}"
            self._terminal.write_line(f"\n{line[:300]}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than there are cores: many tests wait for other processes."""
    return min((os.cpu_count() or 1) + 1, _MOST_WORKERS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return a scheduler that gives a whole group to one worker.

    xdist 3.8 has `--dist loadgroup` for this, but it has no effect with pytest 9.2: it renames
    tests through `_nodeid`, which is gone.
    """
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    return GroupScheduling(config, log)


def _group(nodeid: str) -> str:
    """Return a test's file; or the folder whose files share one embedded environment, or the group
    of the files on real Spark.
    """
    file = nodeid.partition("::")[0]
    for folder in (_JOURNEY, _FAULTS):
        if file.startswith(folder):
            return folder
    return _SPARK if file in _ON_SPARK else file


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget, before any fixture, what an earlier test left of a cloud: variables, boto3's default
    session, which keeps that test's keys, and the clients made from it.

    A fixture that is wider than a test can therefore set none of these variables for its tests.
    """
    for name in [each for each in os.environ if each.startswith(_OF_CLOUDS)]:
        del os.environ[name]
    os.environ.update(_AT_FIRST)
    if boto3 := sys.modules.get("boto3"):
        boto3.DEFAULT_SESSION = None
    if clients := sys.modules.get("steps.governance.aws"):
        clients.client.cache_clear()
