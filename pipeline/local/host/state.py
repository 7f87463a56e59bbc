"""The state that the embedded environment keeps between commands: one folder, one JSON file, one
lock.

    state = State(Path(".local"))
    with state.locked():
        record = state.load()

The file has no secrets: the keys of root and of the workspace admin are in separate files (mode
0600) below the folder.
"""

import fcntl
import json
import os
import shlex
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from pipeline.errors import PipelineError, UsageError
from pipeline.local.host import disk
from pipeline.local.host.processes import Process
from pipeline.local.host.use import Use

PORTS = ("aws", "workspace", "tracking")
VARIABLE = "PIPELINE_LOCAL_STATE"  # names the folder in a shell; `pipeline.local env` sets it
_DEFAULT = ".local"


class Busy(PipelineError):
    """Another command starts or stops the servers of this folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"another command is starting or stopping the environment in {folder}\n"
            "  do        wait for it, or give this one another folder with --state"
        )


@dataclass(frozen=True)
class Record:
    """The environment as it was last started."""

    ports: dict[str, int] = field(default_factory=dict)
    processes: tuple[Process, ...] = ()
    # The values of `${NAME}` in conf/local.yaml and the servers' URLs; none is secret.
    variables: dict[str, str] = field(default_factory=dict)
    engine: str = "sail"
    identity: str = "secret"  # or "federated": the principals have no secrets
    complete: bool = False  # False until the last server runs; stays False if `up` is killed

    @property
    def running(self) -> bool:
        """Whether the environment was started whole and every server of it is alive."""
        return self.complete and all(process.handle() for process in self.processes)


class State:
    """The folder that holds everything the environment keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.use = Use(self.folder)

    def typed(self, words: str) -> str:
        """Return a command of this environment, to be typed as it is in the shell that reads it."""
        named = "" if self.folder == chosen(None).folder else f" --state {shlex.quote(self.text)}"
        return f"python -m pipeline.local {words}{named}"

    @property
    def text(self) -> str:
        """The folder as a text."""
        return str(self.folder)

    @property
    def _file(self) -> Path:
        return self.folder / "environment.json"

    def log(self, name: str) -> Path:
        """Return the log file of the server `name`."""
        return self.folder / "logs" / f"{name}.log"

    def load(self) -> Record:
        """Return the record; it is empty if nothing was ever started here.

        Raises:
            PipelineError: the record is there and cannot be read, or is not a record.
        """
        try:
            document = json.loads(self._file.read_text(encoding="utf-8"))
            return Record(
                ports=document["ports"],
                processes=tuple(Process(**process) for process in document["processes"]),
                variables=document["variables"],
                engine=document["engine"],
                identity=document.get("identity", "secret"),  # older records lack it
                complete=document["complete"],
            )
        except FileNotFoundError:
            return Record()
        except OSError as error:
            raise _unreadable(self._file, str(error.strerror)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(self._file, f"{type(error).__name__}: {error}") from error

    def save(self, record: Record) -> None:
        """Write the record atomically: a crash leaves the old one or the new one.

        Raises:
            PipelineError: the folder cannot be written to, for example because the disk is full.
        """
        draft = self._file.with_suffix(".draft")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_text(json.dumps(asdict(record), indent=2), encoding="utf-8")
            os.replace(draft, self._file)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise _unusable(self._file, error) from error

    def secret_document(self, *parts: str) -> dict[str, Any]:
        """Return a JSON file below the folder, one that only its owner may read."""
        document: dict[str, Any] = json.loads(
            self.folder.joinpath(*parts).read_text(encoding="utf-8")
        )
        return document

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one command that starts or stops servers.

        Raises:
            Busy: another command holds it.
        """
        with self._lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(self.folder) from None
            yield

    def require_free(self, ports: Mapping[str, int | None]) -> None:
        """Refuse at once, before slow imports, what the start of the servers would refuse later.

        Raises:
            Busy: another command holds the folder.
            NoRoom: the disk has too little room.
            UsageError: an asked port is in use, unless by a server of this environment.
        """
        record = self.load()
        if not any(process.handle() for process in record.processes):
            choose_ports(record.ports, dict(ports))
            disk.require_room(self.folder)
        if (self.folder / "lock").exists():
            with self.locked():
                return

    def _lock(self) -> IO[str]:
        """Create the folder, readable by its owner only because it has secrets, and open its lock
        file.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            return (self.folder / "lock").open("w", encoding="utf-8")
        except OSError as error:
            raise _unusable(self.folder, error) from error


def chosen(given: str | None) -> State:
    """Return the state that `--state`, else the shell's variable, else the default names.

    Raises:
        UsageError: it is not a folder, or `--state` is empty, as an unset variable leaves it.
    """
    if given == "":
        message = "--state is empty\n  do        name a folder, or leave --state out"
        raise UsageError(message)
    state = State(Path(given or os.environ.get(VARIABLE) or _DEFAULT))
    nearest = next(each for each in (state.folder, *state.folder.parents) if each.exists())
    if not nearest.is_dir():
        message = (
            f"{nearest} is not a folder, so {state.folder} cannot hold an environment\n"
            "  do        name a folder with --state; it is made if it is not there"
        )
        raise UsageError(message)
    return state


def _unreadable(file: Path, why: str) -> PipelineError:
    return PipelineError(
        f"{file} is not the record of an environment: {why}\n"
        f"  do        if servers still run, end them (their logs are in {file.parent / 'logs'}); "
        "then remove this file,\n            or give another folder with --state"
    )


def _unusable(path: Path, error: OSError) -> PipelineError:
    return PipelineError(
        f"{path} was not written: {error.strerror}; its content is unchanged\n"
        "  do        make room or choose another folder with --state, and run the command again"
    )


def choose_ports(remembered: dict[str, int], asked: dict[str, int | None]) -> dict[str, int]:
    """Return different ports that are free now: the requested ones, else the previous ones, else
    any.

    Raises:
        UsageError: an asked port is in use, or asked for twice.
    """
    chosen: dict[str, int] = {}
    for name in sorted(PORTS, key=lambda name: asked.get(name) is None):  # the requested ones first
        wanted = asked.get(name)
        if wanted is not None and (wanted in chosen.values() or not _free(wanted)):
            raise UsageError(
                f"port {wanted} for {name} is in use\n"
                f"  expected  a port on 127.0.0.1 that nothing listens on\n"
                f"  do        give another --{name}-port, or leave it out to have a free one chosen"
            )
        last = remembered.get(name)
        chosen[name] = wanted or (
            last if last and last not in chosen.values() and _free(last) else _any_free()
        )
    return chosen


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
        return True


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
