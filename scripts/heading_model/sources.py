"""The filings that the weights are fitted on: public repositories at fixed commits.

    read(mirrors)      # folder of git mirrors -> one Source per filing, in a fixed order

A mirror of OWNER/NAME is the git directory `OWNER+NAME/repo`. Nothing of a filing's text enters
this repository: the manifest (`training_set.json`) has each filing's repository, commit, path and
digest.
"""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Repository: its commit, and the paths of its annual and quarterly reports and prospectuses.
REPOSITORIES = {
    "alphanome-ai/sec-parser-test-data": (
        "3ebd96ca3ed1be529929d8bb4e1ad313dc59d0ce",
        r"10-[KQ]/.*\.html$",
    ),
    "dgunning/edgartools": (
        "ca5a70094da7fc34890161dae9c256bb1f4c3d26",
        r"(?i)10-?[kq]\b.*\.html?$|10k_20\d\d/[a-z]+-\d+\.htm$|424b4.*\.html?$|s-?1/.*\.html$",
    ),
    # Its other fixtures are copies of these with faults put in.
    "HaoweiChan/sec-10k-extract": (
        "6c71ca6ba6829f46e99421c803afa7452ee3c262",
        r"fixtures/(?!fy2021|toc)[a-z]+-(?:\d{4}|2026-10q)/filing\.htm$",
    ),
    "christopherlii/form-10k-parser": (
        "e88adc51b0e2749993dd1ee0122eb6bb8cd9096f",
        r"data/\w+_10k\.html$",
    ),
    "samitwatve/stock-scrapers": (
        "7023479f6a29f2ef303426e96b5f8285be3d63b0",
        r"10-K/.*/filing-details\.html$",
    ),
}
_CIK = re.compile(r"EntityCentralIndexKey\"?[^>]*>\s*(?:<[^>]*>\s*)*0*(\d{4,10})\b")
# Filings without a CIK in their text, by a word of their path.
_CIK_OF_NAME = {
    "aapl": 320193, "ge": 40545, "axp": 4962, "ba": 12927, "cvx": 93410, "csco": 858877,
    "intc": 50863, "ibm": 51143, "jnj": 200406, "ko": 21344, "msft": 789019, "nike": 320187,
    "wfc": 72971, "wmt": 104169, "tgt": 27419, "gs": 886982, "meta": 1326801, "xom": 34088,
    "qualcomm2001": 804328, "cat": 18230, "ksb": 1000232, "airbnb": 1559720,
    "spatz": 1061688, "sgrp": 1004989,
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One filing of a mirror: where it is, its digest, its company, its HTML."""

    repository: str
    commit: str
    path: str
    sha256: str
    company: str
    html: str


def read(mirrors: Path) -> Iterator[Source]:
    """Yield the filings of every repository, by repository and path."""
    for repository, (commit, pattern) in REPOSITORIES.items():
        mirror = mirrors / repository.replace("/", "+") / "repo"
        for path in _paths(mirror, commit):
            if not re.search(pattern, path):
                continue
            content = _git(mirror, "show", f"{commit}:{path}")
            html = content.decode("utf-8", errors="replace")
            yield Source(
                repository,
                commit,
                path,
                hashlib.sha256(content).hexdigest(),
                _company(html, path),
                html,
            )


def _paths(mirror: Path, commit: str) -> list[str]:
    """Return the paths whose content the mirror has; large files may be listed but absent."""
    listed = _git(mirror, "ls-tree", "-r", "-l", "-z", commit).decode()
    rows = [entry.split("\t", 1) for entry in listed.split("\0") if entry]
    return sorted(path for facts, path in rows if facts.split()[-1].isdigit())


def _git(mirror: Path, *arguments: str) -> bytes:
    command = ["git", f"--git-dir={mirror}", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _company(html: str, path: str) -> str:
    """Return the CIK, or the path where none is known."""
    found = _CIK.search(html)
    if found:
        return found[1]
    names = re.findall(r"[a-z0-9]+", path.lower())
    known = [str(_CIK_OF_NAME[name]) for name in names if name in _CIK_OF_NAME]
    return known[-1] if known else path
