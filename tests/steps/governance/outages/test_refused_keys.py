"""Vended keys that the storage refuses before they expire are replaced once for each read."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from deltalake.exceptions import DeltaError

from steps.governance.delta_storage import storage_error
from steps.governance.errors import AccessDenied, KeysRefused
from steps.governance.unity_catalog.credentials import Access, Credential, utc_now, with_keys
from steps.prepare.delta import tables
from steps.train.data import verified_table
from tests.steps.train.support import curated_table

EXPIRED = (
    "Generic S3 error: Client error with status 403 Forbidden: "
    "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
)


class Vendor:
    """Vends keys k1, k2, … that are valid for an hour."""

    count = 0

    def __call__(self) -> Credential:
        self.count += 1
        now = utc_now()
        return Credential(f"k{self.count}", "s", "t", now, now + timedelta(hours=1))


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken", "InvalidAccessKeyId"])
def test_keys_that_the_storage_does_not_know_are_no_missing_right(code: str) -> None:
    assert type(storage_error("read", DeltaError(f"<Code>{code}</Code>"))) is KeysRefused
    denied = storage_error("read", DeltaError("status 403: <Code>AccessDenied</Code>"))
    assert type(denied) is AccessDenied


@pytest.mark.parametrize(("good", "vended"), [("k1", 1), ("k2", 2), ("k3", 2)])
def test_other_keys_are_used_once(good: str, vended: int) -> None:
    vendor = Vendor()
    access = Access("s3://b/t", vendor)

    def read() -> str:
        key = access.storage_options()["AWS_ACCESS_KEY_ID"]
        if key != good:
            raise storage_error("read a table", DeltaError(EXPIRED))
        return key

    if good == "k3":
        with pytest.raises(KeysRefused, match=r"(?s)read a table.*ExpiredToken"):
            with_keys(access, read)
    else:
        assert with_keys(access, read) == good
    assert vendor.count == vended
    assert access.renewals == vended - 1


def test_a_withdrawn_right_is_not_vended_again() -> None:
    vendor = Vendor()
    access = Access("s3://b/t", vendor)

    def read() -> None:
        raise storage_error("read a table", DeltaError("<Code>AccessDenied</Code>"))

    with pytest.raises(AccessDenied):
        with_keys(access, read)
    assert vendor.count == 1


def test_prepare_opens_a_table_with_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    place = SimpleNamespace(name="a.b.c", location="s3://b/t", access=Access("s3://b/t", Vendor()))

    def open_table(_: str, options: dict[str, str], version: int | None) -> Any:
        if options["AWS_ACCESS_KEY_ID"] == "k1":
            raise DeltaError(EXPIRED)
        return SimpleNamespace(version=lambda: 3)

    monkeypatch.setattr(tables, "open_table", open_table)
    assert tables.opened(place, 3).version() == 3  # type: ignore[arg-type]


def test_train_reads_every_part_of_the_table_with_other_keys(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each read gets refused once: the commit, the log, and every data file."""
    curated_table.commit(tmp_path, curated_table.ARN)
    manifest = curated_table.prepared(tmp_path, curated_table.ARN, 0)
    drops: list[int] = []

    class Refused(curated_table.LocalAccess):
        def drop(self) -> None:
            drops.append(len(drops))

    real_open, real_table, seen = verified_table._open, verified_table._table, set[str]()

    def once(what: str) -> None:
        if what not in seen:
            seen.add(what)
            raise DeltaError(EXPIRED)

    def opened(manifest: Any, path: str, access: Any) -> Any:
        once(path)
        return real_open(manifest, path, access)

    def table(manifest: Any, version: int | None, access: Any) -> Any:
        once("the log")
        return real_table(manifest, version, access)

    monkeypatch.setattr(verified_table, "_open", opened)
    monkeypatch.setattr(verified_table, "_table", table)
    known = curated_table.LocalCatalog(tmp_path).table(
        verified_table.UcName.parse(curated_table.NAME)
    )
    batches = verified_table.stream(manifest, known, Refused(), execution_arn=curated_table.ARN)
    assert sum(batch.num_rows for batch in batches) == 30
    assert len(drops) == len(seen) == 2 + len(manifest.files)
