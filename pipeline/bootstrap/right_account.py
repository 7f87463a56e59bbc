"""Whether the caller's credentials are of the account in conf.

right_account.refuse_other(config, client)
"""

from collections.abc import Callable
from typing import Any

from pipeline import account
from pipeline.configuration import config as configuration
from pipeline.configuration.config import Config
from pipeline.deployment import placeholders
from pipeline.errors import ConfigError, Refused


def refuse_other(config: Config, client: Callable[[str], Any]) -> None:
    """Refuse before anything is read or changed: each account of a bank may have all the names.

    Raises:
        ConfigError: the account or the workspace's host is a placeholder.
        Refused: the credentials are of another account, or AWS refused them.
    """
    file = f"conf/{config.environment}.yaml"
    faults = placeholders.faults(configuration.tree(config), environment=config.environment)
    if invented := [each for each in faults if each[0] in ("aws.account_id", "databricks.host")]:
        raise ConfigError(file, invented)
    with account.answering("GetCallerIdentity", config):
        caller = client("sts").get_caller_identity()
    if caller["Account"] != config.aws.account_id:
        raise Refused(
            f"{file} is for account {config.aws.account_id}, but the credentials are of account "
            f"{caller['Account']} ({caller['Arn']})\n  do        set $AWS_PROFILE, or sign in to "
            "the right one"
        )
