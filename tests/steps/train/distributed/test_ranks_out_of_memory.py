"""Out of memory in one of two launched workers: both start again, or one true reason is left."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from steps.train.distributed import launch, shrinking
from steps.train.planning.batching import Batching
from tests.steps.train.support import ranks
from tests.steps.train.support.curated_table import ARN, commit
from tests.steps.train.support.jobs import job
from tests.steps.train.support.rank_worker import EXAMPLES

pytestmark = pytest.mark.torch
ROW = 256  # tokens; the first batching of two processes has two rows in a pass
AGAIN = "all 2 workers start again with smaller passes"


def launched(
    folder: Path, base: Path, *, rank: int, where: str, room: int, smaller: int = 0
) -> SimpleNamespace:
    """Run a job of two workers of which `rank` has memory for `room` tokens."""
    curated = folder / "curated"
    commit(curated, ARN, train=EXAMPLES)
    made = job(folder / "ml", base, curated, eval_steps="1", max_steps="3")
    configuration = made.paths.hyperparameters
    configuration.parent.mkdir(parents=True)
    configuration.write_text(json.dumps(made.texts))
    variables = {
        "SAGEMAKER_BASE_DIR": str(folder / "ml"),
        "TRAINING_JOB_NAME": "train-1",
        launch.WORKERS: "2",
        "OMP_NUM_THREADS": "1",
    }
    arguments = [str(curated), str(rank), where, str(room)]
    command = [sys.executable, "-c", ranks._RUN, "oom_worker", "launcher", *arguments]
    done = subprocess.run(
        command,
        cwd=ranks.ROOT,
        env=os.environ | variables | shrinking.environment(smaller),
        capture_output=True,
        text=True,
        timeout=ranks.SECONDS,
        check=False,
    )
    failure = folder / "ml" / "output" / "failure"
    return SimpleNamespace(
        exit_code=done.returncode,
        log=done.stdout + done.stderr,
        failure=failure.read_text() if failure.exists() else None,
        paths=made.paths,
    )


@pytest.mark.parametrize(
    ("rank", "where"),
    [
        (1, "backward"),
        pytest.param(0, "backward", marks=pytest.mark.long),
        pytest.param(1, "forward", marks=pytest.mark.long),
        pytest.param(0, "forward", marks=pytest.mark.long),
    ],
)
def test_both_workers_start_again_from_the_checkpoint_with_fewer_rows_in_a_pass(
    tiny_model: Path, tmp_path: Path, rank: int, where: str
) -> None:
    ended = launched(tmp_path, tiny_model, rank=rank, where=where, room=ROW)
    assert ended.exit_code == 0, ended.log[-6000:]
    assert ended.failure is None
    assert ended.log.count(AGAIN) == 1
    assert "resuming from checkpoint-1" in ended.log
    report = json.loads((ended.paths.model / "report.json").read_text())
    assert [point["step"] for point in report["curve"]] == [1, 2, 3]
    assert (report["parameters"]["micro_rows"], report["parameters"]["accumulation"]) == (1, 2)


@pytest.mark.parametrize(
    ("rank", "where"),
    [
        (0, "backward"),
        pytest.param(0, "forward", marks=pytest.mark.long),
        pytest.param(1, "backward", marks=pytest.mark.long),
    ],
)
def test_a_worker_without_memory_for_one_row_leaves_the_advice_of_a_single_process(
    tiny_model: Path, tmp_path: Path, rank: int, where: str
) -> None:
    ended = launched(tmp_path, tiny_model, rank=rank, where=where, room=0, smaller=3)
    assert ended.exit_code == 1, ended.log[-6000:]
    assert ended.failure is not None
    lines = ended.failure.splitlines()
    assert lines[0] == f"the device of process {rank + 1} of 2 has no memory for one row"
    assert "micro_rows=1, accumulation=2, recomputed_layers=2" in lines[1]
    assert lines[2].endswith("CUDA out of memory. Tried to allocate 2.00 GiB.")
    assert "lower SequenceLength or LoraRank" in lines[3]
    assert AGAIN not in ended.log
    assert not any(ended.paths.model.glob("*"))


def test_each_start_takes_the_next_smaller_batching_and_stays_at_the_smallest() -> None:
    first = Batching(2, 2, 0, 2)
    found = [first.shrunk(shrinking.times(shrinking.environment(n))) for n in range(5)]
    assert [(b.micro_rows, b.accumulation, b.recomputed_layers) for b in found] == [
        (2, 2, 0),
        (1, 4, 0),
        (1, 4, 1),
        (1, 4, 2),
        (1, 4, 2),
    ]
