"""Two processes train as one process does, and either resumes from a checkpoint of the other.

Loss, gradient norm and adapter are equal, with the whole base in each process (ddp) or split
between them (fsdp).
"""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file

from steps.train.stopping import Stopped
from tests.steps.train.support.curated_table import ARN, commit
from tests.steps.train.support.jobs import TRAINED, printed_lines, run, sigterm_after_step
from tests.steps.train.support.rank_worker import EXAMPLES, uneven
from tests.steps.train.support.ranks import finish, several

pytestmark = pytest.mark.torch

# Two epochs. The number of rows is odd, so one row is left for the last step of each epoch, and one
# process has no row in it.
CHANGES = {"epochs": "2", "max_steps": "-1", "eval_steps": "3", "learning_rate": "0.005"}
STOPPED_AFTER = 5  # no evaluation is due there
_ADAPTER = "adapter_model.safetensors"
_STEP = re.compile(
    r"\[train\] step=(\d+) train_loss=([^;]+); grad_norm=([^;]+); learning_rate=([^;]+);"
)
_EVAL = re.compile(r"\[eval\] step=(\d+) eval_loss=([^;]+);")


@pytest.fixture(scope="module")
def ran(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Run jobs of one process here, then all jobs of two processes in one start of two workers."""
    folder = tmp_path_factory.mktemp("ranks")
    curated = folder / "curated"
    commit(curated, ARN, train=EXAMPLES)
    alone = uneven(folder / "alone", tiny_model, curated, **CHANGES)
    with printed_lines() as lines:
        run(alone)
    stopped = uneven(folder / "alone-stopped", tiny_model, curated, **CHANGES)
    with printed_lines(), sigterm_after_step(STOPPED_AFTER - 1) as stop, pytest.raises(Stopped):
        run(stopped, stop)
    plan = [
        entry(folder, tiny_model, "ddp", "ddp"),
        entry(folder, tiny_model, "fsdp", "fsdp", merged_export="bfloat16"),
        entry(folder, tiny_model, "fsdp-stopped", "fsdp", stop=[1, STOPPED_AFTER - 1]),
        entry(folder, tiny_model, "ddp-stopped", "ddp", stop=[0, STOPPED_AFTER - 1]),
        entry(
            folder, tiny_model, "fsdp-resumes-alone", "fsdp", checkpoints=stopped.paths.checkpoints
        ),
        entry(
            folder,
            tiny_model,
            "ddp-resumes-fsdp",
            "ddp",
            checkpoints=folder / "fsdp-stopped" / "checkpoints",
        ),
    ]
    (folder / "plan.json").write_text(json.dumps(plan))
    with several(2, "rank_worker", str(folder / "plan.json")) as workers:
        results = [json.loads(printed) for printed in finish(workers)]
    return SimpleNamespace(
        folder=folder, curated=curated, alone=alone, lines=lines, results=results
    )


def entry(
    folder: Path,
    base: Path,
    name: str,
    sharding: str,
    *,
    stop: list[int] | None = None,
    checkpoints: Path | None = None,
    **changes: str,
) -> dict[str, Any]:
    places = {"root": folder / name, "base": base, "curated": folder / "curated"}
    return {
        "name": name,
        **{key: str(path) for key, path in places.items()},
        "changes": CHANGES | {"sharding": sharding} | changes,
        "stop": stop,
        "checkpoints": str(checkpoints) if checkpoints else None,
    }


def steps(lines: list[str]) -> dict[int, list[float]]:
    """Loss, gradient norm and learning rate by step."""
    found = _STEP.findall("\n".join(lines))
    return {int(step): [float(number) for number in numbers] for step, *numbers in found}


def evaluations(lines: list[str]) -> dict[int, float]:
    return {int(step): float(loss) for step, loss in _EVAL.findall("\n".join(lines))}


@pytest.mark.parametrize("name", ["ddp", "fsdp"])
def test_two_processes_have_the_loss_and_gradient_norm_of_one_in_every_step(
    ran: SimpleNamespace, name: str
) -> None:
    one, two = steps(ran.lines), steps(ran.results[0][name]["lines"])
    assert len(one) >= 6
    assert one.keys() == two.keys()
    for step, numbers in one.items():
        assert two[step] == pytest.approx(numbers, rel=1e-4), step


@pytest.mark.parametrize("name", ["ddp", "fsdp"])
def test_two_processes_have_the_evaluations_and_the_adapter_of_one(
    ran: SimpleNamespace, name: str
) -> None:
    assert evaluations(ran.results[0][name]["lines"]) == pytest.approx(
        evaluations(ran.lines), rel=1e-4
    )
    assert largest_difference(ran.alone.paths.model, ran.folder / name / "model") < 2e-4


def largest_difference(one: Path, other: Path) -> float:
    """Return the largest difference between the weights of two adapters."""
    ours, theirs = load_file(one / _ADAPTER), load_file(other / _ADAPTER)
    assert {name: t.shape for name, t in ours.items()} == {
        name: t.shape for name, t in theirs.items()
    }
    return max((ours[name] - theirs[name]).abs().max().item() for name in ours)


def test_the_leader_writes_for_both_processes(ran: SimpleNamespace) -> None:
    leader, other = (result["ddp"] for result in ran.results)
    assert other["ended"] == "done"
    assert TRAINED in leader["evidence"]
    assert TRAINED not in other["evidence"]
    report = json.loads((ran.folder / "ddp" / "model" / "report.json").read_text())
    alone = json.loads((ran.alone.paths.model / "report.json").read_text())
    blank = 2 * 3  # rows of one token: three in each of the two epochs
    assert report["metrics"]["train_tokens"] - alone["metrics"]["train_tokens"] == blank


def test_a_split_model_is_exported(ran: SimpleNamespace) -> None:
    exported = ran.folder / "fsdp" / "output" / "data" / "merged"
    assert (exported / "config.json").exists()
    assert list(exported.glob("*.safetensors"))


@pytest.mark.parametrize("name", ["fsdp-stopped", "ddp-stopped"])
def test_sigterm_to_one_process_saves_and_stops_both_after_the_same_step(
    ran: SimpleNamespace, name: str
) -> None:
    assert [result[name]["ended"] for result in ran.results] == ["stopped", "stopped"]
    saved = ran.folder / name / "checkpoints" / f"checkpoint-{STOPPED_AFTER}"
    assert (saved / "complete.json").exists()
    assert not any((ran.folder / name / "model").glob("*"))


def test_a_sharded_checkpoint_holds_no_base_no_pickle_and_half_the_optimizer_per_process(
    ran: SimpleNamespace,
) -> None:
    saved = ran.folder / "fsdp-stopped" / "checkpoints" / f"checkpoint-{STOPPED_AFTER}"
    shards = sorted((saved / "sharded").glob("*.safetensors"))
    assert len(shards) == 2
    assert {path.suffix for path in (saved / "sharded").iterdir()} == {".safetensors", ".json"}
    names = {name for shard in shards for name in load_file(shard)}
    assert names
    assert all("lora_" in name for name in names)
    sizes = [sum(t.numel() for t in load_file(shard).values()) for shard in shards]
    whole = 2 * sum(t.numel() for t in load_file(saved / _ADAPTER).values())
    assert sum(sizes) == pytest.approx(whole, abs=200), (
        "two moments for each weight, a step count for each tensor"
    )
    assert max(sizes) < 0.6 * whole


@pytest.mark.parametrize("name", ["fsdp-resumes-alone", "ddp-resumes-fsdp"])
def test_two_processes_resume_from_another_kind_of_checkpoint(
    ran: SimpleNamespace, name: str
) -> None:
    lines = ran.results[0][name]["lines"]
    assert f"[info] resuming from checkpoint-{STOPPED_AFTER}" in lines
    resumed, uninterrupted = steps(lines), steps(ran.lines)
    assert min(resumed) == STOPPED_AFTER + 1
    for step, numbers in resumed.items():
        assert numbers == pytest.approx(uninterrupted[step], rel=1e-4), step
    assert largest_difference(ran.alone.paths.model, ran.folder / name / "model") < 2e-4


@pytest.mark.parametrize("name", ["fsdp-stopped", "ddp-stopped"])
def test_one_process_resumes_from_the_checkpoint_of_two(
    ran: SimpleNamespace, tiny_model: Path, tmp_path: Path, name: str
) -> None:
    restarted = uneven(tmp_path / "ml", tiny_model, ran.curated, **CHANGES)
    shutil.copytree(ran.folder / name / "checkpoints", restarted.paths.checkpoints)
    with printed_lines() as lines:
        run(restarted)
    assert f"[info] resuming from checkpoint-{STOPPED_AFTER}" in lines
    resumed, uninterrupted = steps(lines), steps(ran.lines)
    assert min(resumed) == STOPPED_AFTER + 1
    for step, numbers in resumed.items():
        assert numbers == pytest.approx(uninterrupted[step], rel=1e-4), step
    assert largest_difference(ran.alone.paths.model, restarted.paths.model) < 2e-4


def test_the_processes_exchange_flags_parts_results_and_errors(ran: SimpleNamespace) -> None:
    leader, other = (result["agreement"] for result in ran.results)
    for mine in (leader, other):
        assert mine["any"] == [True, False]
        assert mine["gathered"] == [0, 10]
        assert mine["once_per_host"] == mine["from_leader"] == "from 0"
    assert leader["refused"] == ["GovernanceError: the disk is full"] * 3
    assert other["refused"] == ["PeerFailed: another process of this job failed"] * 3


def test_both_processes_have_equally_many_passes_and_each_row_counts_once(
    ran: SimpleNamespace,
) -> None:
    (five, one), (other_five, other_one) = (result["agreement"]["share"] for result in ran.results)
    assert five == [[[0, 1], True], [[4], True]]
    assert other_five == [[[2, 3], True], [[0, 1], False]]
    assert (one, other_one) == ([[[0], True]], [[[0], False]])


def test_both_processes_take_the_leaders_mode_and_no_kernel_that_failed_in_one(
    ran: SimpleNamespace,
) -> None:
    leader, other = (result["precision"] for result in ran.results)
    expected = {
        "effective": "off",
        "kernels": "plain: kernel gated: RuntimeError: x",
        "uses": False,
    }
    assert leader == expected | {"kept": True}
    assert other == expected | {"kept": False}
