"""One job as a process group: its own environment, heard line by line, stopped with grace, never
left over.

    job = JobProcess(command, cwd=root, environment=environment, hear=write_line, merged=True)
    job.stop(grace_seconds=120)
    code = job.wait()                   # the return code; negative for a signal; None while it runs

A job sees nothing of the server's environment but what a container would have anyway (`inherited`).
Its HOME is its own folder, so that no `~/.aws` or `~/.databrickscfg` of the person at the keyboard
can stand in for a right that is missing.
"""

import codecs
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

MAX_LINE_BYTES = 250_000  # of a line that is heard at once; a longer one comes in parts
_LAST_WORDS_SECONDS = 10.0  # a process that left the group could hold the pipe open for ever
_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "JAVA_HOME")
_KEEPER = Path(__file__).with_name("keeper.py")

Hear = Callable[[str, str], None]  # (stream name, line)


def inherited(home: Path) -> dict[str, str]:
    """The environment that every job starts from: how to find programs, the language, and folders
    of its own.
    """
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return kept | {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}


class JobProcess:
    """A running command under a keeper."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        hear: Hear,
        merged: bool,
    ) -> None:
        """`merged`: stderr in stdout's stream, in the order it was written, as a container's log
        has it.
        """
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_KEEPER), str(theirs.fileno()), *command],
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merged else subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        self._ended = threading.Event()
        self._ears = [
            threading.Thread(target=self._listen, args=(name, stream, hear), daemon=True)
            for name, stream in (("stdout", self._keeper.stdout), ("stderr", self._keeper.stderr))
            if stream is not None
        ]
        for ear in self._ears:
            ear.start()

    @property
    def process_group(self) -> int:
        """The id that every process of this job shares."""
        return self._keeper.pid

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """The command's return code once it ended and its last line was heard; None when the time
        is over first.
        """
        self._ours.settimeout(timeout_seconds)
        try:
            report = self._ours.recv(16)
        except TimeoutError:
            return None
        except OSError:
            report = b""
        self._ours.close()
        killed = self._keeper.wait()
        for ear in self._ears:
            ear.join(_LAST_WORDS_SECONDS)
        self._ended.set()
        return int(report) if report.strip() else killed

    def stop(self, grace_seconds: float) -> None:
        """Ask with SIGTERM; after the grace, SIGKILL for whatever is left. Returns at once."""
        self._signal(signal.SIGTERM)
        threading.Thread(target=self._kill_after, args=(grace_seconds,), daemon=True).start()

    def kill(self) -> None:
        """End the whole group now."""
        self._signal(signal.SIGKILL)

    def _kill_after(self, seconds: float) -> None:
        if not self._ended.wait(seconds):
            self.kill()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if not self._ended.is_set():
                os.killpg(self.process_group, number)

    @staticmethod
    def _listen(name: str, stream: IO[bytes], hear: Hear) -> None:
        with stream:
            decoder = codecs.getincrementaldecoder("utf-8")(
                "replace"
            )  # a character that the bound cuts is kept whole
            for part in iter(lambda: stream.readline(MAX_LINE_BYTES), b""):
                hear(name, decoder.decode(part).rstrip("\r\n"))
            if rest := decoder.decode(b"", final=True):
                hear(name, rest)
