"""What changed between two definitions, part by part, so that a reader sees which step or parameter it is about."""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pipeline.deployment.validation import every_step


def parts(
    definition: str, role_arn: str, settings: Mapping[str, Any], tags: Mapping[str, str]
) -> dict[str, str]:
    """The pipeline as named texts: its role and settings, its tags, each parameter, each step without those in its
    branches."""
    tree = json.loads(definition)
    rest = {key: value for key, value in tree.items() if key not in {"Parameters", "Steps"}}
    return {
        "pipeline": _pretty({"RoleArn": role_arn, **settings, **rest}),
        "tags": _pretty(dict(tags)),
        **{
            f"parameter {parameter['Name']}": _pretty(parameter) for parameter in tree["Parameters"]
        },
        **{f"step {step['Name']}": _pretty(_alone(step)) for step in every_step(tree["Steps"])},
    }


def differences(deployed: dict[str, str], compiled: dict[str, str]) -> dict[str, str]:
    """A unified diff for each part that is not the same."""
    names = list(dict.fromkeys([*compiled, *deployed]))
    texts = {name: (deployed.get(name, ""), compiled.get(name, "")) for name in names}
    return {name: _diff(name, *both) for name, both in texts.items() if both[0] != both[1]}


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
    """A condition names the steps of its branches; they are parts of their own."""
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
