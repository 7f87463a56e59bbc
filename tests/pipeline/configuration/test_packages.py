"""SageMaker's own registry in conf: nothing by default, a group and its image together."""

from typing import Any

import pytest
import yaml

from pipeline import approve
from pipeline import definition as pipeline_definition
from pipeline.bootstrap import parameters
from pipeline.configuration import config
from pipeline.configuration.config import Config
from pipeline.configuration.file import CONF
from pipeline.errors import ConfigError
from steps.approve.arguments import parse
from tests.compiled_steps import variables

IMAGE = "111111111111.dkr.ecr.us-east-1.amazonaws.com/serve@sha256:" + "a" * 64
GROUP = "governed-finetune-dev"
DECIDED = ["--model=a.b.c@1", "--alias=champion", "--reason=x"]


def parsed(environment: str = "dev", **changes: Any) -> Config:
    raw = yaml.safe_load((CONF / f"{environment}.yaml").read_text())
    raw["register"] |= changes
    return config.parse(yaml.safe_dump(raw), environment, variables())


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_by_default_there_is_no_group_and_no_argument(environment: str) -> None:
    configured = parsed(environment)
    assert configured.register.model_package_group is None
    words = approve.arguments(configured)
    assert not [word for word in words if "package" in word or "serving" in word]
    declared = ("ModelPackageGroup",)
    given = parameters.of(configured, declared, {}, {})
    assert given == {"ModelPackageGroup": ""}  # what an earlier conf named loses its rights


def test_a_group_reaches_layers_and_approver_and_not_the_definition() -> None:
    configured = parsed(model_package_group=GROUP, serving_image=IMAGE)
    given = parameters.of(configured, ("ModelPackageGroup",), {}, {})
    assert given == {"ModelPackageGroup": GROUP}
    found = parse([*DECIDED, *approve.arguments(configured)])
    assert (found.model_package_group, found.serving_image) == (GROUP, IMAGE)
    assert pipeline_definition.compiled(configured) == pipeline_definition.compiled(parsed())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_package_group": GROUP}, "register.serving_image.*missing"),
        ({"serving_image": IMAGE}, "register.model_package_group.*missing"),
        ({"model_package_group": "Models", "serving_image": IMAGE}, "lower-case letters"),
        ({"model_package_group": "a" * 64, "serving_image": IMAGE}, "63 at most"),
        ({"model_package_group": "-a", "serving_image": IMAGE}, "lower-case letters"),
        ({"model_package_group": GROUP, "serving_image": "serve:1"}, "has a tag"),
        ({"model_package_group": GROUP, "serving_image": "a" * 200 + IMAGE}, "255 characters"),
    ],
)
def test_what_sagemaker_would_refuse_is_a_fault(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        parsed(**changes)
