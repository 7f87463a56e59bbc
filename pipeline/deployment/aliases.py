"""An alias of a pipeline: a name, such as `prod`, that points to one deployed version.

    moved = aliases.move(config, client, arn=arn, alias="prod", definition=text)

It moves to the newest version that has this definition, which is the one just deployed even if
somebody else deployed another one since: what a version has is read, not assumed.

The alias is taken from its old version before the new one gets it, because a version may have two
aliases and an alias may not have two versions [unverified]. A crash between the two leaves no
version with the alias: `run --alias` is refused until the upsert is repeated. Both calls can be.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from pipeline import account, command
from pipeline.configuration.config import Config
from pipeline.deployment import provenance
from pipeline.errors import Refused, UsageError

_ALIAS = re.compile(r"[a-zA-Z0-9._-]{1,128}")  # botocore 1.44.5: PipelineVersionAlias
_LOOKED_AT = 20  # versions; more deployments than these do not come between two calls


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


def move(config: Config, client: Any, *, arn: str, alias: str, definition: str) -> Moved:
    """Let the alias point to the newest version that has this definition.

    Raises:
        Refused: AWS refused, or none of the newest versions has the definition.
    """
    with account.answering(f"ListPipelineVersions {config.pipeline.name}", config):
        versions = _versions(client, config.pipeline.name)
    version = _having(config, client, versions, definition)
    holding = [
        each["PipelineVersionId"]
        for each in versions
        if alias in each.get("PipelineVersionAliases", ())
    ]
    with account.answering(f"UpdatePipelineVersion {config.pipeline.name}", config):
        for old in holding:
            if old != version:
                _change(client, arn, old, Remove=[alias])
        if version not in holding:
            _change(client, arn, version, Add=[alias])
    return Moved(alias, version, next(iter(holding), None))


def _having(config: Config, client: Any, versions: list[dict[str, Any]], definition: str) -> int:
    """Return the newest version with a definition; as in `deploy`, white space does not count."""
    name, wanted = config.pipeline.name, provenance.sha256(json.loads(definition))
    newest = sorted((int(each["PipelineVersionId"]) for each in versions), reverse=True)
    with account.answering(f"DescribePipeline {name}", config):
        for version in newest[:_LOOKED_AT]:
            found = client.describe_pipeline(PipelineName=name, PipelineVersionId=version)
            if provenance.sha256(json.loads(found["PipelineDefinition"])) == wanted:
                return version
    raise Refused(
        f"{name}: none of its {len(newest[:_LOOKED_AT])} newest versions has the definition that "
        "was deployed; the alias stays; run upsert again"
    )


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

    def __init__(self, client: Any, alias: str, *, environment: str) -> None:
        self._client, self._alias = client, checked(alias)
        self._environment = environment

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
            deploy = command.line("pipeline.upsert", self._environment, f"--alias {self._alias}")
            message = (
                f"no version of the pipeline has the alias {self._alias!r}\n  do        {deploy}"
            )
            raise UsageError(message) from error

    def start_pipeline_execution(self, **request: Any) -> Any:
        """Start an execution of the alias's version."""
        return self._client.start_pipeline_execution(**request, PipelineVersionAlias=self._alias)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)
