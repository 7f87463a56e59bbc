"""databricks-sdk is imported in parts: which parts, when all of it, and what that changes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[5]

# The modules of steps that hold a workspace's client, each as a separate process imports it.
_CLIENTS = (
    "steps.governance.unity_catalog.identity",
    "steps.audit.context",
    "steps.prepare.job",
    "steps.register.lambda_function",
    "steps.train.tracking.mlflow_run",
)
# The services that the steps or the SDK's own client call. Each more costs every job its import.
_NEEDED = {"_internal", "catalog", "iam", "ml", "oauth2", "provisioning"}
_SERVICES = """
import sys
print(*(name.split(".")[3] for name in sys.modules if name.startswith("databricks.sdk.service.")))
"""


def _python(code: str) -> str:
    """Run the code in a separate process, which has no module of this one."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("module", _CLIENTS)
def test_a_step_imports_the_services_it_calls(module: str) -> None:
    services = set(_python(f"import {module}{_SERVICES}").split())

    assert "catalog" in services
    assert services <= _NEEDED


def test_all_of_the_sdk_is_available() -> None:
    """mlflow does, and so does a rotation without an administrator's secret."""
    ours = _python(
        "import steps.governance.unity_catalog.identity\n"
        "import databricks.sdk\n"
        "databricks.sdk.WorkspaceClient\n"
        "print(*sorted(n for n in vars(databricks.sdk) if not n.startswith('_')))" + _SERVICES
    )
    plain = _python(
        "import databricks.sdk.oauth, databricks.sdk.clock, databricks.sdk.config\n"
        "import databricks.sdk\n"
        "print(*sorted(n for n in vars(databricks.sdk) if not n.startswith('_')))" + _SERVICES
    )

    assert set(ours.split()) == set(plain.split())
    assert "jobs" in ours.split()


def test_a_module_is_no_reason_to_import_all() -> None:
    assert "jobs" not in _python(f"import steps\nfrom databricks.sdk import errors{_SERVICES}")


def test_concurrent_threads_get_the_same_class() -> None:
    printed = _python(
        "import steps\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def asked(_):\n"
        "    from databricks.sdk import WorkspaceClient\n"
        "    return WorkspaceClient\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    print(len(set(pool.map(asked, range(32)))))\n"
    )

    assert printed == "1\n"


def test_an_unknown_name_is_an_error_as_it_was() -> None:
    printed = _python(
        "import steps\n"
        "try:\n"
        "    from databricks.sdk import NoSuchName\n"
        "except ImportError as error:\n"
        "    print(error.name)\n"
    )

    assert printed == "databricks.sdk\n"


def test_a_package_that_fails_to_start_fails_again(tmp_path: Path) -> None:
    package = tmp_path / "outer" / "inner"
    package.mkdir(parents=True)
    (tmp_path / "outer" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("import sys\nsys.runs += 1\nraise OSError('no disk')\n")
    printed = _python(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nsys.runs = 0\n"
        "from steps.governance.unity_catalog.sdk.on_demand import defer\n"
        "defer('outer.inner')\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        from outer.inner import Client\n"
        "    except OSError as error:\n"
        "        print(error, sys.runs)\n"
    )

    assert printed == "no disk 1\nno disk 2\n"


def test_a_package_that_is_not_installed_is_reported_by_its_import() -> None:
    printed = _python(
        "from steps.governance.unity_catalog.sdk.on_demand import defer\n"
        "defer('not_installed.sdk')\n"
        "try:\n"
        "    import not_installed.sdk\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error.name)\n"
    )

    assert printed == "not_installed\n"
