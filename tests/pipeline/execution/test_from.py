"""`run --from` takes the parameters of an earlier execution as SageMaker writes them, and refuses
those that would be refused later."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline import command, run
from pipeline.configuration import config
from pipeline.deployment import deploy
from pipeline.execution import start

Definition = dict[str, Any]


class Earlier:
    """An execution of the deployed pipeline whose recorded parameters a test writes."""

    def __init__(self, service: Any, configured: config.Config, client: Any) -> None:
        self._service, self._name = service, configured.pipeline.name
        self.arn = start.start(configured, client, {}, token="earlier")

    def ran_with(self, **texts: str) -> None:
        recorded = [{"Name": name, "Value": text} for name, text in texts.items()]
        self._service.executions[self.arn]["request"]["PipelineParameters"] = recorded

    def deployed_since(self, change: Callable[[Definition], object]) -> None:
        stored = self._service.pipelines[self._name]
        tree = json.loads(stored["PipelineDefinition"])
        change(tree)
        stored["PipelineDefinition"] = json.dumps(tree)

    def again(self, *words: str) -> int:
        source = self.arn.rsplit("/", 1)[-1]
        return command.ended(
            run.main, ["--env", "local", "--from", source, "--token", "again", *words]
        )

    @property
    def started(self) -> dict[str, str]:
        """What the second execution was started with."""
        [second] = [each for arn, each in self._service.executions.items() if arn != self.arn]
        return {
            parameter["Name"]: parameter["Value"]
            for parameter in second["request"]["PipelineParameters"]
        }

    @property
    def was_repeated(self) -> bool:
        return len(self._service.executions) > 1


@pytest.fixture
def earlier(service: Any, configured: config.Config, client: Any, compiled: str) -> Earlier:
    deploy.deploy(configured, client, compiled)
    return Earlier(service, configured, client)


@pytest.mark.parametrize(
    ("name", "text", "sent"),
    [
        ("LearningRate", "2.0E-4", "0.0002"),
        ("LearningRate", "0.00020", "0.0002"),
        ("LearningRate", "1.0E-13", "1e-13"),  # narrower for people than for Train
        ("MaxEvalLoss", "7", "7.0"),
        ("Epochs", "2.0", "2"),
        ("Seed", "5E1", "50"),
        ("RawTableVersion", "9223372036854775807", "9223372036854775807"),
        # More than a float can hold
        (
            "RawTableVersion",
            "9.007199254740993E15",
            "9007199254740993",
        ),
        ("RawTableVersion", "9.223372036854775807E+18", "9223372036854775807"),
        ("CuratedTable", "edgar.system.x", "edgar.system.x"),
        ("MaxSteps", "-1", "-1"),
    ],
)
def test_what_an_execution_ran_with_is_taken_as_sagemaker_writes_it(
    earlier: Earlier, name: str, text: str, sent: str
) -> None:
    earlier.ran_with(**{name: text})
    assert earlier.again("--set", "EvalSteps=7") == 0
    assert earlier.started[name] == sent
    assert earlier.started["EvalSteps"] == "7"


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        (
            "ModelAlias",
            "latest",
            "expected one of challenger (the deployed definition), got 'latest'",
        ),
        (
            "CuratedTable",
            "system.curated.x",
            "would be refused by its step: expected catalog.schema.name of a-z, 0-9,",
        ),
        (
            "ModelName",
            "samples.models.x",
            "would be refused by its step: expected catalog.schema.name of a-z, 0-9, _",
        ),
        ("Epochs", "25", "would be refused by its step: expected ≥ 1 and ≤ 20, got '25'"),
        (
            "LoraRank",
            "12",
            "would be refused by its step: expected one of 4 8 16 32 64 128, got '12'",
        ),
        (
            "Epochs",
            "2.5",
            "is Integer in the deployed definition, and the earlier execution had '2.5'",
        ),
        (
            "Epochs",
            "1_0",
            "is Integer in the deployed definition, and the earlier execution had '1_0'",
        ),
        ("Epochs", "٣", "is Integer in the deployed definition, and the earlier execution had '٣'"),
        (
            "Epochs",
            "1E999999999",
            "is Integer in the deployed definition, and the earlier execution had '1E9999",
        ),
        (
            "MaxEvalLoss",
            "NaN",
            "is Float in the deployed definition, and the earlier execution had 'NaN'",
        ),
        (
            "Fp8Mode",
            "fp4",
            "expected one of auto storage native off nf4 (the deployed definition), got 'fp4'",
        ),
        ("Fp8Mode", "native", "native needs FP8 arithmetic"),
        ("MaxEvalLoss", "1e+20", "expected at most 1000 (limits.max_eval_loss), got 1e+20"),
        ("ModelAlias", "champion", "expected one of challenger (the deployed definition), got 'ch"),
        ("CuratedTable", "edgar.raw.filings", "expected another table than RawTable"),
    ],
)
def test_what_a_step_would_refuse_is_refused_by_name_and_set_is_the_way_out(
    earlier: Earlier, name: str, text: str, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier.ran_with(**{name: text})
    assert earlier.again() == 2
    error = capsys.readouterr().err
    assert f"  {name}  {fault}" in error
    assert error.endswith("  do  give another value for each with --set Name=…\n")
    assert not earlier.was_repeated
    good = {
        "ModelAlias": "challenger",
        "LoraRank": "8",
        "CuratedTable": "edgar.curated.y",
        "Fp8Mode": "off",
        "ModelName": "a.b.c",
    }
    assert earlier.again("--set", f"{name}={good.get(name, '3')}") == 0


def test_a_parameter_that_the_deployed_definition_no_longer_has_is_left_out_with_a_note(
    earlier: Earlier, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier.ran_with(Seed="5")
    earlier.deployed_since(
        lambda tree: tree.update(Parameters=[p for p in tree["Parameters"] if p["Name"] != "Seed"])
    )
    assert earlier.again() == 0
    assert "Seed" not in earlier.started
    assert (
        "left out   Seed=5: the deployed definition no longer has this parameter; to use it, "
        "deploy the commit of that execution first (python -m pipeline.upsert --env local)\n"
    ) in capsys.readouterr().err


def test_a_parameter_that_this_checkout_no_longer_has_is_checked_by_the_deployed_definition(
    earlier: Earlier, capsys: pytest.CaptureFixture[str]
) -> None:
    old = [
        {"Name": "WarmUp", "Type": "Float", "DefaultValue": 0.1},
        {"Name": "Mood", "Type": "String", "EnumValues": ["a"]},
    ]
    earlier.deployed_since(lambda tree: tree["Parameters"].extend(old))
    earlier.ran_with(WarmUp="3.0E-2", Mood="a")
    assert earlier.again() == 0
    assert (earlier.started["WarmUp"], earlier.started["Mood"]) == ("0.03", "a")
    earlier.ran_with(WarmUp="much", Mood="b")
    assert earlier.again("--token", "third") == 2
    error = capsys.readouterr().err
    assert (
        "WarmUp  is Float in the deployed definition, and the earlier execution had 'much'" in error
    )
    assert "Mood    expected one of a (the deployed definition), got 'b'" in error
    assert earlier.again("--set", "WarmUp=0.2") == 2
    assert (
        "WarmUp  is a parameter of the deployed definition, but not of this checkout"
        in capsys.readouterr().err
    )


def test_a_choice_that_this_checkout_no_longer_has_is_taken_where_it_is_deployed(
    earlier: Earlier,
) -> None:
    def add_choice(tree: Definition) -> None:
        [instance] = [p for p in tree["Parameters"] if p["Name"] == "TrainInstanceType"]
        instance["EnumValues"].append("ml.p3.16xlarge")

    earlier.deployed_since(add_choice)
    earlier.ran_with(TrainInstanceType="ml.p3.16xlarge")
    assert earlier.again() == 0
    assert earlier.started["TrainInstanceType"] == "ml.p3.16xlarge"


def test_what_is_deployed_decides_how_the_base_is_split(
    earlier: Earlier, capsys: pytest.CaptureFixture[str]
) -> None:
    def split(tree: Definition) -> None:
        [train] = [step for step in tree["Steps"] if step["Type"] == "Training"]
        train["Arguments"]["HyperParameters"]["sharding"] = "fsdp"
        train["Arguments"]["ResourceConfig"]["InstanceCount"] = 2

    earlier.deployed_since(split)
    earlier.ran_with(Fp8Mode="nf4")
    assert earlier.again() == 2
    assert (
        "Fp8Mode  nf4 cannot be used with train.sharding fsdp on 2 GPUs (2 × ml.g5.16xlarge)"
        in capsys.readouterr().err
    )
