"""No selection of steps comes past the gate: SageMaker refuses it, or the register worker does.

The deployed definition, every subset of its steps that has Register, and a source execution in
which every step succeeded and every condition held: the best that a scientist can start from.
"""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.local.aws.errors import Invalid
from pipeline.local.aws.pipelines import definition, selection
from scripts.golden import GOLDEN
from steps.governance.errors import UsageError
from steps.register.limits import require_own_steps

_SOURCE = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/p/execution/abc"
_OWN = {"Limits", "Prepare", "Train", "Gate"}


def _steps(names: set[str], conditions: set[str]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "StepName": name,
            "StepStatus": "Succeeded",
            "Metadata": {"Condition": {"Outcome": "True"}} if name in conditions else {},
        }
        for name in names
    }


def test_every_selection_that_registers_is_refused_or_is_the_whole_pipeline() -> None:
    text = (GOLDEN / "definition.dev.json").read_text()
    parsed = definition.parse(text)
    conditions = {name for name, step in parsed.steps.items() if step.type == "Condition"}
    assert conditions == {"Limits", "Gate"}
    assert parsed.steps.keys() >= _OWN | {"Register"}
    others = sorted(parsed.steps.keys() - {"Register"})
    source = {
        "PipelineExecutionArn": _SOURCE,
        "PipelineExecutionStatus": "Succeeded",
        "_pipeline": "p",
        "_steps": _steps(set(parsed.steps), conditions),
    }
    store: Any = SimpleNamespace(get=lambda _, arn: source if arn == _SOURCE else None)
    outcomes = {"SageMaker": 0, "worker": 0, "registered": 0}
    for size in range(len(others) + 1):
        for some in itertools.combinations(others, size):
            outcomes[_refused_by(parsed, {"Register", *some}, store, conditions)] += 1
    assert outcomes["worker"] > 0
    assert outcomes["SageMaker"] > 0
    assert outcomes["registered"] == 2 ** (len(others) - len(_OWN))  # with and without Fail steps


def _refused_by(
    parsed: definition.Definition, selected: set[str], store: Any, conditions: set[str]
) -> str:
    config = {
        "SelectedSteps": [{"StepName": name} for name in sorted(selected)],
        "SourcePipelineExecutionArn": _SOURCE,
    }
    request = {"PipelineName": "p", "SelectiveExecutionConfig": config}
    try:
        begun = selection.begun(request, parsed, store)
    except Invalid:
        return "SageMaker"
    listed = begun.get("_steps", {}) | _steps(selected, conditions)
    execution: Any = SimpleNamespace(conditions=sorted(conditions))
    if selected >= _OWN:
        require_own_steps(execution, list(listed.values()))
        return "registered"
    with pytest.raises(UsageError, match="did not run every step itself"):
        require_own_steps(execution, list(listed.values()))
    return "worker"
