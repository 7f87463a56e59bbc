"""One record with the documents that it refers to, parsed: what a projection reads.

    content = formats.project("slsa", evidence)     # evidence: RecordEvidence

`record_bytes` are the stored bytes, for digests: a document of version 1 has other canonical bytes
once it is written again by a later schema.
"""

from dataclasses import dataclass

from steps.governance.documents.envelope import Envelope
from steps.governance.documents.manifest import Prepared, Trained
from steps.governance.documents.record import Record


@dataclass(frozen=True)
class FilingsSummary:
    """Counts of the membership file: filings that gave examples, their companies, the examples.

    A filing that gave examples to both splits is in `filings_train` and in `filings_eval`.
    """

    filings: int
    companies: int
    filings_train: int
    filings_eval: int
    examples_train: int
    examples_eval: int


@dataclass(frozen=True)
class RecordEvidence:
    """A record, both manifests, the signed statement, and a summary of the membership file.

    `record_uri` is the S3 URI of `record.json`. `envelope` is None if no `record.dsse.json` is
    stored, as for records of version 1. `filings` is None if the record names no membership file,
    which version 1 did not record.
    """

    record: Record
    prepared: Prepared
    trained: Trained
    record_uri: str
    record_bytes: bytes
    envelope: Envelope | None
    filings: FilingsSummary | None
