"""What is signed of a record after it was written: its statement, and its entry in the ledger.

    signing = Signing.connected(region, key_arn=…, ledger_uri=…)
    entry = signing.complete(evidence, folder, record, guard)

Both are safe to repeat. A stop after the record completes them too, so a record never stays without
signature and entry.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from steps.governance.documents.envelope import IN_TOTO
from steps.governance.documents.record import Record
from steps.governance.evidence import Evidence
from steps.governance.files import split_s3_uri
from steps.governance.signing import provenance
from steps.governance.signing.kms_signer import Signer
from steps.governance.signing.ledger_writer import About, Ledger, Stored
from steps.governance.signing.signed_document import write_signed


@dataclass(frozen=True)
class Signing:
    """The key of this worker, and the ledger that it appends to."""

    signer: Signer
    ledger: Ledger

    @classmethod
    def connected(cls, region: str, *, key_arn: str, ledger_uri: str) -> Self:
        """Get the public key, so that a wrong key fails before any work.

        Raises:
            NotFound: the key does not exist.
            AccessDenied: this role may not use it.
            UsageError: it is a key of another kind.
        """
        signer = Signer(region, key_arn)
        _ = signer.public_key
        return cls(signer, Ledger(region, ledger_uri, signer, signs={"registration"}))

    def complete(
        self, evidence: Evidence, folder: str, record: Record, guard: Callable[[], None]
    ) -> Stored | None:
        """Sign the record and append it to the ledger unless that was done before.

        A record of version 1 has neither signature nor entry: the answer is None.

        Raises:
            IntegrityError: the ledger was changed, or a signature is not ours.
            Conflict: another statement is signed there.
        """
        if record.ledger is None:
            return None
        guard()
        write_signed(
            evidence,
            f"{folder}/record.dsse.json",
            payload=provenance.statement(record),
            payload_type=IN_TOTO,
            signer=self.signer,
        )
        _, document = split_s3_uri(f"{folder}/record.json")
        return self.ledger.append(
            record.ledger, About("registration", document, record.sha256), guard
        )
