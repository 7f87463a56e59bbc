"""One job as a process group, with its own environment: its output is read by line, and no process
outlives it.

    job = JobProcess(command, cwd=root, environment=environment, on_line=write, merged=True)
    job.stop(grace_seconds=120)         # SIGTERM, and SIGKILL after the grace
    code = job.wait()                   # the return code; negative for a signal; None while it runs

Of the server's environment a job gets only what a container would have (`inherited`). Its HOME is
its own folder, so that the user's `~/.aws` and `~/.databrickscfg` cannot replace a right that the
job's role lacks.
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

# of UTF-8; a longer line is read in parts. An event had at most 256 KiB, since 2025 1 MiB
# [botocore, PutLogEvents]
MAX_LINE_BYTES = 250_000
_LAST_WORDS_SECONDS = 10.0  # how long a process that left the group may hold the pipe open
_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "JAVA_HOME")
_KEEPER = Path(__file__).with_name("keeper.py")

LineHandler = Callable[[str, str], None]  # (stream name, line)


def inherited(home: Path) -> dict[str, str]:
    """Return the variables that every job has: PATH, language, and its own HOME and TMPDIR."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return kept | {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}


class JobProcess:
    """A running command, started by keeper.py, which kills it if the server ends."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        on_line: LineHandler,
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
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream, on_line), daemon=True)
            for name, stream in (("stdout", self._keeper.stdout), ("stderr", self._keeper.stderr))
            if stream is not None
        ]
        for reader in self._readers:
            reader.start()

    @property
    def process_group(self) -> int:
        """The process group of this job."""
        return self._keeper.pid

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Wait for the end and the last line; return the return code, or None on a time-out."""
        self._ours.settimeout(timeout_seconds)
        try:
            report = self._ours.recv(16)
        except TimeoutError:
            return None
        except OSError:
            report = b""
        self._ours.close()
        killed = self._keeper.wait()
        for reader in self._readers:
            reader.join(_LAST_WORDS_SECONDS)
        self._ended.set()
        return int(report) if report.strip() else killed

    def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM, and SIGKILL to what remains after the grace. Returns at once."""
        self._signal(signal.SIGTERM)
        threading.Thread(target=self._kill_after, args=(grace_seconds,), daemon=True).start()

    def kill(self) -> None:
        """Kill the whole group."""
        self._signal(signal.SIGKILL)

    def _kill_after(self, seconds: float) -> None:
        if not self._ended.wait(seconds):
            self.kill()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if not self._ended.is_set():
                os.killpg(self.process_group, number)

    @staticmethod
    def _read(name: str, stream: IO[bytes], on_line: LineHandler) -> None:
        with stream:
            # A character that the bound cuts is kept whole
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            for part in iter(lambda: stream.readline(MAX_LINE_BYTES), b""):
                on_line(name, decoder.decode(part).rstrip("\r\n"))
            if rest := decoder.decode(b"", final=True):
                on_line(name, rest)
