"""The definition's language, table by table: what each expression means, and every way it can be
wrong.
"""

import pytest

from pipeline.local.aws.pipelines.expressions import (
    ExpressionError,
    Scope,
    all_hold,
    holds,
    references,
    resolve,
)

SCOPE = Scope(
    parameters={"Epochs": 3, "Rate": 0.0002, "Name": "a.b.c", "Flag": True},
    execution={"PipelineExecutionId": "abc"},
    steps={
        "Train": {
            "FinalMetricDataList": [
                {"MetricName": "eval:loss_before", "Value": 7.5},
                {"MetricName": "eval:loss", "Value": 2.5},
            ],
            "ModelArtifacts": {"S3ModelArtifacts": "s3://b/m"},
            "ResourceConfig": {"InstanceCount": 1},
        },
        "Register": {"OutputParameters": {"model_version": "7"}},
    },
)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("plain", "plain"),
        (5, 5),
        (None, None),
        ({"Get": "Parameters.Epochs"}, 3),
        ({"Get": "Execution.PipelineExecutionId"}, "abc"),
        ({"Get": "Steps.Train.FinalMetricDataList['eval:loss'].Value"}, 2.5),
        ({"Get": 'Steps.Train.FinalMetricDataList["eval:loss_before"].Value'}, 7.5),
        ({"Get": "Steps.Train.FinalMetricDataList[0].MetricName"}, "eval:loss_before"),
        ({"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}, "s3://b/m"),
        ({"Get": "Steps.Register.OutputParameters['model_version']"}, "7"),
        (
            {
                "Std:Join": {
                    "On": "/",
                    "Values": ["s3://b", {"Get": "Execution.PipelineExecutionId"}],
                }
            },
            "s3://b/abc",
        ),
        (
            {
                "Std:Join": {
                    "On": "",
                    "Values": [{"Get": "Parameters.Rate"}, " ", {"Get": "Parameters.Flag"}],
                }
            },
            "0.0002 true",
        ),
        ({"Std:Join": {"On": ",", "Values": []}}, ""),
        (
            {"a": [{"Get": "Parameters.Name"}, {"b": {"Get": "Parameters.Flag"}}]},
            {"a": ["a.b.c", {"b": True}]},
        ),
        # Not an expression
        (
            {"Get": "Parameters.Name", "other": 1},
            {"Get": "Parameters.Name", "other": 1},
        ),
    ],
)
def test_a_value_is_resolved(value, meaning):
    assert resolve(value, SCOPE) == meaning


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"Get": "Parameters.Epoch"},
            r"'Epoch' does not exist; expected one of Epochs, Flag, Name, Rate",
        ),
        ({"Get": "Execution.Nothing"}, "'Nothing' does not exist"),
        ({"Get": "Steps.Prepare.state"}, "'Prepare' does not exist"),
        ({"Get": "Steps.Train.Nope"}, "'Nope' does not exist"),
        (
            {"Get": "Steps.Train.FinalMetricDataList['eval:f1'].Value"},
            "'eval:f1' does not exist; expected one of eval:loss",
        ),
        ({"Get": "Steps.Train.FinalMetricDataList[2].Value"}, r"entry \[2\] does not exist"),
        ({"Get": "Steps.Train.ModelArtifacts[0]"}, r"entry \[0\] does not exist"),
        ({"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts.x"}, "which has no properties"),
        ({"Get": "Steps.Train.FinalMetricDataList[?"}, "cannot read the property path"),
        ({"Get": "Other.Thing"}, "not implemented: Get 'Other.Thing'"),
        ({"Std:JsonGet": {}}, "not implemented: Std:JsonGet"),
        ({"Std:Anything": {}}, "not implemented: Std:Anything"),
        ({"Std:Join": {"On": "", "Values": [{"Get": "Parameters.X"}]}}, "'X' does not exist"),
    ],
)
def test_an_unresolved_name_is_in_the_error(value, message):
    with pytest.raises(ExpressionError, match=message):
        resolve(value, SCOPE)


def compare(kind, left, right):
    return {"Type": kind, "LeftValue": left, "RightValue": right}


YES, NO = compare("Equals", 1, 1), compare("Equals", 1, 2)


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        (compare("Equals", {"Get": "Parameters.Name"}, "a.b.c"), True),
        (compare("Equals", 1, 1.0), True),
        (compare("Equals", True, True), True),
        (compare("GreaterThan", 2, 1), True),
        (compare("GreaterThan", 1, 1), False),
        (compare("GreaterThanOrEqualTo", 1, 1), True),
        (compare("LessThan", 1, 1), False),
        (compare("LessThan", "a", "b"), True),
        (
            compare(
                "LessThanOrEqualTo",
                {"Get": "Steps.Train.FinalMetricDataList['eval:loss'].Value"},
                2.5,
            ),
            True,
        ),
        (
            compare(
                "LessThanOrEqualTo",
                {"Get": "Steps.Train.FinalMetricDataList['eval:loss'].Value"},
                2.49,
            ),
            False,
        ),
        (compare("LessThanOrEqualTo", float("nan"), 100), False),
        (
            {
                "Type": "In",
                "QueryValue": {"Get": "Parameters.Epochs"},
                "Values": [1, {"Get": "Parameters.Epochs"}],
            },
            True,
        ),
        ({"Type": "In", "QueryValue": "x", "Values": []}, False),
        ({"Type": "Not", "Expression": NO}, True),
        ({"Type": "Or", "Conditions": [NO, YES]}, True),
        ({"Type": "Or", "Conditions": [NO, {"Type": "Not", "Expression": YES}]}, False),
    ],
)
def test_a_condition_holds(condition, outcome):
    assert holds(condition, SCOPE) is outcome


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (compare("NotEquals", 1, 1), "not implemented: condition type 'NotEquals'"),
        ({"Type": "And", "Conditions": []}, "not implemented: condition type 'And'"),
        ({}, "not implemented: condition type None"),
        (
            compare("LessThan", "1", 2),
            "expected two numbers, two strings or two booleans, got '1' and 2",
        ),
        (compare("Equals", True, 1), "got True and 1"),
        (
            {"Type": "Or", "Conditions": [YES, compare("Equals", {"Get": "Parameters.X"}, 1)]},
            "'X' does not exist",
        ),
    ],
)
def test_a_condition_that_cannot_be_evaluated_is_an_error(condition, message):
    with pytest.raises(ExpressionError, match=message):
        holds(condition, SCOPE)


def test_a_list_of_conditions_holds_when_all_do():
    assert all_hold([YES, YES], SCOPE) is True
    assert all_hold([YES, NO], SCOPE) is False
    assert all_hold([], SCOPE) is True


def test_references_are_the_steps_whose_properties_are_read():
    value = {
        "a": [
            {"Get": "Steps.Train.X"},
            {"Std:Join": {"On": "", "Values": [{"Get": "Steps.Pre-pare.Y[0]"}]}},
        ],
        "b": {"Get": "Parameters.Steps"},
    }
    assert references(value) == {"Train", "Pre-pare"}
