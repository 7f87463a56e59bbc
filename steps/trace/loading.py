"""Load one record with its manifests, envelope and filings, each checked against the record.

    evidence = load(store, row)      # RecordEvidence; row: the index's row of the record

A projection is made of stored bytes, never of the index.
"""

import hashlib
from typing import Any

import pyarrow.compute as pc

from steps.governance.documents import membership
from steps.governance.documents.envelope import Envelope
from steps.governance.documents.manifest import Prepared, Trained
from steps.governance.documents.record import Record
from steps.governance.errors import IntegrityError, NotFound
from steps.trace.index.rows import Row
from steps.trace.record_evidence import FilingsSummary, RecordEvidence
from steps.trace.store import Store


def load(store: Store, row: Row) -> RecordEvidence:
    """Return the evidence of one record.

    Raises:
        IntegrityError: a document differs from the digest that refers to it.
        NotFound: a document does not exist.
        AccessDenied: it may not be read.
    """
    folder = f"executions/{row.execution}"
    content = _checked(store, row.key, row.sha256)
    record = Record.from_bytes(content, origin=f"{store.root}/{row.key}")
    prepare_key = f"{folder}/prepare/manifest.json"
    job = record.train.job_arn.rsplit("/", 1)[-1]
    train_key = f"{folder}/train/{job}/manifest.json"
    prepared = _checked(store, prepare_key, record.prepare.manifest_sha256)
    trained = _checked(store, train_key, record.train.manifest_sha256)
    return RecordEvidence(
        record=record,
        prepared=Prepared.from_bytes(prepared, origin=f"{store.root}/{prepare_key}"),
        trained=Trained.from_bytes(trained, origin=f"{store.root}/{train_key}"),
        record_uri=f"{store.root}/{row.key}",
        record_bytes=content,
        envelope=_envelope(store, f"{folder}/register/record.dsse.json"),
        filings=_filings(store, f"{folder}/prepare", record),
    )


def _checked(store: Store, key: str, sha256: str) -> bytes:
    content = store.read(key)
    got = hashlib.sha256(content).hexdigest()
    if got != sha256:
        raise IntegrityError(
            f"{store.root}/{key} differs from the document that refers to it",
            expected=f"sha256 {sha256}",
            got=f"sha256 {got}",
            do="python -m pipeline.audit names what differs",
        )
    return content


def _envelope(store: Store, key: str) -> Envelope | None:
    try:
        content = store.read(key)
    except NotFound:
        return None
    return Envelope.from_bytes(content, origin=f"{store.root}/{key}")


def _filings(store: Store, folder: str, record: Record) -> FilingsSummary | None:
    if record.membership is None:
        return None
    key = f"{folder}/{record.membership.path}"
    content = _checked(store, key, record.membership.sha256)
    table = membership.read(content, origin=f"{store.root}/{key}")
    train, evaluation = table.column("examples_train"), table.column("examples_eval")
    return FilingsSummary(
        filings=len(table),
        companies=len(pc.unique(table.column("cik"))),
        filings_train=_positive(train),
        filings_eval=_positive(evaluation),
        examples_train=_sum(train),
        examples_eval=_sum(evaluation),
    )


def _positive(column: Any) -> int:
    return _sum(pc.greater(column, 0))


def _sum(column: Any) -> int:
    return int(pc.sum(column).as_py() or 0)
