"""Fill an empty workspace as an administrator would: by `pipeline.bootstrap`, and the raw table.

All calls use the Databricks SDK and boto3, so the same steps work in a real account. Objects that
exist are not created again: seeding twice changes nothing, and other filings become a new version
of the raw table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors.base import DatabricksError

from pipeline.bootstrap import identities
from pipeline.bootstrap import workspace as databricks
from pipeline.bootstrap.change import Change
from pipeline.configuration.config import Config
from pipeline.errors import PipelineError
from pipeline.local.setup import raw_table
from pipeline.local.setup.filings import Filings

ACCOUNT = "local"  # in place of the Databricks account's id


@dataclass(frozen=True)
class Seeded:
    """The result of seeding: application ids by principal, and the raw table's version.

    `kept_others`: that version has filings of an earlier `--filings`, not the small corpus.
    """

    application_ids: dict[str, str]
    raw_version: int
    kept_others: bool = False


def seed(
    admin: WorkspaceClient,
    config: Config,
    *,
    filings: Filings,
    aws: Mapping[str, str],
) -> Seeded:
    """Create what does not exist yet, and load the filings that a user gave, or the default ones
    into an empty table.

    Args:
        admin: a metastore admin's client.
        config: has the account, the buckets and the principals' application ids.
        filings: the raw table's rows, and whether a user gave them.
        aws: AWS_REGION and AWS_ENDPOINT_URL, the endpoint of S3.
    """
    application_ids = {str(name): each for name, each in config.databricks.client_ids.items()}
    make(databricks.credential(admin, config, lambda role: None))
    make(databricks.storage(admin, config))
    make(databricks.catalogs(admin, config))
    make(databricks.group(admin, config))
    make(databricks.grants(admin, config))
    make(databricks.own_grants(admin, config))
    location = f"s3://{config.storage.governed_bucket}/raw/filings"
    version, kept_others = raw_table.loaded(admin, location, filings, aws=aws)
    return Seeded(application_ids, version, kept_others)


def principals(admin: WorkspaceClient, secrets: Any, environment: str) -> dict[str, str]:
    """Return the service principals' application ids by name; create missing principals and
    secrets.
    """
    make(identities.principals(admin, environment))
    make(identities.secrets(admin, secrets, environment, account=ACCOUNT))
    return {name: ids[1] for name, ids in identities.existing(admin, environment).items()}


def make(changes: Iterator[Change]) -> None:
    """Make every change.

    Raises:
        PipelineError: the workspace refused one, as a workspace of an older version may do.
    """
    for change in changes:
        if change.make is None:
            continue
        try:
            change.make()
        except DatabricksError as error:
            message = (
                f"{change.what} could not be made in the workspace: {error}\n"
                "  do        if an older version made the folder of the state, remove it or give "
                "another one with --state"
            )
            raise PipelineError(message) from error
