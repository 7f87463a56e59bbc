"""Selective execution: some steps run, and what they need keeps the results of an earlier one.

    document |= selection.begun(request, definition, source)

SageMaker documents this [Developer Guide, "Selective execution of pipeline steps"; API reference,
SelectiveExecutionConfig and SelectiveExecutionResult]: the selected steps are connected; every step
on a path between two of them is selected; what they depend on is taken from the source execution,
which has ended as Succeeded or Failed; other steps do not run. A reused step names the source in
its SelectiveExecutionResult. [unverified: that reused steps are listed with their Metadata, and
that a Condition that is not selected decides its branch as it did in the source]
"""

from collections.abc import Mapping
from typing import Any

from pipeline.local.aws.errors import Invalid
from pipeline.local.aws.pipelines.definition import Definition, Step
from pipeline.local.aws.store import Document, Store

_SOURCE_ENDED = ("Succeeded", "Failed")


def begun(request: Document, definition: Definition, store: Store) -> Document:
    """Return what the new execution's document has of a selection; nothing without one.

    Raises:
        Invalid: the steps or the source cannot be used.
    """
    config = request.get("SelectiveExecutionConfig")
    if config is None:
        return {}
    selected = [item["StepName"] for item in config["SelectedSteps"]]
    _check_selected(selected, definition.steps)
    needed = _above(set(selected), definition.steps) - set(selected)
    arn = config.get("SourcePipelineExecutionArn")
    if not needed:
        return {"_selected": selected}
    source = store.get("execution", arn) if arn else None
    if source is None:
        direct = {name for step in selected for name in definition.steps[step].requires}
        raise Invalid(
            f"Invalid SourcePipelineExecutionArn: {arn or 'null'}. The selected steps "
            f"{sorted(selected)} have dependencies on {sorted(direct - set(selected))}"
        )
    return {"_selected": selected, "_steps": _reused(source, needed, request["PipelineName"])}


def _check_selected(selected: list[str], steps: Mapping[str, Step]) -> None:
    if unknown := sorted(set(selected) - steps.keys()):
        raise Invalid(f"Invalid SelectedSteps: the pipeline has no steps {unknown}")
    chosen = set(selected)
    between = (_above(chosen, steps) & _below(chosen, steps)) - chosen
    if between:
        raise Invalid(
            f"Invalid SelectedSteps: {sorted(between)} are between selected steps and not selected"
        )
    joined, left = {selected[0]}, chosen - {selected[0]}
    while near := {name for name in left if any(_adjacent(name, other, steps) for other in joined)}:
        joined, left = joined | near, left - near
    if left:
        raise Invalid(f"Invalid SelectedSteps: {sorted(left)} are not connected with the others")


def _reused(source: Document, needed: set[str], pipeline: str) -> dict[str, Any]:
    arn, status = source["PipelineExecutionArn"], source["PipelineExecutionStatus"]
    if source["_pipeline"] != pipeline.rsplit("/", 1)[-1]:
        raise Invalid(f"Invalid SourcePipelineExecutionArn: {arn} is of another pipeline")
    if status not in _SOURCE_ENDED:
        raise Invalid(f"Invalid SourcePipelineExecutionArn: {arn} is {status}")
    done = {
        name: step for name, step in source["_steps"].items() if step["StepStatus"] == "Succeeded"
    }
    if missing := sorted(needed - done.keys()):
        raise Invalid(f"Invalid SourcePipelineExecutionArn: {missing} did not succeed in {arn}")
    result = {"SelectiveExecutionResult": {"SourcePipelineExecutionArn": arn}}
    return {name: done[name] | result for name in sorted(needed)}


def _above(names: set[str], steps: Mapping[str, Step]) -> set[str]:
    """Return every step that one of these needs."""
    found, left = set[str](), set(names)
    while left:
        left = {name for each in left for name in steps[each].requires} - found
        found |= left
    return found


def _below(names: set[str], steps: Mapping[str, Step]) -> set[str]:
    """Return every step that needs one of these."""
    return {name for name in steps if _above({name}, steps) & names}


def _adjacent(one: str, other: str, steps: Mapping[str, Step]) -> bool:
    return one in steps[other].requires or other in steps[one].requires
