"""The ceilings of a configuration, and its own values against them."""

from typing import Any

import pytest
import yaml

from pipeline.configuration import config, explanation, instances
from pipeline.configuration.file import CONF
from pipeline.configuration.sections.limits import DEFAULTS, Limits, faults
from pipeline.errors import ConfigError


def parsed(**changes: dict[str, Any] | None) -> config.Config:
    """conf/dev.yaml with changed values of some sections; None removes a section."""
    tree = yaml.safe_load((CONF / "dev.yaml").read_text())
    for section, change in changes.items():
        if change is None:
            del tree[section]
        else:
            tree[section] |= change
    return config.parse(yaml.safe_dump(tree), "dev", {})


def test_a_file_without_the_section_has_the_default_ceilings() -> None:
    assert parsed(limits=None).limits == DEFAULTS
    assert DEFAULTS.aliases == ("challenger",)
    assert set(DEFAULTS.instance_types) == set(instances.TYPES)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"parameters": {"MaxEvalLoss": 5.5}}, "expected at most 5 (limits.max_eval_loss)"),
        ({"parameters": {"ModelAlias": "champion"}}, "expected one of challenger (limits.aliases)"),
        ({"limits": {"aliases": ["candidate"]}}, "parameters.ModelAlias"),
        ({"limits": {"instance_types": ["ml.g6.xlarge"]}}, "parameters.TrainInstanceType"),
        ({"limits": {"max_eval_loss": 2.0}}, "parameters.MaxEvalLoss"),
        ({"limits": {"max_runtime_seconds": 14_399}}, "train.max_runtime_seconds"),
        ({"limits": {"max_eval_loss": float("inf")}}, "limits.max_eval_loss"),
        ({"limits": {"max_eval_loss": "1e300"}}, "limits.max_eval_loss"),
        ({"limits": {"aliases": []}}, "limits.aliases"),
        ({"limits": {"aliases": ["latest"]}}, "limits.aliases"),
        ({"limits": {"instance_types": ["ml.m5.large"]}}, "limits.instance_types"),
        ({"limits": {"max_loss": 1.0}}, "limits.max_loss"),
    ],
)
def test_a_wrong_ceiling_and_a_default_beyond_one_are_refused(
    changes: dict[str, dict[str, Any]], fault: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        parsed(**changes)
    assert fault in str(refusal.value)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"MaxEvalLoss": 10, "ModelAlias": "challenger", "TrainInstanceType": "ml.g5.xlarge"}, []),
        ({"MaxEvalLoss": 10.1}, ["MaxEvalLoss"]),
        ({"MaxEvalLoss": float("nan")}, ["MaxEvalLoss"]),
        ({"MaxEvalLoss": float("inf"), "ModelAlias": "champion"}, ["MaxEvalLoss", "ModelAlias"]),
        ({"TrainInstanceType": "ml.m5.large"}, ["TrainInstanceType"]),
    ],
)
def test_a_value_beyond_a_ceiling_is_a_fault(values: dict[str, Any], names: list[str]) -> None:
    assert [name for name, _ in faults(values, Limits())] == names


def test_each_ceiling_is_explained() -> None:
    rows = {row.path: row for row in explanation.rows("dev", environ={})}
    assert rows["limits.max_eval_loss"].origin == "conf/dev.yaml"
    assert rows["limits.aliases"].value == '["challenger"]'
