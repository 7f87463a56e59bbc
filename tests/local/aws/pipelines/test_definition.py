"""What a definition may hold, and how each fault is refused when the pipeline is created."""

import json

import pytest

from pipeline.local.aws.pipelines.definition import DefinitionError, parse


def definition(*steps, parameters=()):
    return json.dumps(
        {"Version": "2020-12-01", "Parameters": list(parameters), "Steps": list(steps)}
    )


def step(name="A", kind="Fail", **more):
    return {"Name": name, "Type": kind, "Arguments": {}, **more}


def test_steps_of_a_branch_wait_for_the_condition_and_its_outcome():
    condition = step("Gate", "Condition", DependsOn=["A"])
    condition["Arguments"] = {
        "Conditions": [{"Type": "Equals", "LeftValue": {"Get": "Steps.B.x"}, "RightValue": 1}],
        "IfSteps": [step("Yes", "Callback")],
        "ElseSteps": [step("No", Arguments={"ErrorMessage": {"Get": "Steps.B.y"}})],
    }
    found = parse(definition(step("A", "Training"), step("B", "Training"), condition)).steps
    assert found["Gate"].requires == {"A", "B"}
    assert (found["Yes"].requires, found["Yes"].branch) == ({"Gate"}, ("Gate", True))
    assert (found["No"].requires, found["No"].branch) == ({"Gate", "B"}, ("Gate", False))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "expected an object with Version 2020-12-01"),
        ('{"Version": "1"}', "expected an object with Version 2020-12-01"),
        (definition(), "it has no steps"),
        (definition(step("A b")), "'A b' is not a step name"),
        (definition(step(kind="Lambda")), "step A: not implemented: step type 'Lambda'"),
        (definition(step(), step()), "two steps are called A"),
        (definition(step(DependsOn=["B"])), "step A depends on B, which does not exist"),
        (
            definition(step(DependsOn=[{"Step": "B", "Trigger": "Failed"}])),
            "not implemented: DependsOn",
        ),
        (definition(step(DependsOn=["B"]), step("B", DependsOn=["A"])), "A, B wait for each other"),
        (
            definition(step(), parameters=[{"Name": "P", "Type": "List"}]),
            "parameter P: expected a type of",
        ),
    ],
)
def test_a_definition_that_cannot_run_is_refused(text, message):
    with pytest.raises(DefinitionError, match=message):
        parse(text)


PARAMETERS = (
    {"Name": "Text", "Type": "String", "DefaultValue": "a", "EnumValues": ["a", "b"]},
    {"Name": "Whole", "Type": "Integer", "DefaultValue": -1},
    {"Name": "Real", "Type": "Float", "DefaultValue": 0.5},
    {"Name": "Truth", "Type": "Boolean", "DefaultValue": False},
)


def test_values_are_typed_and_defaults_fill_the_rest():
    found = parse(definition(step(), parameters=PARAMETERS))
    assert found.values({}) == {"Text": "a", "Whole": -1, "Real": 0.5, "Truth": False}
    given = {"Text": "b", "Whole": "7", "Real": "2e-4", "Truth": "True"}
    assert found.values(given) == {"Text": "b", "Whole": 7, "Real": 0.0002, "Truth": True}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Whole": "1.5"}, "parameter Whole: expected Integer, got '1.5'"),
        ({"Real": "low"}, "parameter Real: expected Float, got 'low'"),
        ({"Truth": "yes"}, "parameter Truth: expected Boolean, got 'yes'"),
        ({"Text": "c"}, "parameter Text: expected one of a, b, got 'c'"),
        (
            {"Wole": "1"},
            "unknown pipeline parameters Wole; the pipeline has Text, Whole, Real, Truth",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused(given, message):
    with pytest.raises(DefinitionError, match=message):
        parse(definition(step(), parameters=PARAMETERS)).values(given)


def test_a_parameter_without_default_is_required():
    found = parse(definition(step(), parameters=[{"Name": "P", "Type": "String"}]))
    with pytest.raises(DefinitionError, match="P has no default"):
        found.values({})
