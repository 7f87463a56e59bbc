"""How each worker of a host ended, written by the worker and read by the launcher.

    report(exit_code, reason)       in a worker, at its end
    decisive(folder)                in the launcher: the ending that explains the others

When one worker fails, the others fail too: their connections break, or they receive SIGTERM. Exit
codes do not show which one failed first, because its process may exit last. So each worker writes
its ending to a file while it still holds its connections, and the earliest failure is decisive.
"""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = "GOVERNED_FINETUNE_ENDINGS"  # the launcher sets this variable for its workers


@dataclass(frozen=True)
class Ending:
    """The end of one worker.

    Attributes:
        exit_code: of its process.
        reason: the error message; empty for exit codes 0 and 143, which need none.
        at: nanoseconds since 1970, by this host's clock.
        shrinks: whether all workers may start again with smaller passes (shrinking.py).
    """

    exit_code: int
    reason: str = ""
    at: int = 0
    shrinks: bool = False


def report(exit_code: int, reason: str = "", *, shrinks: bool = False) -> bool:
    """Write the ending of this worker for its launcher. Later calls have no effect.

    Returns:
        Whether there is a launcher. A job of one process does not have one.
    """
    folder, rank = os.environ.get(FOLDER), os.environ.get("RANK", "0")
    if folder is None:
        return False
    path = Path(folder) / f"{rank}.json"
    if not path.exists():
        partial = path.with_suffix(".partial")
        ending = Ending(exit_code, reason, time.time_ns(), shrinks)
        partial.write_text(json.dumps(asdict(ending)), encoding="utf-8")
        partial.replace(path)
    return True


def decisive(folder: Path) -> Ending | None:
    """Return the earliest failure, or else the earliest success; None if no worker wrote one."""
    endings = [Ending(**json.loads(path.read_bytes())) for path in sorted(folder.glob("*.json"))]
    failed = [ending for ending in endings if ending.exit_code != 0]
    return min(failed or endings, key=lambda ending: ending.at, default=None)
