"""The section `evidence`."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.configuration import fields
from pipeline.configuration.sections.strictness import STRICT

_Days = Annotated[int, Field(ge=1, le=36_500, description="whole days, 1 … 36500")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Evidence:
    """Who signs evidence, who approves, and how long things are kept."""

    signing_key_arn: fields.SigningKeyArn  # of records and registrations: only `register` signs
    signing_public_key: fields.PublicKey  # pinned; what a verifier trusts
    approval_key_arn: fields.SigningKeyArn  # of approvals: only `approver` signs
    approval_public_key: fields.PublicKey
    approvers_group: fields.GroupName  # of the workspace; only a member approves
    # With the Databricks identities that `approve`, `audit`, `reconcile` and `trace` run as
    approver_secret_id: fields.SecretId
    auditor_secret_id: fields.SecretId
    reconciler_secret_id: fields.SecretId
    scientist_secret_id: fields.SecretId
    approval_tag: fields.TagName  # of a version; a deployment job waits for it
    retention_days: _Days  # for so long the files of a raw table's version are kept
    object_lock_days: _Days  # EvidenceLockDays of the stack
    data_events: bool = Field(True, description="true or false")  # DataEvents of the stack
