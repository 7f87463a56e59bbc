"""A kept property reads once for each object, and objects do not wait for each other."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from steps.audit.case import Case
from steps.audit.kept import kept

SECONDS = 10.0


class Read:
    def __init__(self, source: Any) -> None:
        self.source = source

    @kept
    def content(self) -> Any:
        """What the source has."""
        return self.source()


def test_the_first_answer_is_kept() -> None:
    numbers = iter((1, 2))
    read = Read(lambda: next(numbers))
    assert (read.content, read.content) == (1, 1)


def test_an_error_is_not_kept() -> None:
    def fails() -> None:
        raise OSError("no answer")

    read = Read(fails)
    with pytest.raises(OSError, match="no answer"):
        _ = read.content
    read.source = lambda: "answered"
    assert read.content == "answered"


def test_two_objects_read_at_the_same_time() -> None:
    both = threading.Barrier(2)  # breaks if one reads after the other
    objects = [Read(lambda: both.wait(SECONDS)) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(lambda each: each.content, objects)) == [0, 1]


def test_every_property_of_a_case_that_reads_is_of_this_kind() -> None:
    """functools' property would make all records of an audit wait for one."""
    kinds = {name: type(value) for name, value in vars(Case).items() if not name.startswith("_")}
    reading = {"content", "record", "prepared", "trained", "execution", "training_job", "version"}
    assert reading <= {name for name, kind in kinds.items() if kind is kept}
    assert "cached_property" not in {kind.__name__ for kind in kinds.values()}
