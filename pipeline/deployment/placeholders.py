"""Placeholders in a configuration: they compile, and are never deployed.

    faults(config.tree(configured), environment="dev")     # by key path

Golden definitions exist before accounts, workspaces and images do. So each value that a person has
to fill in has a form that no real value has: zeros, one digit twelve times, an example's host, or a
word such as REPLACE.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.configuration.fields import LOCAL, PLACEHOLDER_KEY
from pipeline.configuration.messages import Fault

_ZEROS = "is a placeholder of zeros; give the real one"
_OTHER = "is a placeholder; give the real one"
# A commit, the digest of an image, or a UUID, made of zeros.
_OF_ZEROS = re.compile(r"(^|@sha256:)0{40,64}$|^0{8}(-0{4}){3}-0{12}$")
# An id of EMR Serverless begins with two zeros.
_APPLICATION = re.compile(r"0{7}")
# Reserved by RFC 2606; a workspace's number is never zero.
_HOST = re.compile(
    r"([./@]|^)example\.(com|net|org)([:/]|$)|\.(example|invalid|test)([:/]|$)|/(dbc|adb)-0{8}"
)
_WORDS = re.compile(
    r"<[^<>]*>|(?<![a-z])(replace|change|fill)([-_ ]?(me|this|in))?(?![a-z])"
    r"|(?<![a-z])(todo|tbd|fixme|placeholder|x{4,})(?![a-z])",
    re.IGNORECASE,
)
# A public key: chance writes words into it, such as `/tbd+`.
_KEY = re.compile(r"[A-Za-z0-9+/]{80,}={0,2}")
_DOCUMENTED_ACCOUNT = "123456789012"  # of AWS's own examples


def faults(sections: Mapping[str, Any], *, environment: str) -> list[Fault]:
    """Return each placeholder, by key path. The account of the embedded AWS is made of zeros."""
    return [
        (path, text)
        for path, value in _values(sections)
        if (text := _fault(path, value, local=environment == LOCAL))
    ]


def _fault(path: str, value: str, *, local: bool) -> str | None:
    if value == PLACEHOLDER_KEY or _OF_ZEROS.search(value):
        return _ZEROS
    if path == "prepare.application_id" and _APPLICATION.match(value):
        return _ZEROS
    if path == "aws.account_id" and not local and _is_invented(value):
        return _OTHER
    if _KEY.fullmatch(value):
        return None
    return _OTHER if _HOST.search(value) or _WORDS.search(value) else None


def _is_invented(account: str) -> bool:
    return len(set(account)) == 1 or account == _DOCUMENTED_ACCOUNT


def _values(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of the configuration with its path."""
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _values(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _values(value, path)
