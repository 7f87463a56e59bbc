"""`mirror.json`: a base model's name, revision, files and, if its card states one, licence.

    document = read(content)      # ValueError: Train would refuse it

Each file is listed with path, size in bytes and sha256. The rules are those of
steps/train/model/base_model_files.py, which pipeline/ may not import; tests hold the two equal.
"""

import re
from collections.abc import Mapping
from typing import Any

from pipeline.base_model import strict_json

Fault = tuple[str, str]
Files = dict[str, tuple[int, str]]  # path → size in bytes, sha256

MIRROR = "mirror.json"
# The hub's identifiers of licences. Train takes no other text.
LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
# An earlier release mirrored files of any name. A mirror that Train would take counts as whole.
_PATH = re.compile(r"(?!\.\.?\Z|mirror\.json\Z)[\x20-\x2e\x30-\x7e]{1,255}")
_REVISION, _SHA256 = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")
_KEYS, _ENTRY_KEYS = {"name", "revision", "files"}, {"path", "size", "sha256"}


def read(content: bytes) -> dict[str, Any]:
    """Return the parsed document.

    Raises:
        ValueError: Train would refuse it; the text has the reason.
    """
    document = strict_json.loads(content)
    if not isinstance(document, dict) or document.keys() - {"licence"} != _KEYS:
        raise ValueError("expected an object of name, revision, files and perhaps licence")
    _check(document["name"], re.compile(r"(?s).*"), "name")
    _check(document["revision"], _REVISION, "revision")
    if document.get("licence") is not None:
        _check(document["licence"], LICENCE, "licence")
    if not isinstance(document["files"], list) or not document["files"]:
        raise ValueError("names no files")
    for entry in document["files"]:
        _check_entry(entry)
    if len(entries(document)) < len(document["files"]):
        raise ValueError("names a file twice")
    return document


def _check_entry(entry: Any) -> None:
    if not isinstance(entry, dict) or entry.keys() != _ENTRY_KEYS:
        raise ValueError("expected each file by path, size and sha256")
    _check(entry["path"], _PATH, "path")
    _check(entry["sha256"], _SHA256, "sha256")
    if type(entry["size"]) is not int or entry["size"] < 0:  # a bool is an int too
        raise ValueError(f"expected a whole number as size, got {str(entry['size'])[:40]}")


def _check(value: Any, pattern: re.Pattern[str], key: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"the value of {key} is not one that Train takes: {ascii(value)[:80]}")


def entries(document: Mapping[str, Any]) -> Files:
    """Return the files that a document names, by path."""
    return {each["path"]: (each["size"], each["sha256"]) for each in document["files"]}


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Fault]:
    """Return the differences between two documents, file by file; empty if they are equal."""
    old, new = entries(before), entries(after)
    changed = [
        (name, _change(old.get(name), new.get(name))) for name in sorted(old.keys() | new.keys())
    ]
    rest = [key for key in ("name", "revision", "licence") if before.get(key) != after.get(key)]
    other = [(key, f"is {before.get(key)!r} there and {after.get(key)!r} here") for key in rest]
    return [(name, text) for name, text in changed if text] + other


def _change(old: tuple[int, str] | None, new: tuple[int, str] | None) -> str:
    if old == new:
        return ""
    if old is None:
        return "is not there"
    if new is None:
        return "is there only"
    before, after = (f"{size} bytes, sha256 {sha256[:12]}…" for size, sha256 in (old, new))
    return f"is {before} there and {after} here"
