"""One process of several, for test_ranks_training.py: it trains the jobs it is given and prints what came of each.

A plan lists jobs: {"name", "root", "base", "curated", "changes", "stop": [rank, step] or null,
"checkpoints": what stands there when the job starts, or null}.
"""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from steps.governance.errors import GovernanceError
from steps.train.distributed import processes
from steps.train.distributed.processes import Processes
from steps.train.stopping import Stopped
from tests.steps.train.support.curated_table import ARN, prepared
from tests.steps.train.support.jobs import PREPARED, job, printed_lines, run, sigterm_after_step

ME = processes.here()
EXAMPLES = 25  # 13 rows: neither 4 nor 2 divides them


def uneven(root: Path, base: Path, curated: Path, **changes: str) -> Any:
    """A job over a table of so many examples."""
    made = job(root, base, curated, **changes)
    made.evidence.documents[PREPARED] = prepared(curated, ARN, 0, train=EXAMPLES).to_bytes()
    return made


def main(path: str) -> None:
    """All jobs in one process group: starting processes is what these tests pay for."""
    plan = json.loads(Path(path).read_bytes())
    leave, Processes.leave = Processes.leave, lambda self: None  # type: ignore[method-assign]
    results = {entry["name"]: _train(entry) for entry in plan}
    results["agreement"] = _agreement()
    leave(ME)
    print(json.dumps(results))  # noqa: T201 - read by the test


def _train(entry: dict[str, Any]) -> dict[str, Any]:
    """Each process has folders of its own where it must not meet the others, and shares model and checkpoints."""
    root = Path(entry["root"])
    mine = uneven(
        root / f"job-of-rank-{ME.rank}",
        Path(entry["base"]),
        Path(entry["curated"]),
        **entry["changes"],
    )
    mine.paths = _Shared(mine.paths.root, root)
    if entry["checkpoints"]:
        ME.leader_first(
            lambda: ME.is_leader and shutil.copytree(entry["checkpoints"], root / "checkpoints")
        )
    stop = entry["stop"]
    stopping = sigterm_after_step(stop[1]) if stop and stop[0] == ME.rank else nullcontext(None)
    with printed_lines() as lines, stopping as signal:
        try:
            run(mine, signal)
            ended = "done"
        except Stopped:
            ended = "stopped"
    return {"ended": ended, "lines": lines, "evidence": sorted(mine.evidence.documents)}


def _agreement() -> dict[str, Any]:
    """What the processes agree on, as each of them sees it."""

    def fail_on_leader() -> str:
        if ME.is_leader:
            raise GovernanceError("the disk is full")
        return "never"

    refused = []
    for together in (ME.once_per_host, ME.leader_first, ME.from_leader):
        try:
            together(fail_on_leader)
        except GovernanceError as error:
            refused.append(f"{type(error).__name__}: {error.what}")
    order: list[int] = []
    ME.leader_first(lambda: order.append(ME.rank))
    return {
        "any": [ME.any_of(ME.rank == 1), ME.any_of(flag=False)],
        "gathered": ME.gather(ME.rank * 10),
        "once_per_host": ME.once_per_host(lambda: f"from {ME.rank}"),
        "from_leader": ME.from_leader(lambda: f"from {ME.rank}"),
        "refused": refused,
        "share": [ME.share([0, 1, 2, 3, 4], 2), ME.share([0], 2)],
    }


class _Shared:
    """Paths of which model and checkpoints are the job's, and the rest this process's."""

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
