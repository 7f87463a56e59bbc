"""Local servers: S3 and Secrets Manager (ministack with IAM), a token endpoint, a workspace."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import boto3
import pytest

from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.sdk.client import workspace_client
from tests.steps.governance.support.faked_clock import FakedClock
from tests.steps.governance.support.token_endpoint import TokenEndpoint
from tests.steps.governance.support.troubled_server import Troubled, serving
from tests.support.http_server import Handler, served


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a ministack whose root key is `test`/`test`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("aws") / "log").open("wb")
    environment = os.environ | {
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "GATEWAY_PORT": str(port),
        "AUTH": "true",
    }
    server = subprocess.Popen(
        [Path(sys.executable).with_name("ministack")], env=environment, stdout=log, stderr=log
    )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{endpoint}/_ministack/health")
        yield endpoint
    finally:
        server.terminate()
        server.wait(timeout=20)
        log.close()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 - our own loopback URL
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def as_root(aws: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """This process acts as the account's root against the stand-in."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return aws


@pytest.fixture
def tokens() -> Iterator[TokenEndpoint]:
    endpoint = TokenEndpoint()

    class Server(Handler):
        def do_POST(self) -> None:
            form = {name: values[0] for name, values in parse_qs(self.body().decode()).items()}
            status, document = endpoint.answer(self.headers["authorization"], form)
            self.answer_json(status, document, endpoint.headers)

        def do_GET(self) -> None:
            self.answer_json(404, {"error_code": "ENDPOINT_NOT_FOUND"}, endpoint.headers)

    with served(Server) as endpoint.origin:
        yield endpoint


@pytest.fixture
def secret(as_root: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A secret that holds the service principal `app-1` with the secret `s3cret-one`."""
    client = boto3.client("secretsmanager")
    name = f"databricks/{request.node.name[:60]}".replace("[", "-").replace("]", "-")
    client.create_secret(
        Name=name, SecretString=json.dumps({"clientId": "app-1", "clientSecret": "s3cret-one"})
    )
    yield name
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def clock() -> FakedClock:
    """A clock that advances by the pauses of the calls, without waiting."""
    return FakedClock()


@pytest.fixture
def server() -> Iterator[Troubled]:
    """A workspace server with scripted answers."""
    with serving() as state:
        yield state


@pytest.fixture
def workspace(server: Troubled, clock: FakedClock) -> Workspace:
    """A client of `server` that sends a new token with every request."""
    policy, renewed = clock.policy(), iter(range(1, 999))
    client = workspace_client(
        server.host, lambda: {"Authorization": f"Bearer {next(renewed)}"}, policy=policy
    )
    return Workspace(server.host, "the-principal", client, policy)
