"""The deep audit's hashing against `sha256sum` on the same files, in the same minute.

Files are in the page cache, so both measure the hashing and not the disk. Each round runs both, one
after the other, since other processes may load the machine: a ratio is of one round.
"""

import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from steps.audit.services.hashing import CHUNK_BYTES, digest


def written(file: Path, mib: int) -> Path:
    """Write a file of this many MiB and return it."""
    block = bytes(range(256)) * 4096
    with file.open("wb") as target:
        for _ in range(mib):
            target.write(block)
    return file


def seconds_of_sha256sum(files: Sequence[Path]) -> float:
    """Return the wall seconds of `sha256sum` with one process for each file."""
    began = time.monotonic()
    running = [
        subprocess.Popen(["/usr/bin/sha256sum", str(file)], stdout=subprocess.DEVNULL)
        for file in files
    ]
    for process in running:
        process.wait()
    return time.monotonic() - began


def seconds_of_hashing(files: Sequence[Path]) -> float:
    """Return the wall seconds of the auditor's hashing with one thread for each file."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(files)) as pool:
        list(pool.map(lambda file: digest(_chunks(file)), files))
    return time.monotonic() - began


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk
