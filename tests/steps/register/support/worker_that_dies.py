"""Workers that die where they are told to: `python worker_that_dies.py CALLS_FILE`, then one JSON command per line.

    {"argv": […], "kill_after": 12}   fork a worker, let it take one message, end it with SIGKILL after its 12th external call

mlflow takes seconds to import, so it is imported once here and each worker is a fork. Every HTTP call of every client (botocore,
requests, mlflow's upload threads) passes urllib3's `urlopen`: that is where calls are counted, and where the process ends, with
no chance to clean up. The calls stand in CALLS_FILE, one line each.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import urllib3.connectionpool

from steps.governance.errors import GovernanceError
from steps.register.arguments import parse
from steps.register.model_registry.mlflow_session import import_mlflow
from steps.register.worker import Worker


def main() -> None:
    calls = Path(sys.argv[1])
    import_mlflow()
    print(json.dumps({"ready": True}), flush=True)  # noqa: T201 - the protocol
    for line in sys.stdin:
        command = json.loads(line)
        children = [_fork(command, calls) for _ in range(command.get("workers", 1))]
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps({"statuses": statuses}), flush=True)  # noqa: T201 - the protocol


def _fork(command: dict[str, Any], calls: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        _count(calls, command.get("kill_after"))
        worker = Worker(parse(command["argv"]), threading.Event())
        for _ in range(command.get("messages", 1)):
            delivery = worker.queue.receive()
            if delivery is not None:
                worker.handle(delivery)
        os._exit(0)
    except GovernanceError as error:
        sys.stderr.write(f"{error}\n")
        os._exit(error.exit_code)
    except BaseException as error:  # noqa: BLE001 - a fork must never return to the loop
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(99)


def _count(calls: Path, kill_after: int | None) -> None:
    """Write every external call down; end this process right after number `kill_after`."""
    plain, lock, number = urllib3.connectionpool.HTTPConnectionPool.urlopen, threading.Lock(), [0]
    calls.write_text("")

    def urlopen(pool: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return plain(pool, method, url, *args, **kwargs)
        finally:
            if (
                threading.current_thread().name != "heartbeat"
            ):  # it comes by the clock and would shift the numbers
                with lock:
                    number[0] += 1
                    with calls.open("a") as file:
                        file.write(f"{_named(method, url, kwargs.get('headers') or {})}\n")
                    if number[0] == kill_after:
                        os.kill(os.getpid(), signal.SIGKILL)

    urllib3.connectionpool.HTTPConnectionPool.urlopen = urlopen  # type: ignore[method-assign]


def _named(method: str, url: str, headers: Any) -> str:
    target = headers.get("X-Amz-Target", "")
    target = target.decode() if isinstance(target, bytes) else target
    return f"{method} {target or url.split('?')[0]}"


if __name__ == "__main__":
    main()
