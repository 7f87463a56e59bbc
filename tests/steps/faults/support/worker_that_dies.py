"""A process that forks register workers and ends them with SIGKILL after a chosen call.

    python worker_that_dies.py          then one JSON command per line on stdin

    {"argv": […]}                        one worker that handles one message
    {"argv": […], "workers": 2}          two workers at the same time
    {"argv": […], "survived": […]}       it dies after its first effect that is not in this list
    {"argv": […], "dies_after": "…"}     it dies after this effect
    {"argv": […], "dies_at_call": 12}    it dies after this call, reads included
    {"argv": […], "hangs_after": 90}     SIGALRM ends it after these seconds, and it does not pause
    {"argv": […], "hangs_after": 90, "passed": "…"}   a worker of `lasting_worker`, with that file

"names" lists names of the execution, which are left out of the effects. Each answer line holds the
exit statuses, the effects of all workers, and the errors that ended a worker.

Importing mlflow and what a registration imports takes 8 s, and loading botocore's models another 1
s. So this process imports what its first worker imported, and each worker is a fork of it.

Every HTTP call of every client (botocore, requests, mlflow's upload threads) goes through urllib3's
`urlopen`: there calls are counted, and there a worker ends, without any clean-up. The threads
"heartbeat" and "stop-watch" call by the clock, so their calls are not counted.
"""

import importlib
import io
import json
import os
import re
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import urllib3.connectionpool
from botocore.retries.standard import ExponentialBackoff

from steps.governance import aws
from steps.governance.errors import GovernanceError
from steps.governance.unity_catalog import retrying
from steps.register import worker as worker_module
from steps.register.arguments import parse
from steps.register.delivery import propagation, queue
from steps.register.model_registry.mlflow_import import import_mlflow
from steps.register.worker import Worker
from tests.steps.faults.support.lasting_worker import work_through

UNFORESEEN = 99  # the exit status after an error that is not ours

# Calls that change nothing. ReceiveMessage hides a message, but only for its visibility time-out.
_READS = re.compile(
    r"GET |HEAD |POST (SageMaker\.(Describe|List)|secretsmanager\.Get|AmazonSQS\.(Get|Receive))"
    r"|POST TrentService\.(Sign|GetPublicKey) "  # KMS; a signature changes nothing
    r"|POST (/oidc/|/ )|POST .*generate-temporary-credentials"
)
_UPLOAD = re.compile(r"PUT /gf-governed/")
_WITH_BODY = re.compile(r"leases/|external-metadata|external-lineage")  # one path, several effects
_CHANGING = re.compile(r"[0-9a-f]{24,}|\d+")  # digests and numbers, which differ in each run


def main() -> None:
    import_mlflow()
    for service in ("s3", "sqs", "sts", "secretsmanager", "sagemaker", "emr-serverless", "kms"):
        aws.client(service, os.environ["AWS_DEFAULT_REGION"])
    _reply({"ready": True})
    with tempfile.TemporaryDirectory() as scratch:
        files = {name: Path(scratch) / name for name in ("effects", "errors", "modules")}
        for line in sys.stdin:
            files["effects"].write_text("")
            files["errors"].write_text("")
            command = json.loads(line) | {name: str(path) for name, path in files.items()}
            workers = [_fork(command) for _ in range(command.get("workers", 1))]
            statuses = [os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) for worker in workers]
            found = {
                name: [json.loads(each) for each in files[name].read_text().splitlines()]
                for name in ("effects", "errors")
            }
            _import_all(files["modules"])
            _reply({"statuses": statuses} | found)


def _import_all(modules: Path) -> None:
    """Import the modules that a worker had imported when it ended."""
    names = modules.read_text().split() if modules.exists() else []
    for name in names:
        if name not in sys.modules and not name.startswith("code_model_"):
            with suppress(ImportError):  # some are made at run time
                importlib.import_module(name)
    modules.unlink(missing_ok=True)


def _reply(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - the protocol


def _fork(command: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        _work(command)
        Path(command["modules"]).write_text("\n".join(sys.modules))
        os._exit(0)
    except GovernanceError as error:
        _noted(command, str(error), error.exit_code)
    except BaseException as error:  # noqa: BLE001 - a fork must never return to the loop
        _noted(command, f"{type(error).__name__}: {error}", UNFORESEEN)
    raise AssertionError


def _work(command: dict[str, Any]) -> None:
    signal.alarm(command.get("hangs_after", 0))
    if "passed" in command:
        return work_through(command["argv"], Path(command["passed"]))
    if "hangs_after" in command:
        _hurry()
    _Calls(command).watch()
    worker = Worker(parse(command["argv"]), threading.Event())
    delivery = worker.queue.receive()
    if delivery is not None:
        worker.handle(delivery)
    return None


def _noted(command: dict[str, Any], text: str, exit_code: int) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    with Path(command["errors"]).open("a") as file:
        file.write(json.dumps(text) + "\n")
    os._exit(exit_code)


def _hurry() -> None:
    """Shorten each pause between two attempts to nothing. The number of attempts stays."""
    ExponentialBackoff.delay_amount = lambda *_: 0.0  # type: ignore[method-assign]
    retrying._FIRST_PAUSE_SECONDS = 0.001
    worker_module._BACKOFF_SECONDS = 0
    queue._POLL_SECONDS = 1  # the second of two workers may find no message
    propagation.PAUSE_SECONDS = (0,) * len(propagation.PAUSE_SECONDS)


class _Calls:
    """The calls of one worker: its effects are written to a file, and one call is its last."""

    def __init__(self, command: dict[str, Any]) -> None:
        self._survived: list[str] | None = command.get("survived")
        self._dies_after: str | None = command.get("dies_after")
        self._dies_at_call: int | None = command.get("dies_at_call")
        self._names: list[str] = command.get("names", [])
        self._effects, self._lock = Path(command["effects"]), threading.Lock()
        self._calls = self._uploads = 0

    def watch(self) -> None:
        """Wrap urllib3, in this process."""
        plain = urllib3.connectionpool.HTTPConnectionPool.urlopen

        def urlopen(pool: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            try:
                return plain(pool, method, url, *args, **kwargs)
            finally:
                if threading.current_thread().name not in ("heartbeat", "stop-watch"):
                    body = kwargs.get("body", args[0] if args else None)
                    with self._lock:
                        self._count(_name(method, url, kwargs.get("headers") or {}), body)

        urllib3.connectionpool.HTTPConnectionPool.urlopen = urlopen  # type: ignore[method-assign]

    def _count(self, call: str, body: object) -> None:
        self._calls += 1
        dies = self._calls == self._dies_at_call
        if not _READS.match(call):
            effect = self._effect(call, body)
            with self._effects.open("a") as file:
                file.write(json.dumps(effect) + "\n")
            dies = dies or effect == self._dies_after
            dies = dies or (self._survived is not None and effect not in self._survived)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)

    def _effect(self, call: str, body: object) -> str:
        """Name an effect so that it has the same name in each run, and others have other names.

        Files are uploaded in parallel, in any order, so uploads are numbered instead.
        """
        if _UPLOAD.match(call):
            self._uploads += 1
            return f"upload {self._uploads}"
        if _WITH_BODY.search(call):
            content = body.getvalue() if isinstance(body, io.BytesIO) else body
            call += content.decode() if isinstance(content, bytes) else str(content)
        for name in self._names:
            call = call.replace(name, "#")
        return _CHANGING.sub("#", call)


def _name(method: str, url: str, headers: Any) -> str:
    target = headers.get("X-Amz-Target", "")
    target = target.decode() if isinstance(target, bytes) else target
    return f"{method} {target or url.split('?')[0]} "


if __name__ == "__main__":
    main()
