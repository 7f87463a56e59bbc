"""A process that forks approvers and ends them with SIGKILL at a chosen call.

    python approver_that_dies.py        then one JSON command per line on stdin

    {"argv": […], "variables": {…}}                            one approval, to its end
    {…, "call": 12, "when": "before"}                          it dies before its 12th HTTP call
    {…, "call": 12, "when": "after"}                           it dies after it

Each answer line has the exit status and the calls. Every client's calls go through urllib3's
`urlopen`, so they are counted there.
"""

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import urllib3.connectionpool

from steps.approve import approval, approver  # noqa: F401 - imported before each fork
from steps.approve.__main__ import main as approve
from steps.governance import aws


def main() -> None:
    """Serve commands until stdin ends."""
    with tempfile.TemporaryDirectory() as scratch:
        calls = Path(scratch) / "calls"
        for line in sys.stdin:
            calls.write_text("")
            child = os.fork()
            if not child:
                _approve(json.loads(line), calls)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            answer = {"status": status, "calls": calls.read_text().splitlines()}
            print(json.dumps(answer), flush=True)  # noqa: T201 - the protocol


def _approve(command: dict[str, Any], calls: Path) -> None:
    os.environ.update(command["variables"])
    aws.client.cache_clear()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    plain = urllib3.connectionpool.HTTPConnectionPool.urlopen
    count = 0

    def urlopen(pool: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        target = (kwargs.get("headers") or {}).get("X-Amz-Target", b"")
        name = target.decode() if isinstance(target, bytes) else target
        with calls.open("a") as file:
            file.write(f"{method} {name or url.split('?')[0]}\n")
        chosen = count == command.get("call")
        if chosen and command["when"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = plain(pool, method, url, *args, **kwargs)
        if chosen:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    urllib3.connectionpool.HTTPConnectionPool.urlopen = urlopen  # type: ignore[method-assign]
    try:
        os._exit(approve(command["argv"]))
    except BaseException as error:  # noqa: BLE001 - a fork must never return to the loop
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(99)


if __name__ == "__main__":
    main()
