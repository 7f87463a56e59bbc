"""The Spark session is stopped after every end of the job, also if the job never starts."""

from pathlib import Path
from typing import Any, NoReturn

import pytest

from steps.governance.errors import IdentityRefused
from steps.prepare import __main__ as command
from steps.prepare import arguments, running, session
from tests.steps.prepare.support import fakes

STARTED = object()


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The sessions that were stopped; `STARTED` is the one that starts."""
    found: list[object] = []
    monkeypatch.setattr(session, "start", lambda: STARTED)
    monkeypatch.setattr(session, "stop", found.append)
    return found


def refused(**_: Any) -> None:
    raise IdentityRefused("the secret databricks/prepare is missing")


def test_a_refused_identity_stops_the_spark_that_was_starting(
    stopped: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(running, "connect", refused)
    with pytest.raises(IdentityRefused, match="is missing"):
        running.run(fakes.arguments(tmp_path))
    assert stopped == [STARTED]


def test_a_spark_that_did_not_start_does_not_hide_why_we_were_refused(
    stopped: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_spark() -> None:
        raise RuntimeError("no Java")

    monkeypatch.setattr(session, "start", no_spark)
    monkeypatch.setattr(running, "connect", refused)
    with pytest.raises(IdentityRefused, match="is missing"):
        running.run(fakes.arguments(tmp_path))
    assert stopped == []


def test_a_job_that_fails_stops_its_spark(
    stopped: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def failing(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "connect", lambda **_: None)
    monkeypatch.setattr(running, "Catalog", failing)
    with pytest.raises(KeyboardInterrupt):
        running.run(fakes.arguments(tmp_path))
    assert stopped == [STARTED]


def test_a_full_disk_is_the_last_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fills(_: object) -> NoReturn:
        raise RuntimeError("java.io.IOException: No space left on device")

    monkeypatch.setattr(running, "run", fills)
    monkeypatch.setattr(arguments, "parse", lambda _: fakes.arguments(tmp_path))
    assert command.main([]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("DiskFull: this job's disk is full · ")
    assert "bytes are free in" in last
    assert "spark.emr-serverless.{driver,executor}.disk" in last
