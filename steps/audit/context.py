"""What all checks of one audit share: settings, services, pinned keys, evidence and the ledger.

    context = Context(arguments, services)
    context.ledger.entries         # read once

Documents are parsed with the schemas of `steps.governance`; no code of the writers is used.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import TypeVar, cast

from steps.audit.arguments import Arguments
from steps.audit.ledger import Ledger, read_ledger
from steps.audit.services.catalog import Registry
from steps.audit.services.jobs import Jobs
from steps.audit.services.packages import Packages
from steps.audit.services.store import Store, Stored
from steps.audit.signature import PublicKey
from steps.governance.files import split_s3_uri
from steps.governance.names import execution_id
from steps.governance.unity_catalog.credentials import utc_now

_T = TypeVar("_T")
_R = TypeVar("_R")
READERS = 16  # threads: small documents wait for the network
HASHERS = 2  # threads: hashing large files needs a core each


@dataclass(frozen=True)
class Services:
    """The services that answer an audit; `packages` if conf names a group of them."""

    store: Store
    jobs: Jobs
    registry: Registry
    packages: Packages | None = None


class Context:
    """The shared state of one audit. The caller reads `ledger` and `evidence` before threads."""

    def __init__(
        self,
        arguments: Arguments,
        services: Services,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.arguments, self.services, self.now = arguments, services, now
        self.signing = PublicKey.of(arguments.signing_public_key)
        self.approval = PublicKey.of(arguments.approval_public_key)
        self.bucket, self.executions = split_s3_uri(arguments.evidence_uri)
        self._lock = Lock()
        self._locks: dict[tuple[str, str], Lock] = {}
        self._done: dict[tuple[str, str], object] = {}

    def uri(self, key: str) -> str:
        """Return the URI of a key in the evidence bucket."""
        return f"s3://{self.bucket}/{key}"

    def folder(self, execution_arn: str) -> str:
        """Return the key of an execution's folder, without a slash at its end."""
        return f"{self.executions}/{execution_id(execution_arn)}"

    @cached_property
    def evidence(self) -> dict[str, Stored]:
        """Every key of the evidence bucket with its versions."""
        return self.services.store.versions(self.bucket, "")

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger as it is stored."""
        return read_ledger(self)

    def once(self, what: str, uri: str, work: Callable[[], _R]) -> _R:
        """Return the work's result on an object; many records share raw files and base model.

        Other threads that ask for the same wait for the first one. An error is not kept.
        """
        key = (what, uri)
        with self._lock:
            own = self._locks.setdefault(key, Lock())
        with own:
            if key not in self._done:
                self._done[key] = work()
            return cast(_R, self._done[key])

    def document(self, key: str) -> bytes:
        """Return an evidence document's bytes; several checks of one audit read it once.

        It is for records and approvals, which are small. Evidence is written once, so all checks of
        one audit see the same bytes.
        """
        uri = self.uri(key)
        return self.once("read", uri, lambda: self.services.store.read(uri))

    def each(self, work: Callable[[_T], _R], items: list[_T], threads: int = READERS) -> list[_R]:
        """Return the work's result for each item, in their order; items run in threads."""
        if len(items) < 2:
            return [work(item) for item in items]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(work, items))
