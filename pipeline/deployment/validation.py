"""Check a compiled definition for what SageMaker would refuse, before it is sent.

    validation.check(definition)      # raises DefinitionError with every fault

Every reference must name something that exists, no step may wait for itself, and the sizes must be
within the service's limits.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.deployment import dependencies
from pipeline.errors import DefinitionError, did_you_mean, listed

# Limits of SageMaker Pipelines, CreateTrainingJob and StartJobRun (botocore 1.44.5). The 50 steps
# are from the page of quotas only.
MAX_DEFINITION_CHARACTERS = 1_048_576
MAX_PARAMETERS, MAX_STEPS, MAX_CALLBACK_OUTPUTS, MAX_METRICS = 200, 50, 50, 40
MAX_HYPERPARAMETERS, MAX_HYPERPARAMETER_CHARACTERS = 100, 2500
MAX_ENVIRONMENT, MAX_ENVIRONMENT_CHARACTERS = 100, 512
MAX_SPARK_CHARACTERS, MAX_SPARK_ARGUMENTS = 102_400, 1024
_STEP_NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,63}")

EXECUTION_VARIABLES = {
    "PipelineName",
    "PipelineArn",
    "PipelineExecutionId",
    "PipelineExecutionArn",
    "StartDateTime",
    "CurrentDateTime",
}
_STEP_REFERENCE = re.compile(r"Steps\.([A-Za-z0-9-]+)\.(\w+)(?:\['([^']+)'\])?")

Fault = tuple[str, str]
Node = Mapping[str, Any]


def check(definition: str) -> None:
    """Check the sizes, the references and the order of the steps.

    Raises:
        DefinitionError: with every fault.
    """
    tree = json.loads(definition)
    steps = {step["Name"]: step for step in every_step(tree["Steps"])}
    faults = [
        *_sizes(definition, tree, steps),
        *(fault for step in steps.values() for fault in _shape(step)),
        *(fault for step in steps.values() for fault in _step_limits(step)),
        *_references(tree, steps),
    ]
    if len(steps) == sum(1 for _ in every_step(tree["Steps"])):  # every name once
        faults += dependencies.faults(tree["Steps"])
    if faults:
        raise DefinitionError(listed("the compiled definition has", tuple(faults)))


def every_step(steps: list[Node]) -> Iterator[Node]:
    """Yield the steps in order; those in the branches of a condition follow it."""
    for step in steps:
        yield step
        for _, inner in dependencies.branches(step):
            yield from every_step(inner)


def _sizes(definition: str, tree: Node, steps: Mapping[str, Node]) -> Iterator[Fault]:
    count = sum(1 for _ in every_step(tree["Steps"]))
    if count != len(steps):
        yield "Steps", f"expected every name once, got {count} steps with {len(steps)} names"
    yield from _limit("(definition)", "characters", len(definition), MAX_DEFINITION_CHARACTERS)
    yield from _limit("Parameters", "parameters", len(tree["Parameters"]), MAX_PARAMETERS)
    yield from _limit("Steps", "steps", count, MAX_STEPS)


def _shape(step: Node) -> Iterator[Fault]:
    """Faults in the lists that give the steps their order. Only DependsOn may be left out."""
    name, named = step["Name"], step.get("DependsOn", [])
    if not isinstance(named, list) or not all(isinstance(entry, str) for entry in named):
        yield name, f"expected a list of step names in DependsOn, got {named!r}"
    for branch in dependencies.BRANCHES if step["Type"] == "Condition" else ():
        if not isinstance(inner := step["Arguments"].get(branch), list):
            yield name, f"expected a list of steps in {branch}, got {inner!r}"


def _step_limits(step: Node) -> Iterator[Fault]:
    name, arguments = step["Name"], step["Arguments"]
    if not _STEP_NAME.fullmatch(name):
        yield name, "expected a step name of 1 to 64 letters, digits and hyphens"
    if step["Type"] == "Training":
        yield from _training_limits(name, arguments)
    elif step["Type"] == "EMRServerless":
        submit = arguments["JobConfig"]["jobDriver"]["sparkSubmit"]
        yield from _limit(
            f"{name}.entryPointArguments",
            "words",
            len(submit["entryPointArguments"]),
            MAX_SPARK_ARGUMENTS,
        )
        spark = submit["sparkSubmitParameters"]
        yield from _limit(
            f"{name}.sparkSubmitParameters", "characters", len(spark), MAX_SPARK_CHARACTERS
        )
    elif step["Type"] == "Callback":
        yield from _limit(
            f"{name}.OutputParameters",
            "outputs",
            len(step["OutputParameters"]),
            MAX_CALLBACK_OUTPUTS,
        )


def _training_limits(name: str, arguments: Node) -> Iterator[Fault]:
    metrics = arguments["AlgorithmSpecification"].get("MetricDefinitions", [])
    yield from _limit(f"{name}.MetricDefinitions", "metrics", len(metrics), MAX_METRICS)
    for key, most, longest in (
        ("HyperParameters", MAX_HYPERPARAMETERS, MAX_HYPERPARAMETER_CHARACTERS),
        ("Environment", MAX_ENVIRONMENT, MAX_ENVIRONMENT_CHARACTERS),
    ):
        entries = arguments.get(key, {})
        yield from _limit(f"{name}.{key}", "entries", len(entries), most)
        for entry, value in entries.items():
            if isinstance(value, str):
                yield from _limit(f"{name}.{key}.{entry}", "characters", len(value), longest)
            elif not isinstance(value, dict):
                yield f"{name}.{key}.{entry}", f"expected text or a reference, got {value!r}"


def _limit(where: str, unit: str, got: int, most: int) -> Iterator[Fault]:
    if got > most:
        yield where, f"expected at most {most} {unit}, got {got}"


def _references(tree: Node, steps: Mapping[str, Node]) -> Iterator[Fault]:
    parameters = {parameter["Name"] for parameter in tree["Parameters"]}
    for name, step in steps.items():
        yield from (
            (name, fault)
            for path in dependencies.references(dependencies.own(step))
            if (fault := _unresolved(path, parameters, steps))
        )
        for dependency in dependencies.dependencies(step):
            if dependency not in steps:
                yield (
                    name,
                    (
                        f"depends on the step {dependency!r}, which does not exist"
                        f"{did_you_mean(dependency, steps)}"
                    ),
                )


def _unresolved(path: str, parameters: set[str], steps: Mapping[str, Node]) -> str | None:
    kind, _, rest = path.partition(".")
    if kind == "Parameters":
        return (
            None
            if rest in parameters
            else f"refers to {path!r}, which is not declared{did_you_mean(rest, parameters)}"
        )
    if kind == "Execution":
        return (
            None
            if rest in EXECUTION_VARIABLES
            else f"refers to {path!r}, which is not an execution variable"
        )
    found = _STEP_REFERENCE.match(path)
    if not found or found[1] not in steps:
        return f"refers to {path!r}, but the step does not exist"
    return _unknown_property(path, steps[found[1]], found[2], found[3])


def _unknown_property(path: str, step: Node, name: str, key: str | None) -> str | None:
    if step["Type"] == "Training" and name == "FinalMetricDataList":
        known = {
            metric["Name"]
            for metric in step["Arguments"]["AlgorithmSpecification"].get("MetricDefinitions", [])
        }
    elif step["Type"] == "Callback" and name == "OutputParameters":
        known = {output["OutputName"] for output in step["OutputParameters"]}
    elif step["Type"] == "EMRServerless":
        return f"refers to {path!r}, but an EMR Serverless step has no properties"
    else:
        return None
    return None if key in known else f"refers to {path!r}, which {step['Name']} does not report"
