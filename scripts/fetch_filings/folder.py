"""The folder of fetched filings: one JSON file for each, and `SHA256SUMS` with their digests.

    with opened(Path("filings")) as folder:
        folder.has(path)                 # fetched before, and unchanged
        folder.write(path, document)

A file is complete before it has its name, and its digest is written after it. So a command that was
stopped leaves nothing that the next one would take for a whole filing, and `sha256sum -c` verifies
the folder. One command at a time writes to it.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.errors import PipelineError, UsageError
from scripts.fetch_filings.listing import Company, Filing

SUMS, _LOCK = "SHA256SUMS", ".lock"


class Changed(PipelineError):
    """A fetched file is not what was fetched."""


def place(company: Company, filing: Filing) -> PurePosixPath:
    """Return the filing's path below the folder: form, year and company are folders."""
    form = filing.form.replace("/", "-").replace(" ", "")
    return (
        PurePosixPath("raw", "risk_factors", f"form_type={form}", f"fiscal_year={filing.year}")
        / f"cik={company.cik}"
        / f"{filing.accession}.json"
    )


@dataclass(frozen=True)
class Folder:
    """A folder that this process alone writes to; `digests` by path."""

    root: Path
    digests: dict[str, str]

    def has(self, path: PurePosixPath) -> bool:
        """Return whether the file was fetched before.

        Raises:
            Changed: its bytes are others than those that were fetched.
        """
        recorded, file = self.digests.get(str(path)), self.root / path
        if recorded is None or not file.exists():
            return False
        if hashlib.sha256(file.read_bytes()).hexdigest() != recorded:
            raise Changed(
                f"{file} was changed since it was fetched\n  expected  sha256 {recorded}\n"
                "  do        delete it to fetch it again"
            )
        return True

    def write(self, path: PurePosixPath, document: Mapping[str, object]) -> str:
        """Write a filing and its digest; the same filing has the same bytes each time."""
        content = (json.dumps(document, ensure_ascii=False, indent=4) + "\n").encode()
        digest = hashlib.sha256(content).hexdigest()
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.part")
        _written(part, content)
        part.replace(file)
        if self.digests.get(str(path)) != digest:
            self.digests[str(path)] = digest
            lines = (f"{value}  {name}\n" for name, value in sorted(self.digests.items()))
            whole = self.root / f".{SUMS}.part"
            _written(whole, "".join(lines).encode())
            whole.replace(self.root / SUMS)
        return digest


@contextmanager
def opened(root: Path) -> Iterator[Folder]:
    """Open a folder for this process alone; make it if it is not there.

    Raises:
        UsageError: another command writes to it, or it cannot be written, or `SHA256SUMS` is
            damaged.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / _LOCK).open("w")
    except OSError as error:
        raise UsageError(f"the folder {root} cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another command writes to the folder {root}") from None
        yield Folder(root, _recorded(root / SUMS))


def _recorded(sums: Path) -> dict[str, str]:
    found = {}
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.exists() else []
    for number, line in enumerate(lines, 1):
        digest, gap, name = line.partition("  ")
        if len(digest) != hashlib.sha256().digest_size * 2 or not gap or not name:
            raise UsageError(f"{sums}:{number} is not a line of sha256sum: {line[:100]!r}")
        found[name] = digest
    return found


def _written(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
