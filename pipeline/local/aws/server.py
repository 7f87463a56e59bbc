"""The server: ministack on one loopback port with IAM enforced, our services in it, state in one
folder.

<state>/aws/root.json       the account's root key, made at random once, readable by its owner alone
            control.sqlite  pipelines, executions, jobs
            services/, s3/  ministack's state: IAM, queues, secrets, logs, stacks; versioned objects
            jobs/<name>/    one job's folder
"""

import asyncio
import json
import os
import secrets
import signal
import socket
import string
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.local.aws.pipelines import queue_age
from pipeline.local.aws.saving import Saves

ACCOUNT_ID = "000000000000"
REGION = "us-east-1"
OPEN_PATHS = ("/_ministack/health", "/_ministack/ready")
CHECKPOINT_SECONDS = 1.0
STOP_GRACE_SECONDS = 120.0  # between SIGTERM and SIGKILL, as SageMaker gives
# of ministack; ours are added
SERVED = (
    "s3,iam,sts,kms,secretsmanager,sqs,logs,lambda,dynamodb,cloudformation,"
    "ec2,ecr,ecs,events,sns,monitoring,cloudtrail"
)
_KEY_ALPHABET = string.ascii_uppercase + "234567"


@dataclass(frozen=True)
class Options:
    """The command line's arguments."""

    port: int
    state: Path
    repository: Path
    engine: str
    region: str
    stop_grace_seconds: float

    @property
    def folder(self) -> Path:
        """The stand-in's part of the state folder."""
        return self.state.resolve() / "aws"

    @property
    def endpoint(self) -> str:
        """The URL of the account's services."""
        return f"http://127.0.0.1:{self.port}"


class CannotStart(RuntimeError):
    """The port is in use or the engine is not installed; the message names it."""


def serve(options: Options) -> list[str]:
    """Run until SIGTERM or SIGINT; then end every job, save everything, and return what could not
    be saved.

    Raises:
        CannotStart: the port is taken, or the engine is not installed.
    """
    _check_port(options.port)
    _check_engine(options)
    options.folder.mkdir(parents=True, exist_ok=True)
    _configure(options, root_key(options.folder))
    from pipeline.local.aws import plugin  # reads the environment that was just set
    from pipeline.local.aws.account import Account
    from pipeline.local.aws.store import Store

    account = Account(
        id=ACCOUNT_ID,
        region=options.region,
        endpoint=options.endpoint,
        state=options.folder,
        repository=options.repository.resolve(),
        engine=options.engine,
        stop_grace_seconds=options.stop_grace_seconds,
        store=Store(options.folder / "control.sqlite"),
    )
    services = plugin.install(account)
    services.recover()
    return asyncio.run(_serve(options, services))


def root_key(folder: Path) -> dict[str, str]:
    """Return the root key of this state folder; create it on first use.

    ministack reads its root key from two environment variables. Other keys that it accepts as root
    (`test`, twelve digits, an absent key) have no rights here (`plugin`).
    """
    path = folder / "root.json"
    if not path.exists():
        key = "AKIA" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(16))
        content = {"aws_access_key_id": key, "aws_secret_access_key": secrets.token_urlsafe(30)}
        temporary = path.with_suffix(".tmp")
        temporary.unlink(missing_ok=True)
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
        ) as file:
            json.dump(content, file)
        temporary.replace(path)
    found: dict[str, str] = json.loads(path.read_text())
    return found


def _configure(options: Options, root: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "S3_", "MINISTACK_"))]:
        del os.environ[name]
    os.environ |= {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": root["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": root["aws_secret_access_key"],
        "BIND_HOST": "127.0.0.1",
        # ministack would start containers where it finds a daemon
        "DOCKER_HOST": "unix:///nonexistent",
        "GATEWAY_PORT": str(options.port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": options.region,
        "PERSIST_STATE": "1",
        "S3_DATA_DIR": str(options.folder / "s3"),
        "S3_PERSIST": "1",
        "SERVICES": SERVED,
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(options.folder / "services"),
    }


async def _serve(options: Options, services: Any) -> list[str]:
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config

    closing = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, closing.set)

    async def closed() -> None:
        await closing.wait()
        services.close()

    config = Config()
    config.bind = [f"127.0.0.1:{options.port}"]
    config.loglevel = "WARNING"
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    gateway = Gateway(Saves(options.folder))
    announced = asyncio.create_task(_announce(options))
    saved = asyncio.create_task(gateway.checkpoint())
    measured = asyncio.create_task(queue_age.measured())
    await hypercorn_serve(gateway, config, shutdown_trigger=closed)
    announced.cancel()
    saved.cancel()
    measured.cancel()
    services.account.store.close()
    return gateway.last_save()


class Gateway:
    """ministack's application without its unsigned paths, and with its state saved soon after a
    change.

    ministack writes its state at shutdown, so a SIGKILL would lose everything since the start. Here
    a save follows each changing request within about a second.
    """

    def __init__(self, saves: Saves) -> None:
        import ministack.app as app

        self._app, self._saves = app, saves
        self._changed = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request. Of the unsigned paths (reset, settings, queue contents) only health is
        served.
        """
        path = scope.get("path", "")
        if scope["type"] == "websocket" or (path.startswith("/_") and path not in OPEN_PATHS):
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._app.app(scope, receive, send)
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            self._changed.set()

    async def checkpoint(self) -> None:
        """Save after changes until the server ends."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(CHECKPOINT_SECONDS)
            self._changed.clear()
            self._saves.run(self._save)

    def last_save(self) -> list[str]:
        """Save at the end of the server; return what could not be stored."""
        self._saves.run(self._save)
        return self._saves.confirm()

    def _save(self) -> None:
        from ministack.core.persistence import save_all

        save_all(self._app._build_persistence_save_dict())


async def _announce(options: Options) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", options.port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        sys.stdout.write(json.dumps({"ready": True, "endpoint": options.endpoint}) + "\n")
        sys.stdout.flush()
        return


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise CannotStart(
                f"port {port}: expected a free port, got one in use; choose another with --port"
            ) from None


def _check_engine(options: Options) -> None:
    from pipeline.local.aws.processes.images import SPARK_PYTHON

    if options.engine == "spark" and not (options.repository / SPARK_PYTHON).is_file():
        raise CannotStart(
            f"--engine spark: expected {SPARK_PYTHON}, found none; make it with scripts/spark-venv"
        )
