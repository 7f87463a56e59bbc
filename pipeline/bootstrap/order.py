"""The parts of an environment in the order in which they are made, each with whom to ask.

The storage credential is first: the role that it names trusts an external id, which the workspace
gives. The images are pushed between the layer that has their repositories and the one that runs
them.
"""

from functools import partial
from typing import Any

from pipeline.bootstrap import identities, layers, owners, workspace
from pipeline.bootstrap.change import Part
from pipeline.bootstrap.site import Site

_AWS = (
    "an administrator of the AWS account: cloudformation:*, and what the layer makes (iam, s3, "
    "kms, secretsmanager, ecr, ec2, emr-serverless, sqs, lambda, ecs, logs, sns, events, "
    "cloudwatch, cloudtrail)"
)
_SECRETS = "who may write the secrets <prefix>/databricks/… in AWS and manage service principals"
_METASTORE = (
    "a metastore admin, or for CREATE STORAGE CREDENTIAL, CREATE EXTERNAL LOCATION and "
    "CREATE CATALOG"
)
_WORKSPACE = "a workspace admin: service principals, groups and experiments"
_OWNER = "who owns the securable or has MANAGE on it, such as a metastore admin"
_FILES = "who has the role …-mirror, or may write base-models/ in the artifacts bucket"

_LEARNED = ("DatabricksExternalId", "DatabricksPrincipalArn")  # of the storage credential


def parts(site: Site) -> list[Part]:
    """Return every part of an environment."""
    config = site.config
    stacks = layers.Stacks(
        site.client("cloudformation"), config, site.given(), promised={*_LEARNED}
    )
    learn = partial(_learn, stacks)
    chosen = layers.chosen(config)
    late = ("compute", "watch")
    early = [name for name in chosen if name not in late]
    name = config.environment
    return [
        Part(
            "the storage credential",
            _METASTORE,
            lambda: workspace.credential(site.admin(), config, learn),
        ),
        *(Part(f"layer {each}", _AWS, partial(layers.changes, stacks, each)) for each in early),
        Part("the images", _AWS, site.images),
        *(Part(f"layer {each}", _AWS, partial(layers.changes, stacks, each)) for each in late),
        Part("the values of conf", _AWS, lambda: site.learned(stacks.outputs)),
        Part("the principals", _WORKSPACE, lambda: identities.principals(site.admin(), name)),
        Part("the principals' sign-in", _SECRETS, site.sign_in),
        Part("the principals' ids", _WORKSPACE, site.client_ids),
        Part("the locations", _METASTORE, lambda: workspace.storage(site.admin(), config)),
        Part("the catalogs", _METASTORE, lambda: workspace.catalogs(site.admin(), config)),
        Part("the approvers", _WORKSPACE, lambda: workspace.group(site.admin(), config)),
        Part("the grants", _OWNER, lambda: workspace.grants(site.admin(), config)),
        Part("the owners", _OWNER, lambda: owners.changes(site.admin(), config)),
        Part("the base model", _FILES, site.mirror),
        Part("the raw table", _OWNER, site.raw_table),
        Part("the processes", _WORKSPACE, site.processes),
        Part("the experiment", _WORKSPACE, site.experiment),
    ]


def _learn(stacks: layers.Stacks, role: Any) -> None:
    """Take what the role of the storage credential has to trust."""
    values = (str(role.external_id), str(role.unity_catalog_iam_arn))
    stacks.outputs |= dict(zip(_LEARNED, values, strict=True))
