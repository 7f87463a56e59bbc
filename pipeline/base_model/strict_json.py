"""Parse JSON and refuse what two parsers could read differently.

    document = strict_json.loads(content)     # ValueError: a byte order mark, a key twice, NaN …

Train's libraries then read a mirrored file as this module did. The rules are those of
steps.governance.documents.canonical, which pipeline/ may not import, but for one: a tokenizer's
configuration may have whole numbers beyond 2^53.
"""

import json
import math
from collections import Counter
from typing import Any, NoReturn


def loads(content: bytes) -> Any:
    """Return the parsed document.

    Raises:
        ValueError: it is not JSON, or two parsers could read it differently, with the reason.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"bytes that are not UTF-8 at {error.start}") from None
    if text.startswith("\ufeff"):
        raise ValueError("a byte order mark")
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        [(repeated, _)] = counts.most_common(1)
        raise ValueError(f"the key {ascii(repeated)[:60]} twice in one object")
    return document


def _constant(name: str) -> NoReturn:
    raise ValueError(f"the number {name}, which JSON does not have")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number that is too large for a double")
    return number
