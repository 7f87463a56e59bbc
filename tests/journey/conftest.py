"""One embedded environment for all journeys of a test session, and the ways to look into it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import ExternalLineageObject, LineageDirection

from pipeline.local.host.state import State
from tests.support import storage_role

REPOSITORY = Path(__file__).resolve().parents[2]
# Enough to train on, and short enough for frequent runs. Three steps take the loss from 7.6 to 7.2.
FAST = {"MaxSteps": "3", "MaxEvalLoss": "7.5"}


@dataclass(frozen=True)
class Environment:
    """A running embedded environment, as tests see it.

    The variables of people are those that `python -m pipeline.local env --as ROLE` prints.
    """

    state: Path
    scientist: dict[str, str]
    auditor: dict[str, str]
    approver: dict[str, str]
    _clients: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)
    _roles: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)

    def command(
        self, module: str, *words: str, role: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the project's commands with a data scientist's variables."""
        return subprocess.run(
            [sys.executable, "-m", module, *words],
            env=plain() | (role or self.scientist),
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def client(self, service: str, keys: dict[str, str] | None = None) -> Any:
        """The plain boto3 client of the data scientist, or of another identity.

        It is created once and closed by `close`: a client that only the garbage collector ends can
        leave a socket open, which is a ResourceWarning.
        """
        variables = keys or self.scientist
        which = (service, variables["AWS_ACCESS_KEY_ID"])
        if which not in self._clients:
            self._clients[which] = self._new_client(service, variables)
        return self._clients[which]

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients.values():
            client.close()

    def _new_client(self, service: str, variables: dict[str, str]) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.scientist["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=variables.get("AWS_SESSION_TOKEN"),
        )

    @property
    def root(self) -> dict[str, str]:
        """The key of the account's root, for the preparation of tests only."""
        key = json.loads((self.state / "aws" / "root.json").read_text())
        return {name.upper(): value for name, value in key.items()}

    @cached_property
    def storage_role(self) -> dict[str, str]:
        """The keys of Unity Catalog's storage role: the governed bucket lets no other one in."""
        lent = storage_role.keys(self._of_root)
        return {name.upper(): value for name, value in lent.items()}

    def _of_root(self, service: str, /, **keys: str) -> Any:
        """A client of root, or of the keys that are given."""
        return self.client(
            service, {name.upper(): value for name, value in keys.items()} or self.root
        )

    def role(self, name: str) -> dict[str, str]:
        """The keys of one of the stack's roles, of one session."""
        if name not in self._roles:
            self._roles[name] = self._assume(name)
        return self._roles[name]

    def person(self, name: str, role: str = "scientist") -> dict[str, str]:
        """The variables of one of several people with a role, as `env --name` prints them."""
        key = f"{role} {name}"
        if key not in self._roles:
            exported = local(self.state, "env", "--as", role, "--name", name)
            self._roles[key] = variables_of(exported)
        return self._roles[key]

    def _assume(self, name: str) -> dict[str, str]:
        arn = f"arn:aws:iam::000000000000:role/governed-finetune-local-{name}"
        keys = self.client("sts", self.root).assume_role(RoleArn=arn, RoleSessionName="test")[
            "Credentials"
        ]
        return {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }

    @cached_property
    def admin(self) -> WorkspaceClient:
        """The workspace's administrator."""
        identity = json.loads((self.state / "workspace" / "admin.json").read_text())
        return self._workspace(identity["client_id"], identity["client_secret"])

    @cached_property
    def workspace(self) -> WorkspaceClient:
        """The workspace as the data scientist sees it."""
        return self._workspace(
            self.scientist["DATABRICKS_CLIENT_ID"], self.scientist["DATABRICKS_CLIENT_SECRET"]
        )

    def _workspace(self, client_id: str, client_secret: str) -> WorkspaceClient:
        return WorkspaceClient(
            host=self.scientist["DATABRICKS_HOST"],
            client_id=client_id,
            client_secret=client_secret,
            auth_type="oauth-m2m",
        )

    def principal(self, name: str) -> str:
        """The application id of a service principal."""
        found = self.client("secretsmanager", self.root).get_secret_value(
            SecretId=f"governed-finetune-local/databricks/{name}"
        )
        return str(json.loads(found["SecretString"])["clientId"])

    def start(self, **parameters: str) -> str:
        """Start an execution; its ARN."""
        words = [
            word
            for name, value in (FAST | parameters).items()
            for word in ("--set", f"{name}={value}")
        ]
        started = self.command("pipeline.run", *words, "--json")
        assert started.returncode == 0, started.stderr
        return str(json.loads(started.stdout)["execution"])

    def run(self, **parameters: str) -> tuple[int, dict[str, Any]]:
        """Start and follow an execution; exit code and outcome."""
        words = [
            word
            for name, value in (FAST | parameters).items()
            for word in ("--set", f"{name}={value}")
        ]
        ended = self.command("pipeline.run", *words, "--follow", "--json")
        assert ended.stdout, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    def steps(self, execution: str) -> dict[str, dict[str, Any]]:
        """The execution's steps by name."""
        answer = self.client("sagemaker").list_pipeline_execution_steps(
            PipelineExecutionArn=execution
        )
        return {step["StepName"]: step for step in answer["PipelineExecutionSteps"]}

    def status(self, execution: str) -> str:
        """The execution's status."""
        answer = self.client("sagemaker").describe_pipeline_execution(
            PipelineExecutionArn=execution
        )
        return str(answer["PipelineExecutionStatus"])

    def chain(self, model: str, version: str) -> list[set[str]]:
        """The lineage upstream of a model version, level by level, until nothing is upstream; each
        edge must be there once.

        A table that several executions wrote has a job for each of them.
        """
        levels, objects = [], [{"model_version": {"name": model, "version": version}}]
        while found := [self._upstream(each) for each in objects]:
            names = [name for upstream in found for name in upstream]
            assert all(len(set(upstream)) == len(upstream) for upstream in found), "each edge once"
            if not names:
                break
            levels.append(set(names))
            objects = [
                {"external_metadata" if name.startswith("ft_") else "table": {"name": name}}
                for name in sorted(levels[-1])
            ]
        return levels

    def _upstream(self, named: dict[str, Any]) -> list[str]:
        edges = self.workspace.external_lineage.list_external_lineage_relationships(
            ExternalLineageObject.from_dict(named), LineageDirection.UPSTREAM
        )
        names = []
        for edge in edges:
            job, table = edge.external_metadata_info, edge.table_info
            names.append(
                str(job.name) if job else f"{table.catalog_name}.{table.schema_name}.{table.name}"
            )
        return names


def wait_for(condition: Callable[[], Any], *, seconds: float = 120) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


def plain() -> dict[str, str]:
    """The environment of a shell that knows nothing of the embedded one."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ
    }
    return kept | {"PYTHONPATH": str(REPOSITORY)}


def local(state: Path, *words: str, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    """`python -m pipeline.local …` with a separate state folder."""
    verb, *rest = words
    return subprocess.run(
        [sys.executable, "-m", "pipeline.local", verb, "--state", str(state), *rest],
        env=plain(),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


_PEOPLE = ((), ("--as", "auditor"), ("--as", "approver"))


def variables_of(exports: "subprocess.CompletedProcess[str]") -> dict[str, str]:
    """Return the variables of the lines that `python -m pipeline.local env` printed."""
    assert exports.returncode == 0, exports.stderr
    pairs = (line.removeprefix("export ").partition("=") for line in exports.stdout.splitlines())
    return {name: value.strip("'") for name, _, value in pairs}


@pytest.fixture(scope="session")
def first_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, subprocess.CompletedProcess[str]]]:
    """The result of the first `python -m pipeline.local run --keep` on a machine."""
    state = tmp_path_factory.mktemp("local") / "state"
    ended = local(state, "run", "--keep", "--json")
    yield state, ended
    down = local(state, "down")
    assert down.returncode == 0, down.stderr


@pytest.fixture(scope="session")
def environment(
    first_run: tuple[Path, subprocess.CompletedProcess[str]],
) -> Iterator[Environment]:
    """The environment that the first run left running."""
    state, ended = first_run
    assert ended.returncode == 0, ended.stdout + ended.stderr
    # Now: later tests kill servers, and then `env` refuses
    people = [variables_of(local(state, "env", *words)) for words in _PEOPLE]
    found = Environment(state, *people)
    yield found
    found.close()


@dataclass
class Worker:
    """The environment's register worker, as tests end and start it without its supervisor."""

    process: psutil.Process
    argv: list[str]
    variables: dict[str, str]

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        wait_for(lambda: _has_ended(self.process), seconds=10)

    def start(self) -> None:
        """Start it again, as its supervisor does."""
        started = subprocess.Popen(
            self.argv, env=self.variables, cwd=REPOSITORY, stderr=subprocess.DEVNULL
        )
        started.returncode = 0  # from here on it is known by its pid and not waited for
        self.process = psutil.Process(started.pid)


def _has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended; its parent may not have taken notice yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def supervisor_of(state: Path) -> psutil.Process:
    """The supervisor of the environment's register worker."""
    (record,) = [each for each in State(state).load().processes if each.name == "register"]
    return psutil.Process(record.pid)


def supervised_worker(state: Path) -> psutil.Process:
    """The supervisor's worker; wait for it, since the supervisor may pause."""
    found: list[psutil.Process] = wait_for(
        lambda: [child for child in supervisor_of(state).children() if not _has_ended(child)],
        seconds=90,
    )
    return found[0]


@pytest.fixture(scope="module")
def worker(environment: Environment) -> Iterator[Worker]:
    """The register worker. Its supervisor is halted until the module's tests have ended."""
    found = supervised_worker(environment.state)
    supervisor = supervisor_of(environment.state)
    supervisor.suspend()
    worker = Worker(found, found.cmdline(), found.environ())
    yield worker
    if worker.process != found:
        worker.kill()
    supervisor.resume()
