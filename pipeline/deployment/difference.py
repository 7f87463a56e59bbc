"""What changed between the deployed pipeline and the compiled one, as a diff of each part.

    changed = difference.from_deployed(config, client, definition)
    changed["step Train"]     # a unified diff

A part is one step, one parameter, the tags, or the rest of the pipeline.
"""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pipeline.configuration.config import Config
from pipeline.deployment import deploy, provenance, tagging
from pipeline.deployment.validation import every_step

# ECMA-48: bold, cyan, red, green. The longer beginning first.
_COLOURS = {
    "---": "\x1b[1m",
    "+++": "\x1b[1m",
    "@@": "\x1b[36m",
    "-": "\x1b[31m",
    "+": "\x1b[32m",
}
_PLAIN = "\x1b[0m"


def from_deployed(configured: Config, client: Any, definition: str) -> dict[str, str]:
    """Return a unified diff of each part that differs from what is deployed.

    Raises:
        Refused: AWS refused.
    """
    role, tags = configured.pipeline.role_arn, configured.pipeline.tags
    compiled = parts(definition, role, deploy.settings(configured), tags)
    found = deploy.describe(configured, client)
    if found is None:
        return differences({}, compiled)
    present = tagging.read(configured, client, found["PipelineArn"])
    wanted = provenance.tags(configured, definition)
    changes = tagging.needed(present, wanted, deployed=found["PipelineDefinition"])
    deployed = parts(
        found["PipelineDefinition"],
        found["RoleArn"],
        deploy.deployed_settings(found, configured),
        tagging.shown(present, changes, configured),
    )
    return differences(deployed, compiled)


def parts(
    definition: str, role_arn: str, settings: Mapping[str, Any], tags: Mapping[str, str]
) -> dict[str, str]:
    """Return the pipeline as texts by name: role and settings, tags, each parameter and each step.

    The steps in the branches of a condition are parts of their own.
    """
    tree = json.loads(definition)
    rest = {key: value for key, value in tree.items() if key not in {"Parameters", "Steps"}}
    parameters = {f"parameter {each['Name']}": _pretty(each) for each in tree["Parameters"]}
    steps = {f"step {step['Name']}": _pretty(_alone(step)) for step in every_step(tree["Steps"])}
    return {
        "pipeline": _pretty({"RoleArn": role_arn, **settings, **rest}),
        "tags": _pretty(dict(tags)),
        **parameters,
        **steps,
    }


def differences(deployed: dict[str, str], compiled: dict[str, str]) -> dict[str, str]:
    """Return a unified diff of each part that is not the same."""
    names = list(dict.fromkeys([*compiled, *deployed]))
    texts = {name: (deployed.get(name, ""), compiled.get(name, "")) for name in names}
    return {name: _diff(name, *both) for name, both in texts.items() if both[0] != both[1]}


def coloured(text: str) -> str:
    """Return a diff with its lines in the colours that people know from git."""
    return "\n".join(map(_coloured, text.splitlines()))


def _coloured(line: str) -> str:
    colours = (colour for start, colour in _COLOURS.items() if line.startswith(start))
    colour = next(colours, "")
    return f"{colour}{line}{_PLAIN}" if colour else line


def _diff(name: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(),
        after.splitlines(),
        f"deployed: {name}",
        f"compiled: {name}",
        lineterm="",
    )
    return "\n".join(lines)


def _alone(step: Any) -> Any:
    """A step with the names instead of the definitions of the steps in its branches."""
    if step["Type"] != "Condition":
        return step
    arguments = step["Arguments"]
    branches = {
        branch: [inner["Name"] for inner in arguments[branch]]
        for branch in ("IfSteps", "ElseSteps")
    }
    return {**step, "Arguments": {**arguments, **branches}}


def _pretty(node: Any) -> str:
    return json.dumps(node, indent=2, sort_keys=True)
