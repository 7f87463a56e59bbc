"""The ledger: one entry for each record after any failure, no registration on a changed one."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from steps.governance.documents.ledger import name
from steps.governance.errors import Conflict, IntegrityError
from steps.governance.evidence import Evidence
from steps.governance.signing.kms_signer import Signer
from steps.governance.signing.ledger_writer import EMPTY, About, Ledger, Stored
from steps.register.arguments import parse
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions, ledgers
from tests.steps.register.support.deliveries import deliver, failure_reason
from tests.steps.register.support.register_environment import (
    EVIDENCE,
    REGION,
    RegisterEnvironment,
    random_name,
)

pytestmark = pytest.mark.environment
Entries = dict[str, bytes]


@pytest.fixture
def own(worker_environment: RegisterEnvironment) -> RegisterEnvironment:
    """The environment with an empty ledger that no other test uses."""
    return replace(worker_environment, ledger=f"ledger-{random_name()}")


def connected(environment: RegisterEnvironment) -> Ledger:
    signer = Signer(REGION, environment.key_arn)
    return Ledger(REGION, f"s3://{EVIDENCE}/{environment.ledger}", signer, signs={"registration"})


def append(ledger: Ledger, number: int, seen: Any = EMPTY) -> Stored:
    """Append the record with this number."""
    document = f"executions/{number}/register/record.json"
    return ledger.append(seen, About("registration", document, digest(number)), nothing)


def digest(number: int) -> str:
    return f"{number:064x}"


def nothing() -> None:
    """A guard that lets everything through."""


def put(environment: RegisterEnvironment, entry: str, content: bytes) -> None:
    key = f"{environment.ledger}/{entry}"
    environment.client("s3").put_object(Bucket=EVIDENCE, Key=key, Body=content)


def delete(environment: RegisterEnvironment, entry: str) -> None:
    key = f"{environment.ledger}/{entry}"
    environment.client("s3").delete_object(Bucket=EVIDENCE, Key=key)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9])
def test_the_head_is_the_last_entry(own: RegisterEnvironment, count: int) -> None:
    ledger = connected(own)
    made = [append(ledger, number) for number in range(1, count + 1)]
    expected = made[-1] if made else None
    for each in (connected(own), ledger):
        head = each.head()
        assert head.number == count
        assert head.sha256 == (expected.sha256 if expected else EMPTY.sha256)
    assert [entry.number for entry, _ in ledgers.entries(own)] == list(range(1, count + 1))


def test_an_entry_of_a_record_is_made_once(own: RegisterEnvironment) -> None:
    ledger = connected(own)
    seen = ledger.head()
    first = append(ledger, 1, seen)
    append(ledger, 2)
    assert append(connected(own), 1, seen) == first
    assert len(ledgers.entries(own)) == 2


def test_writers_at_the_same_time_leave_one_entry_each_and_no_gap(
    own: RegisterEnvironment,
) -> None:
    """Six threads append six records, each of them twice; every number is fought for."""
    seen, begin = connected(own).head(), threading.Barrier(6)
    failed: list[BaseException] = []

    def write(first: int) -> None:
        ledger = connected(own)
        begin.wait()
        try:
            for step in range(12):
                append(ledger, (first + step) % 6, seen)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    documents = [entry.document for entry, _ in ledgers.entries(own)]
    assert sorted(documents) == [f"executions/{number}/register/record.json" for number in range(6)]


def test_a_lost_answer_of_the_write_leaves_one_entry(
    own: RegisterEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Evidence.write_once
    lost: list[str] = []

    def then_lost(evidence: Evidence, uri: str, content: bytes) -> None:
        plain(evidence, uri, content)
        lost.append(uri)
        if len(lost) == 1:
            raise Conflict("as if the answer were lost and the write repeated")

    monkeypatch.setattr(Evidence, "write_once", then_lost)
    assert append(connected(own), 1).entry.number == 1
    assert len(lost) == len(ledgers.entries(own)) == 1


def shifted(entries: Entries, own: RegisterEnvironment) -> None:
    put(own, name(3), entries[name(2)])


def resigned(entries: Entries, own: RegisterEnvironment) -> None:
    """Entry 3 is replaced by one that follows another entry 2, and is signed by the worker's key.

    Entry 2 and the chain before it stay.
    """
    other = replace(own, ledger=f"ledger-{random_name()}")
    for number in (11, 12, 13):
        append(connected(other), number)
    put(own, name(3), ledgers.read(other, name(3)))


def changed_before_the_head(entries: Entries, own: RegisterEnvironment) -> None:
    """Entry 2 is replaced by another one of the same key."""
    other = replace(own, ledger=f"ledger-{random_name()}")
    for number in (11, 12):
        append(connected(other), number)
    put(own, name(2), ledgers.read(other, name(2)))


def gap(entries: Entries, own: RegisterEnvironment) -> None:
    delete(own, name(2))


def gap_at_the_beginning(entries: Entries, own: RegisterEnvironment) -> None:
    delete(own, name(1))


def beyond(entries: Entries, own: RegisterEnvironment) -> None:
    put(own, name(7), entries[name(3)])


def foreign(entries: Entries, own: RegisterEnvironment) -> None:
    put(own, "notes.txt", b"hello")


def no_json(entries: Entries, own: RegisterEnvironment) -> None:
    put(own, name(3), b"{")


CHANGES = (
    *(shifted, resigned, changed_before_the_head, gap, gap_at_the_beginning, beyond, foreign),
    no_json,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_ledger_stops_register_and_nothing_is_written(
    own: RegisterEnvironment, change: Callable[[Entries, RegisterEnvironment], None]
) -> None:
    for number in (1, 2, 3):
        append(connected(own), number)
    change({entry: ledgers.read(own, entry) for entry in ledgers.names(own)}, own)
    with pytest.raises(IntegrityError):
        connected(own).head()
    before = ledgers.names(own)
    execution = executions.new_execution(own)
    execution.send()
    worker = Worker(parse(execution.argv()), threading.Event())
    assert deliver(worker) is Fate.DELETE
    assert "ledger" in failure_reason(execution)
    assert execution.versions() == []
    assert ledgers.names(own) == before
    pages = own.client("s3").list_objects_v2(
        Bucket=EVIDENCE, Prefix=f"executions/{execution.id}/register/"
    )
    written = [item["Key"].split("/register/")[1] for item in pages["Contents"]]
    assert [key for key in written if not key.startswith("leases/")] == []


def test_a_ledger_that_lost_the_entry_a_record_names_takes_no_entry(
    own: RegisterEnvironment,
) -> None:
    ledger = connected(own)
    append(ledger, 1)
    seen = append(ledger, 2)
    head = ledger.head()
    assert (head.number, head.sha256) == (2, seen.sha256)
    delete(own, name(2))
    with pytest.raises(IntegrityError, match="is not the one that was seen before"):
        append(connected(own), 3, head)
    assert ledgers.names(own) == [name(1)]


def test_an_entry_of_the_record_with_another_digest_is_not_accepted(
    own: RegisterEnvironment,
) -> None:
    append(connected(own), 1)
    with pytest.raises(IntegrityError, match="is about another document"):
        connected(own).append(
            EMPTY, About("registration", "executions/1/register/record.json", digest(9)), nothing
        )
