"""The switch of the Triton kernels: stated in conf, taken by Train, absent where it is auto."""

import pytest
import yaml

from pipeline import definition
from pipeline.configuration import config
from pipeline.errors import ConfigError
from scripts.golden import variables
from steps.train.arguments import KERNELS, parse
from tests.compiled_steps import arguments


def configured(kernels: str) -> config.Config:
    document = yaml.safe_load((config.CONF / "dev.yaml").read_text())
    document["train"]["kernels"] = kernels
    return config.parse(yaml.safe_dump(document), "dev", variables())


@pytest.mark.sdk
def test_train_gets_the_switch_and_nothing_where_it_is_auto() -> None:
    assert '"kernels": "plain"' in definition.compiled(configured("plain"))
    assert '"kernels"' not in definition.compiled(configured("auto"))
    given = arguments("Train", "dev")
    assert parse(given).kernels == KERNELS[0] == "auto"
    assert parse(given | {"kernels": "plain"}).kernels == "plain"


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected auto or plain, got 'off'"):
        configured("off")
