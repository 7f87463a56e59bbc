"""A job or worker that waits for a service ends at once when it is stopped."""

import os
import signal
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from steps.governance.documents import builds
from steps.governance.names import UcName
from steps.governance.unity_catalog.budgets import Waits
from steps.governance.unity_catalog.catalog import Catalog
from steps.register import __main__ as worker_command
from steps.train import services
from steps.train.stopping import Stopped, StopSignal
from tests.steps.governance.support.token_endpoint import TokenEndpoint
from tests.steps.governance.support.troubled_server import Answer, Troubled
from tests.steps.register.test_process import GOOD, argv

_FAR_TOO_LONG_SECONDS = 60


@pytest.fixture(autouse=True)
def without_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process runs from no image."""
    monkeypatch.setattr(builds, "of_this_image", lambda: None)


def arguments(host: str, secret: str) -> SimpleNamespace:
    return SimpleNamespace(
        databricks_host=host, databricks_secret_id=secret, region="us-east-1", waits=Waits()
    )


def test_train_waits_at_its_start_until_it_is_stopped(
    secret: str, tokens: TokenEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    stop = StopSignal()

    def refuse() -> int:
        stop.requested = len(tokens.asked) == 2
        return 503

    tokens.refuses_while = refuse
    began = time.monotonic()
    with pytest.raises(Stopped):
        services.connect(arguments(tokens.origin, secret), stop)
    assert time.monotonic() - began < _FAR_TOO_LONG_SECONDS
    assert len(tokens.asked) == 2
    assert "POST /oidc/v1/token: HTTP 503; attempt 2 follows" in caplog.text


def test_train_waits_within_its_work_until_it_is_stopped(
    secret: str, tokens: TokenEndpoint, server: Troubled
) -> None:
    stop = StopSignal()

    def refusing() -> Iterator[Answer]:
        yield Answer(body='{"access_token": "t", "token_type": "Bearer", "expires_in": 3600}')
        yield Answer(503)
        stop.request()
        yield Answer(503)
        raise AssertionError("asked after the stop")

    server.answers = refusing()
    connected = services.connect(arguments(server.host, secret), stop)
    with pytest.raises(Stopped):
        Catalog(connected.workspace).table(UcName.parse("edgar.raw.filings"))
    assert len(server.asked) == 3


def test_a_pause_ends_when_a_signal_comes_and_not_before() -> None:
    stop = StopSignal()
    began = time.monotonic()
    stop.sleep(0.3)
    assert time.monotonic() - began >= 0.3
    stop.request()
    with pytest.raises(Stopped):
        stop.sleep(_FAR_TOO_LONG_SECONDS)


def test_the_worker_ends_at_a_signal_while_it_waits_for_its_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def waiting(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_FAR_TOO_LONG_SECONDS)

    monkeypatch.setattr("steps.register.worker.Worker", waiting)
    began = time.monotonic()
    try:
        assert worker_command.main(argv(GOOD)) == 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert time.monotonic() - began < _FAR_TOO_LONG_SECONDS
