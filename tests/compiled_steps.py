"""The compiled arguments of each step: Prepare's argv and Train's hyperparameters."""

import json
from pathlib import Path
from typing import Any

from pipeline.configuration.parameters import Value
from pipeline.deployment import validation

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
ENVIRONMENTS = ("local", "dev", "prod")
EXECUTION_ID = "4x7k2m9p1q0z"
ACCOUNTS = {"local": "000000000000", "dev": "111111111111", "prod": "222222222222"}


def variables() -> dict[str, str]:
    """The variables of the embedded environment, as in the golden definitions."""
    return dict(line.split("=", 1) for line in (GOLDEN / "local.env").read_text().splitlines())


def definition(environment: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((GOLDEN / f"definition.{environment}.json").read_text())
    return parsed


def resolved(node: Any, environment: str, parameters: dict[str, Value]) -> Any:
    """Return the node as the service passes it to the job."""
    execution = {
        "PipelineExecutionId": EXECUTION_ID,
        "PipelineExecutionArn": (
            f"arn:aws:sagemaker:us-east-1:{ACCOUNTS[environment]}"
            f":pipeline/p/execution/{EXECUTION_ID}"
        ),
    }
    if isinstance(node, list):
        return [resolved(item, environment, parameters) for item in node]
    if not isinstance(node, dict):
        return node
    if "Get" in node:
        kind, _, name = node["Get"].partition(".")
        return {"Parameters": parameters, "Execution": execution}[kind][name]
    if "Std:Join" in node:
        join = node["Std:Join"]
        return join["On"].join(
            str(resolved(value, environment, parameters)) for value in join["Values"]
        )
    return {key: resolved(value, environment, parameters) for key, value in node.items()}


def defaults(tree: dict[str, Any]) -> dict[str, Value]:
    return {parameter["Name"]: parameter["DefaultValue"] for parameter in tree["Parameters"]}


def arguments(step: str, environment: str, changed: dict[str, Value] | None = None) -> Any:
    """Return Prepare's argv or Train's hyperparameters, with changed values of parameters."""
    tree = definition(environment)
    [found] = [every for every in validation.every_step(tree["Steps"]) if every["Name"] == step]
    compiled = resolved(found["Arguments"], environment, defaults(tree) | (changed or {}))
    if step == "Prepare":
        return compiled["JobConfig"]["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    return compiled["HyperParameters"]
