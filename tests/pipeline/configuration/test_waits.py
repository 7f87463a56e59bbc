"""How long calls are repeated: stated in conf, taken by each step, with bounds."""

from typing import Any

import pytest
import yaml

from pipeline import definition, register_worker
from pipeline.configuration import config
from pipeline.configuration.sections import waits
from pipeline.errors import ConfigError
from scripts.golden import variables
from steps.governance.argument_types import WAITS, read
from steps.governance.unity_catalog import budgets
from steps.prepare.arguments import parse as parse_prepare
from steps.register.arguments import parse as parse_register
from steps.train.arguments import parse as parse_train
from tests.compiled_steps import arguments

LONG = {"start_seconds": 1800, "within_seconds": 7200, "register_seconds": 43_200}


def configured(section: Any, environment: str = "dev") -> config.Config:
    document = yaml.safe_load((config.CONF / f"{environment}.yaml").read_text())
    text = yaml.safe_dump(document | {"waits": section})
    return config.parse(text, environment, variables())


def test_both_sides_have_the_same_defaults_and_no_step_gets_an_argument() -> None:
    made = configured({})
    assert made.waits == waits.DEFAULTS
    assert waits.word(made.waits) == waits.of_register(made.waits) == {}
    assert budgets.Waits(made.waits.start_seconds, made.waits.within_seconds) == budgets.Waits()
    assert made.waits.register_seconds == budgets.DELIVERING_SECONDS
    assert parse_register(register_worker.arguments(made)).give_up_after_seconds == 21_600
    assert parse_prepare(arguments("Prepare", "dev")).waits == budgets.Waits()
    assert parse_train(arguments("Train", "dev")).waits == budgets.Waits()


@pytest.mark.sdk
def test_each_step_gets_and_takes_what_is_configured() -> None:
    made = configured(LONG)
    word = waits.word(made.waits)["waits"]
    assert definition.compiled(made).count(f'"{word}"') == 2  # Prepare and Train
    expected = budgets.Waits(1800.0, 7200.0)
    assert parse_prepare([*arguments("Prepare", "dev"), "--waits", word]).waits == expected
    assert parse_train(arguments("Train", "dev") | {"waits": word}).waits == expected
    assert parse_register(register_worker.arguments(made)).give_up_after_seconds == 43_200


@pytest.mark.parametrize(("key", "least"), [("start", 900), ("within", 1800), ("register", 21_600)])
def test_a_wait_has_bounds_and_only_the_local_environment_may_be_shorter(
    key: str, least: int
) -> None:
    name = f"{key}_seconds"
    assert getattr(configured({name: least}).waits, name) == least
    with pytest.raises(ConfigError, match=f"expected at least {least} s outside of the local"):
        configured({name: least - 1})
    assert getattr(configured({name: 1}, "local").waits, name) == 1
    for wrong in (0, 43_201, 960.5, "960"):
        with pytest.raises(ConfigError, match=f"waits.{name}"):
            configured({name: wrong}, "local")


@pytest.mark.parametrize("text", ["960", "960,", "0,960", "960,43201", "1,2,3", "a,b", "-1,2"])
def test_a_step_refuses_another_form(text: str) -> None:
    _, (fault,) = read({"waits": WAITS}, {"waits": text})
    assert fault.startswith("waits: two whole numbers of seconds")
