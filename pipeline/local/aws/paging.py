"""Lists in pages, as AWS gives them: newest first unless asked, an opaque token to the next page."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.local.aws.errors import Invalid

DEFAULT_PAGE = 100


def page(
    items: Sequence[Any], request: Mapping[str, Any], *, spelling: str = "NextToken"
) -> tuple[list[Any], dict[str, str]]:
    """One page of items that are ordered already, and the member that leads to the next, if there is one."""
    size_name = "MaxResults" if spelling == "NextToken" else "maxResults"
    start = _start(request.get(spelling))
    end = start + int(request.get(size_name) or DEFAULT_PAGE)
    token = {spelling: base64.urlsafe_b64encode(str(end).encode()).decode()} if end < len(items) else {}
    return list(items[start:end]), token


def ordered(items: Sequence[Any], request: Mapping[str, Any]) -> list[Any]:
    """Items that stand oldest first, in the order the request wants: Descending is AWS's default."""
    return list(items) if request.get("SortOrder") == "Ascending" else list(reversed(items))


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error):
        raise Invalid("the page token is not one that this service gave out") from None


def many(value: Any) -> list[Any]:
    """A query parameter that may be given once, several times or not at all, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]
