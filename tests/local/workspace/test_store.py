"""Transactions of the store are atomic, also with several writers."""

import threading
from pathlib import Path

import pytest

from pipeline.local.workspace.store import Store


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    store.put("TABLE", "a", {"rows": 1})

    def half() -> None:
        with store.transaction():
            store.put("TABLE", "a", {"rows": 2})
            store.put("TABLE", "b", {"rows": 3})
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        half()
    assert store.items("TABLE") == [("a", {"rows": 1})]
    store.close()


def test_what_was_kept_is_there_after_reopening(tmp_path: Path) -> None:
    first = Store(tmp_path / "store.sqlite")
    with first.transaction():
        first.put("TABLE", "b", {})
        first.put("TABLE", "a", {})
        first.delete("TABLE", "missing")
    first.close()
    second = Store(tmp_path / "store.sqlite")
    assert [key for key, _ in second.items("TABLE")] == ["b", "a"]  # in the order of creation
    second.close()


def test_a_prefix_finds_the_keys_below_it_and_no_others(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    for key in ("edgar.raw.a", "edgar.raw_other.a", "edgar.raw.é", "edgar"):
        store.put("TABLE", key, {})
    assert [key for key, _ in store.items("TABLE", "edgar.raw.")] == ["edgar.raw.a", "edgar.raw.é"]
    store.close()


def test_a_read_and_its_write_are_atomic_between_threads(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    store.put("COUNT", "n", {"n": 0})

    def count() -> None:
        for _ in range(50):
            with store.transaction():
                known = store.get("COUNT", "n") or {}
                store.put("COUNT", "n", {"n": known["n"] + 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("COUNT", "n") == {"n": 200}
    store.close()
