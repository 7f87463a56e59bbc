"""Steps that wait for each other, or for a step that may never run, are refused with the path."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.deployment import validation
from pipeline.errors import DefinitionError

Steps = dict[str, dict[str, Any]]
LOSS = "Steps.Train.FinalMetricDataList['eval:loss'].Value"
IN_IF = "which is inside 'Gate: IfSteps' and runs only if that branch is taken"
IN_ELSE = "which is inside 'Gate: ElseSteps' and runs only if that branch is taken"
REGISTERED = {"Get": "Steps.Register.OutputParameters['model_version']"}


def refusal(compiled: str, change: Callable[[Steps], object]) -> list[str]:
    """The faults of the definition after `change` is made to its steps, by name."""
    tree = json.loads(compiled)
    change({step["Name"]: step for step in validation.every_step(tree["Steps"])})
    with pytest.raises(DefinitionError) as caught:
        validation.check(json.dumps(tree))
    return [" ".join(line.split()) for line in str(caught.value).splitlines()[1:]]


def joined(step: dict[str, Any], reference: object) -> None:
    step["Arguments"]["HyperParameters"]["seed"] = {
        "Std:Join": {"On": "", "Values": ["x", reference]}
    }


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (
            lambda steps: steps["Prepare"].update(DependsOn=["Train"]),
            ["Prepare waits for itself: Prepare → Train → Prepare"],
        ),
        (
            lambda steps: steps["Train"]["DependsOn"].append("Train"),
            ["Train waits for itself: Train → Train"],
        ),
        (
            lambda steps: steps["Prepare"].update(DependsOn=["Gate"]),
            ["Prepare waits for itself: Prepare → Gate → Train → Prepare"],
        ),
        (
            lambda steps: joined(steps["Train"], REGISTERED),
            [
                "Train waits for itself: Train → Register → Gate → Train",
                "Train refers to 'Register', " + IN_IF,
            ],
        ),
        (
            lambda steps: steps["Gate"]["Arguments"]["Conditions"][0].update(RightValue=REGISTERED),
            [
                "Gate waits for itself: Gate → Register → Gate",
                "Gate refers to 'Register', " + IN_IF,
            ],
        ),
        (
            lambda steps: steps["Rejected"]["Arguments"].update(ErrorMessage=REGISTERED),
            ["Rejected refers to 'Register', " + IN_IF],
        ),
        (
            lambda steps: steps["Register"].update(DependsOn=["Rejected"]),
            ["Register refers to 'Rejected', " + IN_ELSE],
        ),
        (
            lambda steps: (
                steps["Register"].update(DependsOn=["Rejected"]),
                steps["Rejected"].update(DependsOn=["Register"]),
            ),
            [
                "Register waits for itself: Register → Rejected → Register",
                "Register refers to 'Rejected', " + IN_ELSE,
                "Rejected refers to 'Register', " + IN_IF,
            ],
        ),
    ],
)
def test_a_wait_that_cannot_end_is_refused_with_its_path(
    compiled: str, change: Callable[[Steps], object], faults: list[str]
) -> None:
    assert refusal(compiled, change) == faults


TRAINED = {"Get": "Steps.Train.TrainingJobName"}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("DisplayName", TRAINED),
        ("Description", {"Std:Join": {"On": " ", "Values": ["after", TRAINED]}}),
        ("CacheConfig", {"Enabled": True, "ExpireAfter": TRAINED}),
        ("RetryPolicies", [{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": TRAINED}]),
        ("ExecutionRoleArn", TRAINED),
    ],
)
def test_a_reference_outside_the_arguments_is_a_wait_too(
    compiled: str, place: str, value: object
) -> None:
    def by(name: str) -> Callable[[Steps], object]:
        return lambda steps: steps[name].update({place: value})

    assert refusal(compiled, by("Prepare")) == [
        "Prepare waits for itself: Prepare → Train → Prepare"
    ]
    assert refusal(compiled, by("Train")) == ["Train waits for itself: Train → Train"]


def test_a_condition_waits_for_what_its_other_settings_refer_to(compiled: str) -> None:
    faults = refusal(compiled, lambda steps: steps["Gate"].update(DisplayName=REGISTERED))
    assert faults[0] == "Gate waits for itself: Gate → Register → Gate"


@pytest.mark.parametrize(
    "named", [None, "Train", ["Prepare", {"Get": "Steps.Train.TrainingJobName"}], [None], {}]
)
def test_anything_but_a_list_of_step_names_is_a_fault(compiled: str, named: object) -> None:
    faults = refusal(compiled, lambda steps: steps["Train"].update(DependsOn=named))
    assert faults == [f"Train expected a list of step names in DependsOn, got {named!r}"]


@pytest.mark.parametrize("branch", ["IfSteps", "ElseSteps"])
def test_a_condition_without_a_branch_is_a_fault(compiled: str, branch: str) -> None:
    gone = refusal(compiled, lambda steps: steps["Gate"]["Arguments"].pop(branch))
    null = refusal(compiled, lambda steps: steps["Gate"]["Arguments"].update({branch: None}))
    assert gone == null == [f"Gate expected a list of steps in {branch}, got None"]


def test_a_reference_that_is_not_text_is_a_fault(compiled: str) -> None:
    faults = refusal(compiled, lambda steps: steps["Train"].update(DisplayName={"Get": 5}))
    assert faults == ["Train refers to '5', but the step does not exist"]


def test_two_cycles_are_both_reported(compiled: str) -> None:
    def change(steps: Steps) -> None:
        steps["Prepare"]["DependsOn"] = ["Train"]
        steps["Register"]["DependsOn"] = ["Register"]

    assert refusal(compiled, change) == [
        "Prepare waits for itself: Prepare → Train → Prepare",
        "Register waits for itself: Register → Register",
    ]


def test_a_branch_may_read_what_ran_before_its_condition_and_wait_within_itself(
    compiled: str,
) -> None:
    tree = json.loads(compiled)
    [gate] = [step for step in tree["Steps"] if step["Name"] == "Gate"]
    inner = {
        "Name": "After",
        "Type": "Fail",
        "Arguments": {"ErrorMessage": {"Get": LOSS}},
        "DependsOn": ["Register", "Gate"],
    }
    gate["Arguments"]["IfSteps"].append(inner)
    validation.check(json.dumps(tree))


def test_a_step_may_depend_on_a_branch_only_if_the_other_branch_ends_the_execution(
    compiled: str,
) -> None:
    validation.check(compiled)  # Train depends on Prepare, which is inside Limits
    inside = "inside 'Limits: IfSteps' and runs only if that branch is taken"
    no_end = refusal(compiled, lambda steps: steps["Limits"]["Arguments"].update(ElseSteps=[]))
    assert no_end == [f"Train refers to 'Prepare', which is {inside}"]
