"""An alias of a pipeline: a name, such as `prod`, that points to one deployed version.

    moved = aliases.move(config, client, arn, "prod")      # to the newest version

The alias is taken from its old version before the new one gets it, because a version may have two
aliases and an alias may not have two versions [unverified]. A crash between the two leaves no
version with the alias: `run --alias` is refused until the upsert is repeated. Both calls can be.
"""

import re
from dataclasses import dataclass
from typing import Any

from pipeline import account
from pipeline.configuration.config import Config
from pipeline.errors import Refused, UsageError

_ALIAS = re.compile(r"[a-zA-Z0-9._-]{1,128}")  # botocore 1.44.5: PipelineVersionAlias


@dataclass(frozen=True)
class Moved:
    """Where an alias points, and where it pointed."""

    alias: str
    version: int
    before: int | None


def checked(alias: str) -> str:
    """Return an alias that has the service's form.

    Raises:
        UsageError: it does not.
    """
    if not _ALIAS.fullmatch(alias):
        raise UsageError(f"expected --alias of letters, digits, '.', '_' and '-', got {alias!r}")
    return alias


def move(config: Config, client: Any, arn: str, alias: str) -> Moved:
    """Let the alias point to the newest version of the pipeline.

    Raises:
        Refused: AWS refused.
    """
    with account.answering(f"ListPipelineVersions {config.pipeline.name}", config):
        versions = _versions(client, config.pipeline.name)
    if not versions:
        raise Refused(f"{config.pipeline.name} has no version; run upsert again")
    newest = max(each["PipelineVersionId"] for each in versions)
    holding = [
        each["PipelineVersionId"]
        for each in versions
        if alias in each.get("PipelineVersionAliases", ())
    ]
    with account.answering(f"UpdatePipelineVersion {config.pipeline.name}", config):
        for old in holding:
            if old != newest:
                _change(client, arn, old, Remove=[alias])
        if newest not in holding:
            _change(client, arn, newest, Add=[alias])
    return Moved(alias, newest, next(iter(holding), None))


def _change(client: Any, arn: str, version: int, **operation: list[str]) -> None:
    client.update_pipeline_version(
        PipelineArn=arn, PipelineVersionId=version, PipelineVersionAliasOperations=operation
    )


def _versions(client: Any, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    more: dict[str, str] = {}
    while True:
        answer = client.list_pipeline_versions(PipelineName=name, MaxResults=100, **more)
        found += answer["PipelineVersionSummaries"]
        if not answer.get("NextToken"):
            return found
        more = {"NextToken": answer["NextToken"]}


class OfAlias:
    """A SageMaker client for which the pipeline is the version of an alias."""

    def __init__(self, client: Any, alias: str) -> None:
        self._client, self._alias = client, checked(alias)

    def describe_pipeline(self, **request: Any) -> Any:
        """Describe the alias's version.

        Raises:
            UsageError: no version has the alias, or the pipeline does not exist.
        """
        from botocore.exceptions import ClientError

        try:
            return self._client.describe_pipeline(**request, PipelineVersionAlias=self._alias)
        except ClientError as error:
            if not account.is_absent(error):
                raise
            message = (
                f"no version of the pipeline has the alias {self._alias!r}\n"
                f"  do        python -m pipeline.upsert --alias {self._alias}"
            )
            raise UsageError(message) from error

    def start_pipeline_execution(self, **request: Any) -> Any:
        """Start an execution of the alias's version."""
        return self._client.start_pipeline_execution(**request, PipelineVersionAlias=self._alias)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)
