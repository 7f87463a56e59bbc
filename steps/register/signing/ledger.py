"""The append-only ledger: one signed entry for each record, in a chain without gaps.

    ledger = Ledger(region, "s3://…/ledger", signer)
    head = ledger.head()                                   # before the record is written
    entry = ledger.append(head, record_key, record_sha256, guard)

An entry is created with `If-None-Match` under the number after the last one, so of two writers one
succeeds, and the other reads that entry and tries the next number. The search begins at the head
that the record names, so a repeated delivery finds the entry that an earlier one made. Crashes and
duplicates therefore leave one entry for each record, and no number is left out.

The head's own link and the numbers around it are checked here. The whole chain is `audit`'s work.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from steps.governance import canonical
from steps.governance.envelope import Envelope
from steps.governance.errors import Conflict, IntegrityError, NotFound, Unavailable
from steps.governance.evidence import Evidence
from steps.governance.files import split_s3_uri
from steps.governance.ledger import FIRST_PREVIOUS, PAYLOAD_TYPE, Entry, name
from steps.governance.record import LedgerHead
from steps.register import aws
from steps.register.signing.kms_signer import Signer

EMPTY = LedgerHead(number=0, sha256=FIRST_PREVIOUS)
_MOST = 10**12 - 1  # what 12 digits count to
_WINDOW = 900  # numbers before the last one that are listed again; a list has 1,000
_TRIES = 20  # for one number, if S3 answers that somebody else is writing it and nothing is there


@dataclass(frozen=True)
class Stored:
    """An entry, and the sha256 of its stored bytes."""

    entry: Entry
    sha256: str

    @property
    def tag(self) -> str:
        """The value of the model version's tag: `<number>:<sha256>`."""
        return f"{self.entry.number}:{self.sha256}"


class Ledger:
    """The entries below one folder of the evidence bucket."""

    def __init__(self, region: str, uri: str, signer: Signer) -> None:
        self._s3, self._evidence = aws.client("s3", region), Evidence(region)
        self._uri, self._signer = uri, signer
        self._seen = 0  # a number that exists; the search for the head begins there

    def head(self) -> LedgerHead:
        """Return the last entry's number and sha256; number 0 if the ledger is empty.

        Raises:
            IntegrityError: the last entry does not follow the one before it, or a number near the
                end is missing, or something else is in the folder.
        """
        number = self._last_number()
        if number == 0:
            return EMPTY
        before = self._read(number - 1).sha256 if number > 1 else FIRST_PREVIOUS
        last = self._linked(number, before)
        self._seen = number
        return LedgerHead(number=number, sha256=last.sha256)

    def append(
        self, seen: LedgerHead, document: str, document_sha256: str, guard: Callable[[], None]
    ) -> Stored:
        """Return the entry of a record; create it unless there is one after `seen`.

        Raises:
            IntegrityError: the ledger was changed: it no longer has `seen`, or an entry does not
                follow the one before it, or the record's entry has another digest.
        """
        self._check_seen(seen)
        number, previous = seen.number + 1, seen.sha256
        while True:
            stored = self._entry_or_new(number, previous, (document, document_sha256), guard)
            if stored.entry.document == document:
                return self._of(stored, document_sha256)
            number, previous = number + 1, stored.sha256

    def _entry_or_new(
        self, number: int, previous: str, document: tuple[str, str], guard: Callable[[], None]
    ) -> Stored:
        """Return the entry with this number; or create it for the document."""
        for _ in range(_TRIES):
            with suppress(NotFound):
                return self._linked(number, previous)
            guard()
            entry = Entry(
                number=number,
                previous_sha256=previous,
                kind="registration",
                document=document[0],
                document_sha256=document[1],
                appended_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            )
            envelope = self._signer.envelope(entry.to_bytes(), PAYLOAD_TYPE)
            with suppress(Conflict, NotFound):  # another writer has the number, or is writing it
                self._evidence.write_once(self._entry_uri(number), envelope.to_bytes())
        raise Unavailable(
            f"entry {number} of the ledger could neither be written nor read",
            do="run again when S3 answers",
        )

    def _linked(self, number: int, previous: str) -> Stored:
        """Return an entry that follows the one whose sha256 is given."""
        stored = self._read(number)
        if stored.entry.previous_sha256 != previous:
            raise _forked(
                f"entry {number} of the ledger does not follow entry {number - 1}",
                expected=f"previous_sha256 {previous}",
                got=stored.entry.previous_sha256,
            )
        return stored

    def _read(self, number: int) -> Stored:
        """Return an entry; one of a registration is signed by our key.

        Approvals have another key, which this worker does not know: `audit` checks them.
        """
        uri = self._entry_uri(number)
        content = self._evidence.read(uri)
        envelope = Envelope.from_bytes(content, origin=uri)
        entry = Entry.from_bytes(envelope.content, origin=uri)
        found = (envelope.payload_type, entry.number)
        if found != (PAYLOAD_TYPE, number):
            raise _forked(
                f"{uri} is not an entry of this place",
                expected=f"{PAYLOAD_TYPE}, number {number}",
                got=f"{found[0]}, number {found[1]}",
            )
        if entry.kind == "registration":
            self._signer.verify(envelope, origin=uri)
        return Stored(entry, canonical.sha256(content))

    def _check_seen(self, seen: LedgerHead) -> None:
        if seen == EMPTY:
            return
        try:
            found = self._read(seen.number).sha256
        except NotFound:
            found = "nothing"
        if found != seen.sha256:
            raise _forked(
                f"entry {seen.number} of the ledger is not the one that the record names",
                expected=seen.sha256,
                got=found,
            )

    def _of(self, stored: Stored, document_sha256: str) -> Stored:
        if stored.entry.document_sha256 != document_sha256:
            raise _forked(
                f"entry {stored.entry.number} of the ledger is about another record",
                expected=document_sha256,
                got=stored.entry.document_sha256,
            )
        self._seen = max(self._seen, stored.entry.number)
        return stored

    def _last_number(self) -> int:
        """Return the largest number, found in few lists: steps that double, then halves."""
        low, step = self._seen, 1
        while self._names_after(low + step - 1, limit=1):
            low, step = low + step, step * 2
            if low + step > _MOST:
                self._check_numbers(self._seen)  # a file whose name sorts after every number
        high = low + step  # nothing after high - 1, so the largest is below high
        while high - low > 1:
            middle = (low + high) // 2
            if self._names_after(middle - 1, limit=1):
                low = middle
            else:
                high = middle
        return self._check_numbers(low)

    def _check_numbers(self, last: int) -> int:
        """Check that the last numbers (900 at most) are all there, and nothing else is.

        Another writer may have appended meanwhile, so it returns the last number that is listed.
        """
        first = max(0, last - _WINDOW)
        found = self._names_after(first, limit=1000) if first else self._names_after(-1, limit=1000)
        expected = [name(number) for number in range(first + 1, first + 1 + len(found))]
        if found != expected or len(found) < last - first:
            missing = sorted(set(expected) ^ set(found)) or [name(first + len(found) + 1)]
            raise _forked(
                f"the ledger at {self._uri} has a gap, or a file that is not an entry",
                expected=f"entries from {first + 1} on, one after the other",
                got=f"missing or unknown: {', '.join(missing[:3])}",
            )
        return first + len(found)

    def _names_after(self, number: int, *, limit: int) -> list[str]:
        """Return the names of the files after entry `number`; -1 means all of the folder."""
        bucket, prefix = split_s3_uri(f"{self._uri}/")
        after = {"StartAfter": f"{prefix}{name(number)}"} if number >= 0 else {}
        with aws.translated(f"list {self._uri}"):
            answer = self._s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=limit, **after)
        return [item["Key"].removeprefix(prefix) for item in answer.get("Contents", [])]

    def _entry_uri(self, number: int) -> str:
        return f"{self._uri}/{name(number)}"


def _forked(what: str, *, expected: str, got: str) -> IntegrityError:
    return IntegrityError(
        what,
        expected=expected,
        got=got,
        do="run `python -m pipeline.audit --all`; the ledger is never repaired by writing to it",
    )
