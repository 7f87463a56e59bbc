"""The schema of an approval: who lets an alias point to a model version, when, why, and of which
record.

`<evidence>/approvals/<model>/<version>/<number>.json` is a DSSE envelope of an `Approval`, signed
with the approvers' key and written before the alias moves. Numbers count from 1 in each version.
"""

from typing import Annotated, Literal

from pydantic import Field

from steps.governance.documents.document import Manifest, Sha256

PAYLOAD_TYPE = "application/vnd.governed-finetune.approval+json"


class Approval(Manifest):
    """An approval, or its revocation.

    `approver` is the Databricks user or service principal, `aws` the AWS session that signed.
    `replaced_version` is the version that had the alias before; None: none had it.
    """

    schema_: Literal["governed-finetune/approval/2"] = Field(
        default="governed-finetune/approval/2", alias="schema"
    )
    action: Literal["approve", "revoke"]
    model: str
    version: Annotated[int, Field(ge=1)]
    alias: str
    record: str  # the S3 key in the evidence bucket
    record_sha256: Sha256
    approver: str
    aws: str
    group: str
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    decided_at: str
    replaced_version: Annotated[int, Field(ge=1)] | None = None
