"""A property that is read once, without a lock.

    class Case:
        @kept
        def record(self) -> Record: …

`functools.cached_property` of Python 3.11 holds one lock for all objects of a class while it reads,
so sixteen threads that each read their own case would wait for each other. (3.12 has no such lock.)
Here two threads that share an object may both read; one answer is kept.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

_T = TypeVar("_T")


class kept(Generic[_T]):  # noqa: N801 - it is used as `property` is
    """Like `property`, but the first answer is kept in the object. Errors are not kept."""

    def __init__(self, read: Callable[[Any], _T]) -> None:
        self._read, self.__doc__ = read, read.__doc__
        self._name = read.__name__

    def __get__(self, owner: Any, _kind: type | None = None) -> _T:
        """Return the kept answer, or read it."""
        fields: dict[str, Any] = owner.__dict__
        if self._name not in fields:
            fields[self._name] = self._read(owner)
        return cast(_T, fields[self._name])
