"""Make the account's pipeline equal to a compiled definition, and read it back.

    deployed = deploy(config, client, definition)
    deployed.action     # "created", "updated", "tagged" or "unchanged"

The role is the configured one, never the caller's. What was changed by hand (role, description,
display name, parallelism) is put back, and a tag that conf no longer has is removed.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from pipeline import account
from pipeline.configuration import config
from pipeline.configuration.config import Config
from pipeline.deployment import placeholders, provenance, tagging
from pipeline.errors import ConfigError, Refused

DESCRIPTION = "Governed fine-tuning: Prepare, Train, Gate, Register"
# The steps follow one another, so one at a time costs nothing. Once set, it cannot be unset.
PARALLELISM = {"MaxParallelExecutionSteps": 1}

Action = Literal["created", "updated", "tagged", "unchanged"]


@dataclass(frozen=True)
class Deployed:
    """What a deployment did."""

    pipeline: str
    arn: str
    action: Action
    definition_sha256: str
    config_sha256: str
    commit: str
    tags_removed: tuple[str, ...] = ()


def deploy(configured: Config, client: Any, definition: str) -> Deployed:
    """Create or update the pipeline and its tags. A second call with the same definition changes
    nothing.

    Raises:
        Refused: AWS refused, or what was read back is not what was sent.
    """
    tags = provenance.tags(configured, definition)
    before = describe(configured, client)
    action: Action = "unchanged"
    if before is None:
        arn, action = _create(configured, client, definition, tags), "created"
    elif _is_current(before, configured, definition):
        arn = before["PipelineArn"]
    else:
        arn, action = _update(configured, client, definition), "updated"
    if action != "unchanged":
        _read_back(configured, client, definition)
    deployed = before["PipelineDefinition"] if before else None
    changes = tagging.needed(tagging.read(configured, client, arn), tags, deployed=deployed)
    tagging.make(changes, configured, client, arn)
    if changes and action == "unchanged":
        action = "tagged"
    digests = tags[provenance.DEFINITION], tags[provenance.CONFIG], tags[provenance.COMMIT]
    return Deployed(configured.pipeline.name, arn, action, *digests, tags_removed=changes.removed)


def describe(configured: Config, client: Any) -> dict[str, Any] | None:
    """Return the deployed pipeline, or None if it does not exist.

    Raises:
        Refused: AWS refused, or the pipeline is in another account or region than the configured.
    """
    from botocore.exceptions import ClientError

    with account.answering(f"DescribePipeline {configured.pipeline.name}", configured):
        try:
            found: dict[str, Any] = client.describe_pipeline(PipelineName=configured.pipeline.name)
        except ClientError as error:
            if account.is_absent(error):
                return None
            raise
    account.check_account(found["PipelineArn"], configured)
    return found


def settings(configured: Config) -> dict[str, Any]:
    """Return what is not part of a definition and can be changed in the console.

    All of it is sent with each UpdatePipeline, which keeps the settings that a request leaves out.
    """
    return {
        "PipelineDisplayName": configured.pipeline.name,
        "PipelineDescription": DESCRIPTION,
        "ParallelismConfiguration": PARALLELISM,
    }


def deployed_settings(found: dict[str, Any], configured: Config) -> dict[str, Any]:
    """Return the deployed settings, with the service's defaults for those that were never set."""
    unset = {
        "PipelineDisplayName": configured.pipeline.name,
        "ParallelismConfiguration": PARALLELISM,
    }
    return {key: found.get(key) or unset.get(key) for key in settings(configured)}


def refuse_placeholders(configured: Config) -> None:
    """Refuse placeholders (`pipeline.deployment.placeholders`).

    They compile, so that golden definitions exist before images do, but they are never deployed.

    Raises:
        ConfigError: with every placeholder.
    """
    environment = configured.environment
    if found := placeholders.faults(config.tree(configured), environment=environment):
        raise ConfigError(f"conf/{environment}.yaml", found)


def _request(configured: Config, definition: str) -> dict[str, Any]:
    return {
        "PipelineName": configured.pipeline.name,
        "PipelineDefinition": definition,
        "RoleArn": configured.pipeline.role_arn,
        **settings(configured),
    }


def _create(configured: Config, client: Any, definition: str, tags: dict[str, str]) -> str:
    request = _request(configured, definition)
    # The token makes a retry after a lost answer return the same pipeline.
    token = provenance.sha256(request)
    with account.answering(f"CreatePipeline {configured.pipeline.name}", configured):
        created = client.create_pipeline(
            **request, ClientRequestToken=token, Tags=tagging.pairs(tags)
        )
    arn: str = created["PipelineArn"]
    account.check_account(arn, configured)
    return arn


def _update(configured: Config, client: Any, definition: str) -> str:
    with account.answering(f"UpdatePipeline {configured.pipeline.name}", configured):
        arn: str = client.update_pipeline(**_request(configured, definition))["PipelineArn"]
    return arn


def _is_current(found: dict[str, Any], configured: Config, definition: str) -> bool:
    deployed, wanted = json.loads(found["PipelineDefinition"]), json.loads(definition)
    return (
        provenance.sha256(deployed) == provenance.sha256(wanted)
        and found["RoleArn"] == configured.pipeline.role_arn
        and deployed_settings(found, configured) == settings(configured)
    )


def _read_back(configured: Config, client: Any, definition: str) -> None:
    found = describe(configured, client)
    if found is None or not _is_current(found, configured, definition):
        message = (
            f"{configured.pipeline.name} is not what was sent: somebody else deployed at the same "
            "time; see the difference with --diff and run upsert again"
        )
        raise Refused(message)
