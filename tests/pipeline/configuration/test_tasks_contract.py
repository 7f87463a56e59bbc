"""`prepare.tasks` and Prepare's `--tasks` have the same templates and the same rules."""

from typing import Any

import pytest
import yaml

from pipeline.configuration import config
from pipeline.configuration.sections import prepare
from pipeline.errors import ConfigError
from steps.governance.errors import UsageError
from steps.prepare import task_mix
from steps.prepare.arguments import parse
from steps.prepare.filings.tasks import INSTRUCTIONS
from tests.compiled_steps import arguments, variables

H, F, G, C = task_mix.TEMPLATES
BAD = [{F: 1.0}, {H: 0.5}, {H: 0.5, "other/1": 0.5}, {H: 1.5, F: -0.5}, {H: 0.9999999, F: 1e-7}, {}]


def configured(tasks: Any) -> config.Config:
    document = yaml.safe_load((config.CONF / "dev.yaml").read_text())
    changed = document["prepare"] | {"tasks": tasks}
    return config.parse(yaml.safe_dump(document | {"prepare": changed}), "dev", variables())


def test_both_sides_have_the_same_templates_and_each_has_words() -> None:
    assert prepare.TEMPLATES == task_mix.TEMPLATES == tuple(INSTRUCTIONS)
    assert prepare.HEADING == task_mix.HEADING


@pytest.mark.parametrize(
    "tasks", [{H: 1.0}, {H: 0.7, F: 0.3}, {G: 0.1, H: 0.7, F: 0.2}, {C: 0.2, H: 0.8}]
)
def test_prepare_takes_what_the_configuration_takes(tasks: dict[str, float]) -> None:
    given = configured(tasks).prepare.task_arguments
    argv = [*arguments("Prepare", "dev"), *(word for pair in given.items() for word in pair)]
    assert dict(parse(argv).tasks.shares) == tasks


@pytest.mark.parametrize("tasks", BAD)
def test_what_one_side_refuses_the_other_refuses(tasks: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected shares of risk-factor-heading/2"):
        configured(tasks)
    word = ",".join(f"{name}={share}" for name, share in tasks.items())
    with pytest.raises(UsageError, match="--tasks: shares that add up to 1"):
        parse([*arguments("Prepare", "dev"), "--tasks", word])


def test_without_tasks_all_examples_are_about_the_heading() -> None:
    assert configured(None).prepare.task_arguments == {}
    parsed = parse(arguments("Prepare", "dev"))
    assert parsed.tasks == task_mix.ONLY_HEADINGS
    assert parsed.tasks.name == "risk-factor-heading/2"
