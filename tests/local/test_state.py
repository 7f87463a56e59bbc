"""The environment's memory: ports that are free, a record that survives, one command at a time."""

import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pipeline.errors import PipelineError, UsageError
from pipeline.local.host import servers
from pipeline.local.host.processes import Process
from pipeline.local.host.state import PORTS, Busy, Record, State, choose_ports


def test_a_record_survives_between_commands(tmp_path: Path) -> None:
    record = Record({"aws": 1}, (Process("aws", 2, 3.5),), {"AWS_REGION": "us-east-1"})
    State(tmp_path).save(record)
    assert State(tmp_path).load() == record


def test_an_empty_state_is_not_running(tmp_path: Path) -> None:
    assert not State(tmp_path).load().running


def test_last_times_ports_are_taken_again_when_they_are_free() -> None:
    first = choose_ports({}, {})
    assert choose_ports(first, {}) == first
    assert len(set(first.values())) == len(PORTS)


def test_a_remembered_port_that_is_taken_now_is_replaced() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert choose_ports({"aws": taken}, {})["aws"] != taken


def test_an_asked_port_that_is_taken_is_refused_by_number() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(
            UsageError, match=f"port {taken} for workspace is in use(.|\n)*--workspace-port"
        ):
            choose_ports({}, {"workspace": taken})


def test_an_impossible_port_is_refused() -> None:
    with pytest.raises(UsageError, match="port 99999"):
        choose_ports({}, {"aws": 99999})


def test_two_commands_do_not_start_or_stop_at_once(tmp_path: Path) -> None:
    refused = pytest.raises(PipelineError, match="another command is starting or stopping")
    with State(tmp_path).locked(), refused, State(tmp_path).locked():
        pass


def test_a_full_disk_is_reported_and_leaves_the_record_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, record = State(tmp_path), Record({"aws": 1})
    state.save(record)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)  # a seam: filling a real disk needs root
        with pytest.raises(
            PipelineError, match="No space left on device; its content is unchanged"
        ):
            state.save(Record({"aws": 2}))
    assert state.load() == record


def test_a_partly_started_environment_is_not_running(tmp_path: Path) -> None:
    """What a killed `up` leaves: some servers of it live, but the last one was never started."""
    own = psutil.Process()
    alive = Process("aws", own.pid, own.create_time())
    State(tmp_path).save(Record({"aws": 1}, (alive,)))
    assert not State(tmp_path).load().running
    State(tmp_path).save(Record({"aws": 1}, (alive,), complete=True))
    assert State(tmp_path).load().running


def test_the_same_port_asked_twice_is_refused_and_an_asked_one_is_not_remembered_for_another() -> (
    None
):
    ports = choose_ports({}, {})
    assert choose_ports({"aws": ports["aws"]}, {"workspace": ports["aws"]})["aws"] != ports["aws"]
    with pytest.raises(UsageError, match="in use"):
        choose_ports({}, {"workspace": ports["aws"], "tracking": ports["aws"]})


def test_only_the_owner_can_read_the_folder(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    with state.locked():
        assert stat.S_IMODE(state.folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(PipelineError, match="was not written: "),
        State(tmp_path / "file" / "state").locked(),
    ):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"ports": {}, "processes": [1]}', "\0"])
def test_a_broken_record_is_one_message_with_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "environment.json").write_text(content)
    with pytest.raises(PipelineError, match="is not the record of an environment") as raised:
        State(tmp_path).load()
    assert str(tmp_path / "environment.json") in str(raised.value)
    assert "remove this file" in str(raised.value)


@pytest.mark.parametrize("ended", ["tracking", "register"])
def test_a_server_that_ended_while_nothing_waited_for_it_is_named(
    tmp_path: Path, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "wait_until_ready", _refuse_if_ended)
    monkeypatch.setattr(servers, "require_answer", lambda *_, **__: None)
    alive = Process("", os.getpid(), psutil.Process().create_time())
    gone = Process("", 2**22 - 3, 1.0)
    processes = tuple(
        replace(gone if name == ended else alive, name=name) for name in ("tracking", "register")
    )
    record = Record({"tracking": 1}, processes)
    with pytest.raises(PipelineError, match=f"{ended} ended while it started"):
        servers.Servers(State(tmp_path), record).ready()


def _refuse_if_ended(process: Process, url: str, *, log: Path) -> None:
    assert url.endswith(":1/health")
    if process.handle() is None:
        raise PipelineError(f"{process.name} ended while it started")


def test_who_started_the_servers_stops_them_unless_another_run_uses_them(tmp_path: Path) -> None:
    first, second = State(tmp_path), State(tmp_path)
    assert not first.use.may_stop()
    first.use.begin(fresh=True)
    second.use.begin(fresh=False)
    assert not first.use.may_stop()
    assert not second.use.may_stop()  # it found them running
    second.use.end()
    assert first.use.may_stop()


def test_a_held_folder_is_refused_before_anything_is_imported(tmp_path: Path) -> None:
    absent = State(tmp_path / "absent")
    absent.require_free({})
    assert not absent.folder.exists()
    with State(tmp_path).locked(), pytest.raises(Busy):
        State(tmp_path).require_free({})
    State(tmp_path).require_free({})


def test_a_port_that_is_in_use_is_refused_before_anything_is_imported(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {taken} for aws is in use"):
            State(tmp_path).require_free({"aws": taken})
        own = Process("aws", os.getpid(), psutil.Process().create_time())
        State(tmp_path).save(Record({"aws": taken}, (own,)))
        State(tmp_path).require_free({"aws": taken})  # the environment's own server has it
