"""A real ministack, workspace processes and mlflow server, connected as by `up`."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient

from tests.local.workspace.support.workspace_client import (
    BUCKET,
    EXTERNAL_ID,
    REPOSITORY,
    Aws,
    Principal,
    Workspace,
    environment,
    fill,
    new_principal,
    unused_port,
    wait_for,
)

StartWorkspace = Callable[..., Workspace]


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    port = unused_port()
    started = environment(
        GATEWAY_PORT=str(port), BIND_HOST="127.0.0.1", IOT_MTLS_ENABLED="0", AUTH="true"
    )
    command = [str(Path(sys.executable).with_name("ministack"))]
    with (tmp_path_factory.mktemp("ministack") / "log").open("wb") as log:
        process = subprocess.Popen(command, env=started, stdout=log, stderr=subprocess.STDOUT)
        try:
            aws = Aws(f"http://127.0.0.1:{port}")
            wait_for(f"{aws.endpoint}/_ministack/ready", process)
            aws.set_up()
            yield aws
            aws.close()
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="session")
def start_workspace(aws: Aws) -> Iterator[StartWorkspace]:
    """Start workspaces; those that still run at the end are stopped."""
    with ExitStack() as running:

        def start(state: Path, *options: str, tracking: str = "http://127.0.0.1:9") -> Workspace:
            port = unused_port()
            command = [
                sys.executable,
                "-m",
                "pipeline.local.workspace",
                "--port",
                str(port),
                "--state",
                str(state),
            ]
            command += [
                "--tracking-url",
                tracking,
                "--aws-endpoint",
                aws.endpoint,
                "--storage-bucket",
                BUCKET,
            ]
            command += ["--external-id", EXTERNAL_ID, *options]
            identity = environment(**aws.control_plane)
            process = subprocess.Popen(
                command, cwd=REPOSITORY, env=identity, stdout=subprocess.PIPE
            )
            running.enter_context(process)
            running.callback(process.terminate)
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            assert ready == {"ready": True, "host": f"http://127.0.0.1:{port}"}
            return Workspace(ready["host"], state / "workspace", process)

        yield start


@pytest.fixture(scope="session")
def start_tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Starts a real mlflow server and does not wait for it."""
    with ExitStack() as running:

        def start() -> str:
            port, folder = unused_port(), tmp_path_factory.mktemp("tracking")
            log = running.enter_context((folder / "log").open("wb"))
            command = [sys.executable, "-m", "pipeline.local.host.tracking_server"]
            command += ["--port", str(port), "--database", str(folder / "mlflow.db")]
            started = environment(
                MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", PYTHONPATH=str(REPOSITORY)
            )
            process = subprocess.Popen(command, env=started, cwd=folder, stdout=log, stderr=log)
            running.enter_context(process)
            running.callback(process.terminate)
            return f"http://127.0.0.1:{port}"

        yield start


@pytest.fixture(scope="module")
def workspace(
    start_workspace: StartWorkspace, tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    """A workspace of this module's own, filled, where tests may ask for faults."""
    started = start_workspace(tmp_path_factory.mktemp("state"), "--enable-faults")
    fill(started)
    return started


@pytest.fixture(scope="module")
def admin(workspace: Workspace) -> WorkspaceClient:
    return workspace.admin


@pytest.fixture
def principal(workspace: Workspace) -> Principal:
    """A principal without rights."""
    return new_principal(workspace)
