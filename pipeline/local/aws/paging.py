"""Lists in pages, as AWS gives them: newest first unless asked, an opaque token to the next page."""

import base64
import binascii
import operator
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any

from pipeline.local.aws.errors import Invalid, NotServed

# SageMaker's where a request names no size [unverified]; a client that forgets the next page shows
# here
DEFAULT_PAGE = 10
_PAGE = {"NextToken", "MaxResults", "nextToken", "maxResults"}
# A member of a request, the time of an item that it is about, and how the item's must stand to the
# request's.
_TIMES = (
    ("CreatedAfter", "CreationTime", operator.gt),
    ("CreatedBefore", "CreationTime", operator.lt),
    ("CreationTimeAfter", "CreationTime", operator.gt),
    ("CreationTimeBefore", "CreationTime", operator.lt),
    ("LastModifiedTimeAfter", "LastModifiedTime", operator.gt),
    ("LastModifiedTimeBefore", "LastModifiedTime", operator.lt),
)
_NO_OTHER: Mapping[str, str] = MappingProxyType({})


def check(operation: str, request: Mapping[str, Any], served: Set[str]) -> None:
    """Refuse a filter that the list would not apply: an answer must not hold what was filtered out."""
    if strange := sorted(request.keys() - served - _PAGE):
        raise NotServed(f"{operation} {', '.join(strange)}")


def page(
    items: Sequence[Any], request: Mapping[str, Any], *, spelling: str = "NextToken"
) -> tuple[list[Any], dict[str, str]]:
    """One page of items that are ordered already, and the member that leads to the next, if there
    is one.
    """
    size_name = "MaxResults" if spelling == "NextToken" else "maxResults"
    start = _start(request.get(spelling))
    end = start + int(request.get(size_name) or DEFAULT_PAGE)
    token = (
        {spelling: base64.urlsafe_b64encode(str(end).encode()).decode()} if end < len(items) else {}
    )
    return list(items[start:end]), token


def ordered(
    items: Sequence[Mapping[str, Any]],
    request: Mapping[str, Any],
    *,
    sort_by: Mapping[str, str] = _NO_OTHER,
) -> list[Any]:
    """Those of the items, oldest first, that are of the request's times, in its order: Descending
    is AWS's default.

    `sort_by` maps what SortBy may say beside CreationTime to the item's member.
    """
    found = [
        item
        for item in items
        if all(holds(item[at], request[name]) for name, at, holds in _TIMES if name in request)
    ]
    if (chosen := request.get("SortBy", "CreationTime")) != "CreationTime":
        if chosen not in sort_by:
            raise Invalid(
                f"SortBy: expected one of {', '.join(('CreationTime', *sort_by))}, got {chosen}"
            )
        found.sort(key=lambda item: str(item[sort_by[chosen]]))
    return found if request.get("SortOrder") == "Ascending" else found[::-1]


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        start = int(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error):
        start = -1
    if start < 0:
        raise Invalid("the page token is not one that this service gave out")
    return start


def many(value: Any) -> list[Any]:
    """A query parameter that may be given once, several times or not at all, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]
