"""Start the embedded Databricks workspace.

    python -m pipeline.local.workspace --port 8080 --state .local \\
        --tracking-url http://127.0.0.1:5000 --aws-endpoint http://127.0.0.1:4566 \\
        --storage-bucket governed

It prints one JSON line when it serves, `{"ready": true, "host": "http://127.0.0.1:8080"}`, and ends
on SIGTERM and Ctrl-C. Its AWS identity comes from the AWS_* environment variables; the first
admin's credentials are in STATE/workspace/admin.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from pipeline.local.workspace.api import Workspace, milliseconds
from pipeline.local.workspace.app import Server
from pipeline.local.workspace.audit import Audit
from pipeline.local.workspace.catalog.principals import bootstrap_admin
from pipeline.local.workspace.control_plane import ControlPlane
from pipeline.local.workspace.rights.securables import Kind
from pipeline.local.workspace.settings import Settings
from pipeline.local.workspace.store import Store


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the workspace until SIGTERM or Ctrl-C; the exit code is 0."""
    settings = Settings(**vars(_parser().parse_args(argv)))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    config = uvicorn.Config(
        build(settings),
        host="127.0.0.1",
        port=settings.port,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )
    # uvicorn shuts down first and then raises the signal again; this end is a success.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _AnnouncingServer(config, settings).run()
    except KeyboardInterrupt:
        return 0
    return 0


def build(settings: Settings) -> ASGIApp:
    """Return the application; create its state folder, metastore and admin if they do not exist."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    store = Store(settings.folder / "workspace.sqlite")
    admin = bootstrap_admin(store, settings.folder / "admin.json")
    _ensure_metastore(store, admin, settings)
    workspace = Workspace(settings, store, ControlPlane(settings))
    return Server(workspace, Audit(settings.folder / "audit.jsonl")).application()


class _AnnouncingServer(uvicorn.Server):
    """uvicorn that prints a line when its socket listens."""

    def __init__(self, config: uvicorn.Config, settings: Settings):
        super().__init__(config)
        self._host = settings.host

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            ready = {"ready": True, "host": self._host}
            print(json.dumps(ready), flush=True)  # noqa: T201 - a line for the caller


def _ensure_metastore(store: Store, admin: str, settings: Settings) -> None:
    with store.transaction():
        if store.all(Kind.METASTORE.name):
            return
        metastore_id, now = str(uuid.uuid4()), milliseconds()
        metastore = {
            "metastore_id": metastore_id,
            "name": "local",
            "cloud": "aws",
            "region": settings.region,
            "owner": admin,
            "privilege_model_version": "1.0",
            "external_id": settings.external_id or str(uuid.uuid4()),
            "created_at": now,
            "created_by": admin,
        }
        store.put(Kind.METASTORE.name, metastore_id, metastore)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.local.workspace", description=__doc__.partition("\n")[0]
    )
    add = parser.add_argument
    add("--port", type=int, required=True)
    add(
        "--state",
        type=Path,
        required=True,
        help="folder that keeps everything; used: STATE/workspace/",
    )
    add("--tracking-url", required=True, help="a real mlflow server; it may still be starting")
    add("--aws-endpoint", required=True, help="where STS and S3 answer")
    add("--storage-bucket", required=True, help="bucket for model versions and artifacts")
    add(
        "--external-id",
        default=Settings.external_id,
        help="first start only: what storage roles must demand",
    )
    add("--token-ttl-seconds", type=int, default=Settings.token_ttl_seconds)
    add("--vended-ttl-seconds", type=int, default=Settings.vended_ttl_seconds)
    add("--tracking-wait-seconds", type=float, default=Settings.tracking_wait_seconds)
    add(
        "--external-access", action=argparse.BooleanOptionalAction, default=Settings.external_access
    )
    add(
        "--models-by-files-api",
        action=argparse.BooleanOptionalAction,
        default=Settings.models_by_files_api,
        help="let mlflow move a version's files by the Files API, not with vended keys",
    )
    add("--lineage-duplicates", choices=("keep", "refuse"), default=Settings.lineage_duplicates)
    add("--enable-faults", action="store_true", help="serve POST /_test/faults, for tests")
    return parser


if __name__ == "__main__":
    sys.exit(main())
