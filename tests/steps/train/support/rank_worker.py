"""One of several processes for test_ranks_training.py: train the given jobs and print the results.

A plan is a list of jobs: {"name", "root", "base", "curated", "changes", "stop": [rank, step] or
null, "checkpoints": the folder to start from, or null}.
"""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from steps.governance.documents.precision import Tried
from steps.governance.errors import GovernanceError
from steps.train.distributed import processes
from steps.train.distributed.processes import Processes
from steps.train.stopping import Stopped
from tests.steps.train.support.cards import h100
from tests.steps.train.support.curated_table import ARN, prepared
from tests.steps.train.support.jobs import PREPARED, job, printed_lines, run, sigterm_after_step

GROUP = processes.here()
EXAMPLES = 25  # they make 13 rows, not divisible by 2 or 4


def uneven(root: Path, base: Path, curated: Path, **changes: str) -> Any:
    """Make a job over a table of `EXAMPLES` examples."""
    made = job(root, base, curated, **changes)
    made.evidence.documents[PREPARED] = prepared(curated, ARN, 0, train=EXAMPLES).to_bytes()
    return made


def main(path: str) -> None:
    """Run all jobs in one process group, because starting processes takes most of the time."""
    plan = json.loads(Path(path).read_bytes())
    leave, Processes.leave = Processes.leave, lambda self: None  # type: ignore[method-assign]
    results = {entry["name"]: _train(entry) for entry in plan}
    results["agreement"] = _agreement()
    results["precision"] = _precision(plan[0])
    leave(GROUP)
    print(json.dumps(results))  # noqa: T201 - read by the test


def _train(entry: dict[str, Any]) -> dict[str, Any]:
    """Train one job. The processes share model and checkpoint folders and no others."""
    root = Path(entry["root"])
    mine = uneven(
        root / f"job-of-rank-{GROUP.rank}",
        Path(entry["base"]),
        Path(entry["curated"]),
        **entry["changes"],
    )
    mine.paths = _Shared(mine.paths.root, root)
    if entry["checkpoints"]:
        GROUP.leader_first(
            lambda: GROUP.is_leader and shutil.copytree(entry["checkpoints"], root / "checkpoints")
        )
    stop = entry["stop"]
    stopping = sigterm_after_step(stop[1]) if stop and stop[0] == GROUP.rank else nullcontext(None)
    with printed_lines() as lines, stopping as signal:
        try:
            run(mine, signal)
            ended = "done"
        except Stopped:
            ended = "stopped"
    return {"ended": ended, "lines": lines, "evidence": sorted(mine.evidence.documents)}


def _agreement() -> dict[str, Any]:
    """Return the results of the exchanges between processes, as this process sees them."""

    def fail_on_leader() -> str:
        if GROUP.is_leader:
            raise GovernanceError("the disk is full")
        return "not reached by the leader"

    refused = []
    for exchange in (GROUP.once_per_host, GROUP.leader_first, GROUP.from_leader):
        try:
            exchange(fail_on_leader)
        except GovernanceError as error:
            refused.append(f"{type(error).__name__}: {error.what}")
    order: list[int] = []
    GROUP.leader_first(lambda: order.append(GROUP.rank))
    return {
        "any": [GROUP.any_of(GROUP.rank == 1), GROUP.any_of(flag=False)],
        "gathered": GROUP.gather(GROUP.rank * 10),
        "once_per_host": GROUP.once_per_host(lambda: f"from {GROUP.rank}"),
        "from_leader": GROUP.from_leader(lambda: f"from {GROUP.rank}"),
        "refused": refused,
        "share": [GROUP.share([0, 1, 2, 3, 4], 2), GROUP.share([0], 2)],
    }


def _precision(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what `auto` is in this process, on a card whose kernels fail in the last process.

    Each process would measure other speeds: in the first `off` is fastest, in the others native.
    """
    from steps.train.model import branch
    from steps.train.model.choosing import kernel_check, measured, trial
    from steps.train.model.choosing.kept import Kept

    root = Path(entry["root"]).parent / f"chooses-{GROUP.rank}"
    mine = uneven(root, Path(entry["base"]), Path(entry["curated"]), **entry["changes"])
    speeds = {"storage": 100.0, "native_dx": 100.0, "off": 100.0}
    speeds["off" if GROUP.is_leader else "native_dx"] = 200.0
    trial.timed = lambda candidates, watch, **_: [  # type: ignore[assignment]
        Tried(mode=each.mode, tokens_per_second=speeds[each.mode]) for each in candidates
    ]
    branch.has_triton = lambda: True  # type: ignore[assignment]
    branch.kernels = lambda: None
    fault = None if GROUP.rank < GROUP.count - 1 else "kernel gated: RuntimeError: x"
    kernel_check.fault = lambda *_: fault
    kept = Kept(root / "checkpoints", {}, None)
    with printed_lines():
        found = measured.decide(mine.arguments, Path(entry["base"]), h100(), kept)
    return {
        "effective": found.effective,
        "kernels": found.kernels,
        "uses": branch._used["kernels"],
        "kept": (root / "checkpoints" / "auto-mode.json").exists(),
    }


class _Shared:
    """Paths: model and checkpoints are shared by the job, the others belong to this process."""

    def __init__(self, own: Path, shared: Path) -> None:
        from steps.train.paths import Paths

        self._own, self._shared = Paths(own), Paths(shared)

    def __getattr__(self, name: str) -> Path:
        place: Path = getattr(
            self._shared
            if name in ("model", "checkpoints", "output_data", "merged")
            else self._own,
            name,
        )
        return place
