"""Launching: how many workers start, their environment, and which ending is the job's."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steps.governance.documents import builds
from steps.governance.errors import UsageError
from steps.train.distributed import cluster, launch, worker_endings
from steps.train.distributed.cluster import Cluster
from steps.train.distributed.worker_endings import Ending
from steps.train.paths import Paths
from tests.steps.train.test_hyperparameters import GOOD

HOSTS = {
    "current_host": "algo-2",
    "hosts": ["algo-2", "algo-1"],
    "network_interface_name": "eth0",
    "current_instance_type": "ml.p4d.24xlarge",
}

# The beginning of every worker's program here. LAUNCHER runs it with `run_workers` and prints the
# ending.
WORKER = """
import os, signal, sys, time
from pathlib import Path
from steps.train.distributed import worker_endings
rank, folder = os.environ["RANK"], Path(sys.argv[1])
def stop(*_):
    worker_endings.report(143); (folder / f"checkpoint-{rank}").touch(); sys.exit(143)
signal.signal(signal.SIGTERM, stop)
variables = [os.environ["WORLD_SIZE"], os.environ["OMP_NUM_THREADS"]]
(folder / f"started-{rank}").write_text(" ".join(variables))
"""
LAUNCHER = """
import sys
from pathlib import Path
from steps.train.distributed import launch
from steps.train.paths import Paths
launch._WORKER = ("-c", sys.argv[1], sys.argv[2])
ending = launch.run_workers(Paths(Path(sys.argv[2])))
print(ending.exit_code, ending.reason)
"""


def launcher(folder: Path, worker: str, workers: int = 2) -> subprocess.Popen[str]:
    environment = os.environ | {launch.WORKERS: str(workers), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LAUNCHER, WORKER + worker, str(folder)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ending_of(process: subprocess.Popen[str]) -> str:
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return printed.strip()


@pytest.mark.torch
def test_the_worker_that_failed_first_is_decisive_even_if_it_exits_last(
    tmp_path: Path,
) -> None:
    # Rank 1 fails and reports it; then rank 0 loses its connection and exits before rank 1.
    worker = """
if rank == "1":
    worker_endings.report(2, "LoraRank cannot be used"); (folder / "reported").touch()
    time.sleep(1); sys.exit(2)
while not (folder / "reported").exists(): time.sleep(0.01)
worker_endings.report(1, "connection closed by peer"); sys.exit(1)
"""
    assert ending_of(launcher(tmp_path, worker)) == "2 LoraRank cannot be used"
    assert [(tmp_path / f"started-{rank}").read_text() for rank in (0, 1)] == ["2 1", "2 1"]


@pytest.mark.torch
def test_sigterm_reaches_the_workers_and_the_launcher_waits_for_their_checkpoints(
    tmp_path: Path,
) -> None:
    process = launcher(tmp_path, "time.sleep(60)")
    while not all((tmp_path / f"started-{rank}").exists() for rank in (0, 1)):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert ending_of(process) == "143"
    assert all((tmp_path / f"checkpoint-{rank}").exists() for rank in (0, 1))


@pytest.mark.torch
def test_a_killed_worker_is_decisive_over_a_broken_connection(
    tmp_path: Path,
) -> None:
    worker = """
if rank == "1":
    (folder / "gone").touch(); os.kill(os.getpid(), signal.SIGKILL)
while not (folder / "gone").exists(): time.sleep(0.01)
worker_endings.report(1, "connection closed by peer"); time.sleep(1); sys.exit(1)
"""
    assert ending_of(launcher(tmp_path, worker)).startswith(
        "137 a worker process was killed by SIGKILL"
    )


def test_one_device_on_one_host_starts_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(launch.WORKERS, "1")
    monkeypatch.setattr(launch, "_run", lambda *_: pytest.fail("a process was started"))
    assert launch.run_workers(Paths(tmp_path)) is None
    monkeypatch.setenv(worker_endings.FOLDER, str(tmp_path))
    monkeypatch.setenv(launch.WORKERS, "2")
    assert launch.run_workers(Paths(tmp_path)) is None, "a worker never starts workers"


@pytest.mark.torch
def test_configuration_of_the_agent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRAINING_JOB_NAME", "train-7")
    hosts = Cluster("algo-2", ("algo-1", "algo-2"), "eth0", "ml.p5.48xlarge")
    configuration = launch._configuration(hosts, 8)
    assert configuration.shutdown_timeout == 110, (
        "SIGKILL comes 120 s after SIGTERM; torchrun's own 30 s are too few"
    )
    assert (configuration.min_nodes, configuration.max_nodes) == (2, 2)
    assert configuration.nproc_per_node == 8
    assert (configuration.rdzv_endpoint, configuration.run_id) == ("algo-1:29400", "train-7")
    assert (configuration.local_addr, configuration.rdzv_configs["is_host"]) == ("algo-2", False)
    assert configuration.max_restarts == 0


def test_an_invalid_number_of_workers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(launch.WORKERS, "two")
    with pytest.raises(
        UsageError, match=r"GOVERNED_FINETUNE_WORKERS cannot be used\n  expected  1 to 99"
    ):
        launch.run_workers(Paths(tmp_path))


def test_hosts_are_sorted_so_that_their_order_is_the_same_on_each(tmp_path: Path) -> None:
    path = tmp_path / "resourceconfig.json"
    assert cluster.read(path) == cluster.SINGLE_HOST
    path.write_text(json.dumps(HOSTS))
    assert cluster.read(path) == Cluster("algo-2", ("algo-1", "algo-2"), "eth0", "ml.p4d.24xlarge")


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"current_host": "a", "hosts": ["b"]}', '{"hosts": 1}']
)
def test_an_invalid_resourceconfig_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "resourceconfig.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"resourceconfig\.json cannot be used"):
        cluster.read(path)


@pytest.mark.parametrize(
    ("instance", "efa", "rdma"),
    [
        ("ml.p4d.24xlarge", "efa", "1"),
        ("ml.p5.48xlarge", "efa", "1"),
        ("ml.g5.48xlarge", "efa", None),
        ("ml.g5.2xlarge", None, None),
        (None, None, None),
    ],
)
def test_efa_is_selected_only_on_instances_with_efa(
    instance: str | None, efa: str | None, rdma: str | None
) -> None:
    variables = cluster.environment(Cluster("a", ("a", "b"), "eth0", instance))
    assert (variables.get("FI_PROVIDER"), variables.get("FI_EFA_USE_DEVICE_RDMA")) == (efa, rdma)
    assert variables["NCCL_SOCKET_IFNAME"] == variables["GLOO_SOCKET_IFNAME"] == "eth0"
    assert cluster.environment(Cluster("a", ("a",), "eth0", instance)) == {}, "a single host"


def test_the_earliest_failure_is_decisive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_endings.decisive(tmp_path) is None
    assert not worker_endings.report(2, "no launcher")
    monkeypatch.setenv(worker_endings.FOLDER, str(tmp_path))
    for rank, ending in [(3, (0, "")), (2, (143, "")), (0, (2, "later"))]:
        monkeypatch.setenv("RANK", str(rank))
        assert worker_endings.report(*ending)
    found = worker_endings.decisive(tmp_path)
    assert found is not None
    assert (found.exit_code, found.reason) == (143, "")
    (tmp_path / "2.json").unlink()
    (tmp_path / "0.json").unlink()
    assert worker_endings.decisive(tmp_path) == Ending(
        0, "", json.loads((tmp_path / "3.json").read_text())["at"]
    )


@pytest.mark.torch
def test_a_job_of_two_workers_reports_its_failure_once(tmp_path: Path) -> None:
    """Run the container's command with valid hyperparameters and without credentials."""
    configuration = tmp_path / "input" / "config"
    configuration.mkdir(parents=True)
    (configuration / "hyperparameters.json").write_text(json.dumps(GOOD))
    (tmp_path / "build.json").write_text(json.dumps({"clean": True, "lock_sha256": "0" * 64}))
    variables = {
        "SAGEMAKER_BASE_DIR": str(tmp_path),
        "TRAINING_JOB_NAME": "train-1",
        builds.VARIABLE: str(tmp_path / "build.json"),
        launch.WORKERS: "2",
        "OMP_NUM_THREADS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_CONFIG_FILE": os.devnull,
    }
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_")
    } | variables
    command = [sys.executable, "-m", "steps.train", "train"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    reason = (tmp_path / "output" / "failure").read_text()
    assert done.returncode == 1
    assert "NoCredentialsError" in reason
    assert done.stderr.count(reason) == 1, "the launcher reports for all workers"


@pytest.mark.torch
def test_invalid_hyperparameters_are_refused_before_a_worker_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from steps.train.__main__ import main

    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.setenv(launch.WORKERS, "2")
    monkeypatch.setattr(launch, "_run", lambda *_: pytest.fail("a process was started"))
    (tmp_path / "input" / "config").mkdir(parents=True)
    (tmp_path / "input" / "config" / "hyperparameters.json").write_text(
        json.dumps(GOOD | {"epochs": "0"})
    )
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert main([]) == 2
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert "epochs: a whole number from 1 to 20" in (tmp_path / "output" / "failure").read_text()
