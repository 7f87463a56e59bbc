"""Canonical JSON for documents that are hashed or trusted: RFC 8785 out, strict parsing in.

    content = canonical.dumps({"size": 7})
    document = canonical.loads(content)     # ValueError where two parsers could disagree

Equal content has equal bytes. `loads` accepts only documents that every parser reads the same way
and that `dumps` can write again: UTF-8 without a byte order mark, each key once, finite numbers,
integers within ±(2^53 - 1), nothing after the document.
"""

import hashlib
import json
import math
from typing import Any, NoReturn

import rfc8785

_LARGEST = 2**53 - 1  # above it, a double (and so RFC 8785) cannot represent every integer


def dumps(document: dict[str, Any]) -> bytes:
    """Return the canonical bytes of a JSON document."""
    return rfc8785.dumps(document)


def loads(content: bytes) -> Any:
    """Parse a document strictly.

    Raises:
        ValueError: anything that parsers could read differently. The text names the fault and
            quotes nothing of the content but a repeated key.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"bytes that are not UTF-8 at {error.start}") from None
    if text.startswith("\ufeff"):
        raise ValueError("a byte order mark")
    try:
        document = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_constant,
            parse_float=_finite,
            parse_int=_exact,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    if "\\u" in text:
        _check_characters(document)
    return document


def sha256(content: bytes) -> str:
    """Return the sha256 of some bytes as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for number, key in enumerate(keys) if key in keys[:number])
        raise ValueError(f"the key {ascii(repeated)[:80]} twice in one object")
    return document


def _constant(name: str) -> NoReturn:
    raise ValueError(f"the number {name}, which JSON does not have")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number that is too large for a double")
    return number


def _exact(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > _LARGEST:
        raise ValueError("a whole number beyond 2^53 - 1")
    return int(digits)


def _check_characters(document: Any) -> None:
    """Half of a surrogate pair can be written with an escape, and is not a character."""
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("an escape that is half of a surrogate pair") from None
