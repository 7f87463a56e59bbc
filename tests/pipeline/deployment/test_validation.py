"""A compiled definition that SageMaker would refuse is refused before it is sent."""

import pytest

from pipeline.deployment import validation
from pipeline.errors import DefinitionError


def changed(compiled: str, find: str, replacement: str) -> str:
    assert find in compiled, "the definition no longer has what this test breaks"
    return compiled.replace(find, replacement)


LOSS = "Steps.Train.FinalMetricDataList['eval:loss'].Value"


@pytest.mark.parametrize(
    ("find", "replacement", "fault"),
    [
        (
            "Parameters.MaxSteps",
            "Parameters.MaxStep",
            "'Parameters.MaxStep', which is not declared; did you mean 'MaxSteps'?",
        ),
        (
            "Execution.PipelineExecutionArn",
            "Execution.Arn",
            "refers to 'Execution.Arn', which is not an execution variable",
        ),
        (
            LOSS,
            LOSS.replace("Train", "Trian"),
            "FinalMetricDataList['eval:loss'].Value\", but the step does not exist",
        ),
        (LOSS, "Steps.Prepare.JobRunId.Value", "but an EMR Serverless step has no properties"),
        (
            '"Name": "eval:loss"',
            '"Name": "eval:los"',
            f'refers to "{LOSS}", which Train does not report',
        ),
        (
            '["Prepare"]',
            '["Prepar"]',
            "Train  depends on the step 'Prepar', which does not exist; did you mean 'Prepare'?",
        ),
        (
            '"Name": "Rejected"',
            '"Name": "Gate"',
            "Steps  expected every name once, got 7 steps with 6 names",
        ),
        (
            '"Name": "Rejected"',
            '"Name": "No_way"',
            "expected a step name of 1 to 64 letters, digits and hyphens",
        ),
        (
            '"base_model": "tiny',
            '"base_model": "' + "y" * 2500,
            "base_model  expected at most 2500 characters, got 2514",
        ),
        (
            'OFFLINE": "1"',
            f'OFFLINE": "{"1" * 513}"',
            "HF_HUB_OFFLINE  expected at most 512 characters, got 513",
        ),
        (
            '"region": "us-east-1"',
            '"region": 1',
            "HyperParameters.region  expected text or a reference, got 1",
        ),
    ],
)
def test_what_the_service_would_refuse_is_found(
    compiled: str, find: str, replacement: str, fault: str
) -> None:
    validation.check(compiled)
    with pytest.raises(DefinitionError) as caught:
        validation.check(changed(compiled, find, replacement))
    assert fault in str(caught.value)


def test_a_definition_over_the_services_size_limit_is_refused(compiled: str) -> None:
    with pytest.raises(DefinitionError, match="expected at most 1048576 characters, got"):
        validation.check(changed(compiled, "Nothing was registered", "x" * 1_048_576))
