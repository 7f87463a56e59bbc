"""Create or update the SageMaker pipeline that conf/ENV.yaml describes. Never starts an execution.

    python -m pipeline.upsert --env dev             # compile, validate, deploy, read back
    python -m pipeline.upsert --env dev --dry-run   # print the definition; call nothing
    python -m pipeline.upsert --env dev --diff      # what would change; exit 3 if anything

Two upserts of the same commit change nothing. The role is the configured one, never the caller's. What was changed by
hand (role, description, display name, parallelism) is put back, and a tag that conf no longer has is removed.
"""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pipeline import account, command, config
from pipeline.command import put
from pipeline.config import Config
from pipeline.deployment import provenance, tagging
from pipeline.deployment.difference import differences, parts
from pipeline.errors import ConfigError, Refused

DESCRIPTION = "Governed fine-tuning: Prepare, Train, Gate, Register"
PARALLELISM = {
    "MaxParallelExecutionSteps": 1
}  # the steps follow one another; once set, it can only be set again
_WITH_IMAGES = ("prepare", "train", "register")
_ZEROS = re.compile(r"(^|@sha256:)0{40,64}$|^0{8}(-0{4}){3}-0{12}$")


Action = Literal["created", "updated", "tagged", "unchanged"]


@dataclass(frozen=True)
class Deployed:
    """What an upsert did."""

    pipeline: str
    arn: str
    action: Action
    definition_sha256: str
    config_sha256: str
    commit: str
    tags_removed: tuple[str, ...] = ()


def upsert(configured: Config, client: Any, definition: str) -> Deployed:
    """Make the account's pipeline equal to the definition, and prove it by reading it back.

    Raises:
        Refused: AWS refused, or what was read back is not what was sent.
    """
    tags = provenance.tags(configured, definition)
    before = describe(configured, client)
    action: Action = "unchanged"
    if before is None:
        arn, action = _create(configured, client, definition, tags), "created"
    elif _current(before, configured, definition):
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
    """The deployed pipeline, or None; refuses to look into another account than the configured one."""
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


def _request(configured: Config, definition: str) -> dict[str, Any]:
    return {
        "PipelineName": configured.pipeline.name,
        "PipelineDefinition": definition,
        "RoleArn": configured.pipeline.role_arn,
        **_by_hand(configured),
    }


def _by_hand(configured: Config) -> dict[str, Any]:
    """What no definition holds and a person may change in the console; UpdatePipeline keeps what it is not told."""
    return {
        "PipelineDisplayName": configured.pipeline.name,
        "PipelineDescription": DESCRIPTION,
        "ParallelismConfiguration": PARALLELISM,
    }


def _create(configured: Config, client: Any, definition: str, tags: dict[str, str]) -> str:
    request = _request(configured, definition)
    token = provenance.sha256(request)  # a lost answer, asked again, creates nothing twice
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


def _current(found: dict[str, Any], configured: Config, definition: str) -> bool:
    same = provenance.sha256(json.loads(definition)) == provenance.sha256(
        json.loads(found["PipelineDefinition"])
    )
    settings = _by_hand(configured)
    return (
        same
        and found["RoleArn"] == configured.pipeline.role_arn
        and _settings(found, configured) == settings
    )


def _settings(found: dict[str, Any], configured: Config) -> dict[str, Any]:
    """The settings that are deployed. One that was never set has its default: the name, and no limit to hold back."""
    unset = {
        "PipelineDisplayName": configured.pipeline.name,
        "ParallelismConfiguration": PARALLELISM,
    }
    return {key: found.get(key) or unset.get(key) for key in _by_hand(configured)}


def _read_back(configured: Config, client: Any, definition: str) -> None:
    found = describe(configured, client)
    if found is None or not _current(found, configured, definition):
        message = (
            f"{configured.pipeline.name} is not what was sent: somebody else deployed at the same time; "
            "see the difference with --diff and run upsert again"
        )
        raise Refused(message)


def refuse_placeholders(configured: Config) -> None:
    """A digest or revision of zeros compiles, so that goldens exist before images do; it is never deployed.

    Raises:
        ConfigError: there is one.
    """
    sections = config.tree(configured)
    values = (
        (f"{name}.{key}", value) for name in _WITH_IMAGES for key, value in sections[name].items()
    )
    found = [
        (path, "is a placeholder of zeros; give the real one")
        for path, value in values
        if _placeholder(value)
    ]
    if found:
        raise ConfigError(f"conf/{configured.environment}.yaml", found)


def _placeholder(value: Any) -> bool:
    return isinstance(value, str) and _ZEROS.search(value) is not None


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    arguments = _parser().parse_args(argv)
    configured = config.load(command.environment(arguments.env))
    if arguments.dry_run:
        put(_compiled(configured))
        return 0
    client = account.sagemaker(configured)
    if arguments.diff:
        return _show_difference(configured, client, as_json=arguments.json)
    refuse_placeholders(configured)
    deployed = upsert(configured, client, _compiled(configured))
    put(json.dumps(asdict(deployed), indent=2) if arguments.json else _told(deployed))
    return 0


def _compiled(configured: Config) -> str:
    from pipeline import (
        definition,
    )  # the SDK: 8 s, which `--help` and a faulty file need not wait for
    from pipeline.deployment import (
        validation,
    )  # the SDK: 8 s, which `--help` and a faulty file need not wait for

    compiled = definition.compiled(configured)
    validation.check(compiled)
    return compiled


def _show_difference(configured: Config, client: Any, *, as_json: bool) -> int:
    definition, found = _compiled(configured), describe(configured, client)
    have, want = _deployed_parts(configured, client, found, definition)
    changed = differences(have, want)
    if as_json:
        put(
            json.dumps(
                {"pipeline": configured.pipeline.name, "differs": bool(changed), "parts": changed},
                indent=2,
            )
        )
    else:
        put("\n\n".join(changed.values()) or f"{configured.pipeline.name} is deployed as compiled")
    return 3 if changed else 0


def _deployed_parts(
    configured: Config, client: Any, found: dict[str, Any] | None, definition: str
) -> tuple[dict[str, str], dict[str, str]]:
    """What is deployed and what would be, part by part."""
    role, tags = configured.pipeline.role_arn, configured.pipeline.tags
    want = parts(definition, role, _by_hand(configured), tags)
    if found is None:
        return {}, want
    have = tagging.read(configured, client, found["PipelineArn"])
    wanted = provenance.tags(configured, definition)
    changes = tagging.needed(have, wanted, deployed=found["PipelineDefinition"])
    ours = tagging.shown(have, changes, configured)
    return parts(
        found["PipelineDefinition"], found["RoleArn"], _settings(found, configured), ours
    ), want


def _told(deployed: Deployed) -> str:
    return "\n".join(
        [
            f"{deployed.action:<18} {deployed.arn}",
            f"definition sha256  {deployed.definition_sha256}",
            f"config sha256      {deployed.config_sha256}",
            f"git commit         {deployed.commit}",
            *(f"tag removed        {key}" for key in deployed.tags_removed),
        ]
    )


def _parser() -> Any:
    epilog = f"{command.EXIT_CODES}\nexample:    python -m pipeline.upsert --env dev --dry-run | jq -r '.Steps[].Name'"
    parser = command.parser("pipeline.upsert", (__doc__ or "").split("\n\n")[0], epilog)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--dry-run",
        action="store_true",
        help="compile, validate and print the definition; call nothing",
    )
    what.add_argument(
        "--diff", action="store_true", help="compare with what is deployed; exit 3 if it differs"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(command.ended(main))
