"""Where an environment is: the account, the workspace, the buckets, and the pipeline's name."""

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.configuration import fields
from pipeline.configuration.sections.strictness import STRICT

Principal = Literal[
    "prepare", "train", "register", "scientist", "auditor", "approver", "reconciler"
]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Aws:
    """The account and region of every resource of this environment."""

    account_id: fields.AccountId
    region: fields.Region


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PipelineSection:
    """The pipeline itself."""

    name: fields.PipelineName
    role_arn: fields.RoleArn
    tags: fields.Tags


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Databricks:
    """The workspace whose Unity Catalog governs the data, and how its principals sign in."""

    host: fields.Host
    identity: Literal["secret", "federated"] = Field("secret", description="secret or federated")
    client_ids: dict[Principal, fields.ClientId] = Field(
        default_factory=dict, description="application ids by principal"
    )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Storage:
    """The three buckets (docs/architecture.md, "Buckets")."""

    governed_bucket: fields.Bucket  # only Unity Catalog's storage role gets in
    evidence_bucket: fields.Bucket  # versioned, create-only: manifests and records
    artifact_bucket: fields.Bucket  # model archives, checkpoints, mirrored base models
