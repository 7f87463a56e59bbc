"""How the workers of one host ended, told to the process that started them: that one answers for the whole job.

    told = tell(exit_code, reason)      in a worker, at its end; False where nobody asked (a job of one process)
    first(folder)                       in the launcher: the ending that explains the others, None if no worker told any

One worker's failure makes the others fail: their connections break, or they are sent SIGTERM. An exit code seen from
outside does not say who began, because the process that began may be the slower one to go. So each worker writes down
its own ending while it still holds its connections, and the earliest that is not "done" counts.
"""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = "GOVERNED_FINETUNE_ENDINGS"  # set by the launcher for its workers


@dataclass(frozen=True)
class Ending:
    """One worker's end; `reason` is empty where exit code 0 or 143 says it all."""

    exit_code: int
    reason: str = ""
    at: int = 0  # nanoseconds since 1970, by this host's clock


def tell(exit_code: int, reason: str = "") -> bool:
    """Write this worker's ending down for its launcher, if there is one. Its first word counts."""
    folder, rank = os.environ.get(FOLDER), os.environ.get("RANK", "0")
    if folder is None:
        return False
    told = Path(folder) / f"{rank}.json"
    if not told.exists():
        partial = told.with_suffix(".partial")
        partial.write_text(
            json.dumps(asdict(Ending(exit_code, reason, time.time_ns()))), encoding="utf-8"
        )
        partial.replace(told)
    return True


def first(folder: Path) -> Ending | None:
    """The earliest ending that was no success; a success if all told are."""
    endings = [Ending(**json.loads(path.read_bytes())) for path in sorted(folder.glob("*.json"))]
    failed = [ending for ending in endings if ending.exit_code != 0]
    return min(failed or endings, key=lambda ending: ending.at, default=None)
