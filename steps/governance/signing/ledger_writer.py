"""Append to the ledger: one signed entry for each record and decision, in a chain without gaps.

    ledger = Ledger(region, "s3://…/ledger", signer, signs={"registration"})
    head = ledger.head()                                   # before the document is written
    entry = ledger.append(head, About("registration", record_key, record_sha256), guard)

An entry is created with `If-None-Match` under the number after the last one, so of two writers one
succeeds, and the other reads that entry and continues. The search begins at a head from before the
document was written, so a repeated call finds the entry that an earlier one made. Crashes and
duplicates therefore leave one entry for each document, and no number is left out.

The head's own link and the numbers around it are checked here. The whole chain is `audit`'s work.
"""

from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from steps.governance import aws
from steps.governance.documents import canonical
from steps.governance.documents.envelope import Envelope
from steps.governance.documents.ledger import FIRST_PREVIOUS, PAYLOAD_TYPE, Entry, Kind, name
from steps.governance.documents.record import LedgerHead
from steps.governance.errors import Conflict, IntegrityError, NotFound, Unavailable
from steps.governance.evidence import Evidence
from steps.governance.files import split_s3_uri
from steps.governance.signing.kms_signer import Signer

EMPTY = LedgerHead(number=0, sha256=FIRST_PREVIOUS)
_MOST = 10**12 - 1  # what 12 digits count to
_WINDOW, _LISTED = 50, 1000  # numbers before the last one that are listed again; names in a list
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


@dataclass(frozen=True)
class About:
    """What an entry is about: the S3 key of a document, and the sha256 of its stored bytes."""

    kind: Kind
    document: str
    sha256: str


class Ledger:
    """The entries below one folder of the evidence bucket.

    `signs` has the kinds of entry that this process signs. It knows no other key, so it checks the
    signatures of these kinds only; `audit` checks all.
    """

    def __init__(self, region: str, uri: str, signer: Signer, *, signs: Set[Kind]) -> None:
        self._s3, self._evidence = aws.client("s3", region), Evidence(region)
        self._uri, self._signer, self._signs = uri, signer, signs
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

    def after(self, seen: LedgerHead) -> Iterator[Stored]:
        """Yield the entries after `seen`, in their order.

        Raises:
            IntegrityError: the ledger was changed: it no longer has `seen`, or an entry does not
                follow the one before it.
        """
        self._check_seen(seen)
        number, previous = seen.number + 1, seen.sha256
        while True:
            try:
                stored = self._linked(number, previous)
            except NotFound:
                return
            yield stored
            number, previous = number + 1, stored.sha256

    def append(self, seen: LedgerHead, about: About, guard: Callable[[], None]) -> Stored:
        """Return the entry of a document; create it unless there is one after `seen`.

        Raises:
            IntegrityError: the ledger was changed: it no longer has `seen`, or an entry does not
                follow the one before it, or the document's entry has another digest or kind.
        """
        self._check_seen(seen)
        number, previous = seen.number + 1, seen.sha256
        while True:
            stored = self._entry_or_new(number, previous, about, guard)
            if stored.entry.document == about.document:
                return self._of(stored, about)
            number, previous = number + 1, stored.sha256

    def _entry_or_new(
        self, number: int, previous: str, about: About, guard: Callable[[], None]
    ) -> Stored:
        """Return the entry with this number; create it for the document if it is missing."""
        for _ in range(_TRIES):
            with suppress(NotFound):
                return self._linked(number, previous)
            guard()
            entry = Entry(
                number=number,
                previous_sha256=previous,
                kind=about.kind,
                document=about.document,
                document_sha256=about.sha256,
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
        """Return an entry; one of a kind that this process signs has its signature."""
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
        if entry.kind in self._signs:
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
                f"entry {seen.number} of the ledger is not the one that was seen before",
                expected=seen.sha256,
                got=found,
            )

    def _of(self, stored: Stored, about: About) -> Stored:
        found = About(stored.entry.kind, stored.entry.document, stored.entry.document_sha256)
        if found != about:
            raise _forked(
                f"entry {stored.entry.number} of the ledger is about another document",
                expected=f"{about.kind} {about.sha256}",
                got=f"{found.kind} {found.sha256}",
            )
        self._seen = max(self._seen, stored.entry.number)
        return stored

    def _last_number(self) -> int:
        """Return the largest number: by one list, or by steps that double, then halves."""
        if self._seen and len(listed := self._window(self._seen)) < _LISTED:
            return self._check_numbers(self._seen, listed)
        low, step = self._seen, 1
        while self._names_after(low + step - 1, limit=1):
            low, step = low + step, step * 2
            if low + step > _MOST:
                self._check_numbers(
                    self._seen, self._window(self._seen)
                )  # a name after all numbers
        high = low + step  # nothing after high - 1, so the largest is below high
        while high - low > 1:
            middle = (low + high) // 2
            if self._names_after(middle - 1, limit=1):
                low = middle
            else:
                high = middle
        return self._check_numbers(low, self._window(low))

    def _window(self, last: int) -> list[str]:
        """Return the names from 50 numbers before `last` on, 1,000 at most."""
        return self._names_after(last - _WINDOW if last > _WINDOW else -1, limit=_LISTED)

    def _check_numbers(self, last: int, listed: list[str]) -> int:
        """Check that the last numbers (50 at most) are all there, and nothing else is.

        Another writer may have appended meanwhile, so the last listed number is returned.
        """
        first = max(0, last - _WINDOW)
        expected = [name(number) for number in range(first + 1, first + 1 + len(listed))]
        if listed != expected or len(listed) < last - first:
            missing = sorted(set(expected) ^ set(listed)) or [name(first + len(listed) + 1)]
            raise _forked(
                f"the ledger at {self._uri} has a gap, or a file that is not an entry",
                expected=f"entries from {first + 1} on, one after the other",
                got=f"missing or unknown: {', '.join(missing[:3])}",
            )
        return first + len(listed)

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
