"""The schema of the ledger: one signed entry for each record, approval and revocation.

`<evidence>/ledger/000000000007.json` is a DSSE envelope of an `Entry`. Entry 7 has the sha256 of
the stored bytes of entry 6, so a missing, replaced or reordered entry shows. The signature shows a
chain that somebody computed again. Entries are created with `If-None-Match`, numbered without gaps.
"""

from typing import Annotated, Literal

from pydantic import Field

from steps.governance.documents.document import Manifest, Sha256

PAYLOAD_TYPE = "application/vnd.governed-finetune.ledger+json"
FIRST_PREVIOUS = "0" * 64  # the `previous_sha256` of entry 1
_DIGITS = 12

Kind = Literal["registration", "approval", "revocation"]


class Entry(Manifest):
    """One entry: which document it is about, and its place in the chain.

    `document` is the S3 key in the evidence bucket of a record or of an approval's envelope, and
    `document_sha256` the sha256 of its stored bytes. `appended_at` is RFC 3339 in UTC.
    """

    schema_: Literal["governed-finetune/ledger/2"] = Field(
        default="governed-finetune/ledger/2", alias="schema"
    )
    number: Annotated[int, Field(ge=1)]
    previous_sha256: Sha256
    kind: Kind
    document: str
    document_sha256: Sha256
    appended_at: str


def name(number: int) -> str:
    """Return an entry's file name: 12 digits, so that S3 lists entries in their order."""
    return f"{number:0{_DIGITS}d}.json"
