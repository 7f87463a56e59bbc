"""Pages of lists as in AWS: newest first by default, with an opaque token for the next page."""

import base64
import binascii
import operator
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any

from pipeline.local.aws.errors import Invalid, NotServed

# SageMaker's default page size [unverified]; small, so that a client that ignores the next page
# fails in tests.
DEFAULT_PAGE = 10
_PAGE = {"NextToken", "MaxResults", "nextToken", "maxResults"}
# A member of a request, the item's time that it filters by, and the comparison of item and request.
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
    """Refuse a filter that the list does not apply, rather than return items that it excludes."""

    if strange := sorted(request.keys() - served - _PAGE):
        raise NotServed(f"{operation} {', '.join(strange)}")


def page(
    items: Sequence[Any], request: Mapping[str, Any], *, spelling: str = "NextToken"
) -> tuple[list[Any], dict[str, str]]:
    """Return one page of ordered items, and the token of the next page if there is one."""
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
    """Return the items in the request's time range, in the order that it asks for (AWS's default is
    Descending). `items` are ordered oldest first.

    `sort_by` maps further values of SortBy (CreationTime is always known) to the item's member.
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
    """Return the values of a query parameter as a list; it may be absent or repeated."""
    return value if isinstance(value, list) else [] if value is None else [value]
