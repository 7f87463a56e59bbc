"""The record as an in-toto Statement v1 with SLSA provenance v1.

If `record.dsse.json` is stored, its payload is the statement, byte for byte. For a record without
one (version 1), the statement is composed in the same way; nobody signed it.
"""

from steps.governance.signing import provenance
from steps.trace.record_evidence import RecordEvidence


def project(evidence: RecordEvidence) -> bytes:
    """Return the signed statement, or the one composed from the record."""
    if evidence.envelope is not None:
        return evidence.envelope.content + b"\n"
    return provenance.statement(evidence.record) + b"\n"
