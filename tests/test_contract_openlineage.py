"""Where run events are sent: the configuration and the steps have the same rules."""

from typing import Any

import pytest
import yaml

from pipeline import definition, register_worker
from pipeline.configuration import config
from pipeline.configuration.sections import openlineage
from pipeline.errors import ConfigError
from scripts.golden import variables
from steps.governance.openlineage import target
from steps.prepare.arguments import parse as parse_prepare
from steps.register.arguments import parse as parse_register
from steps.train.arguments import parse as parse_train
from tests.compiled_steps import arguments

URL = "https://lineage.example.com/api/v1/lineage"
SECTIONS = [
    ({"transport": "file", "path": "/var/log/events.ndjson"}, "file:/var/log/events.ndjson"),
    ({"transport": "http", "url": URL}, URL),
    ({"transport": "datazone", "domain": "dzd_4x7k2m9p1q0z"}, "datazone:dzd_4x7k2m9p1q0z"),
]


def configured(section: Any) -> config.Config:
    document = yaml.safe_load((config.CONF / "dev.yaml").read_text())
    text = yaml.safe_dump(document | {"openlineage": section})
    return config.parse(text, "dev", variables())


def test_both_sides_have_the_same_patterns() -> None:
    names = ("FILE", "URL", "DOMAIN")
    assert [getattr(openlineage, name) for name in names] == [
        getattr(target, name) for name in names
    ]


@pytest.mark.sdk
@pytest.mark.parametrize(("section", "word"), SECTIONS)
def test_each_step_gets_and_takes_the_configured_target(section: Any, word: str) -> None:
    made = configured(section)
    compiled = definition.compiled(made)
    assert compiled.count(f'"{word}"') == 2  # Prepare's argv and Train's hyperparameters
    expected = target.parse(word)
    assert parse_prepare([*arguments("Prepare", "dev"), "--openlineage", word]).openlineage == (
        expected
    )
    assert parse_train(arguments("Train", "dev") | {"openlineage": word}).openlineage == expected
    assert parse_register(register_worker.arguments(made)).openlineage == expected


@pytest.mark.parametrize("section", [None, {"transport": "none"}])
def test_without_a_receiver_no_step_gets_the_argument(section: Any) -> None:
    made = configured(section)
    assert openlineage.word(made.openlineage) == {}
    assert "--openlineage" not in register_worker.arguments(made)
    assert parse_register(register_worker.arguments(made)).openlineage is None
    assert parse_prepare(arguments("Prepare", "dev")).openlineage is None
    assert parse_train(arguments("Train", "dev")).openlineage is None


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"transport": "http"}, "openlineage.url.*missing; transport http needs it"),
        ({"transport": "none", "url": URL}, "openlineage.url.*not taken by transport none"),
        ({"transport": "file", "path": "relative"}, "openlineage.path.*an absolute path"),
        ({"transport": "http", "url": "http://example.com/"}, "openlineage.url.*https://host/path"),
        ({"transport": "http", "url": "https://u:canary5ecret@h/"}, "openlineage.url.*no user"),
        ({"transport": "datazone", "domain": "x"}, "openlineage.domain.*domain.s id"),
        ({"transport": "kafka"}, "openlineage.transport"),
    ],
)
def test_a_wrong_section_is_refused(section: Any, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault) as refused:
        configured(section)
    assert "canary5ecret" not in str(refused.value)
