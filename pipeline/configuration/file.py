"""Reading conf/<env>.yaml: its text, and the mapping that the text means.

document = mapping(text("dev", CONF), "conf/dev.yaml")
"""

from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigError, UsageError, did_you_mean

CONF = Path(__file__).resolve().parents[2] / "conf"


def text(environment: str, conf: Path) -> str:
    """Return the text of an environment's file.

    Raises:
        UsageError: there is no such file.
        ConfigError: it cannot be read as UTF-8.
    """
    known = sorted(path.stem for path in conf.glob("*.yaml"))
    if environment not in known:
        message = (
            f"no environment {environment!r} in {conf.name}/{did_you_mean(environment, known)}"
        )
        raise UsageError(message)
    path = conf / f"{environment}.yaml"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"expected readable UTF-8 text, got: {error}"
        raise ConfigError(f"conf/{path.name}", [("(file)", fault)]) from error


def mapping(content: str, file: str) -> dict[str, Any]:
    """Return the mapping that a file's text means.

    Raises:
        ConfigError: the text is not YAML, not a mapping, or has a key twice.
    """
    try:
        document = yaml.load(content, Loader=_UniqueKeys)  # noqa: S506  it is a SafeLoader
    except yaml.YAMLError as error:
        fault = f"is not YAML: {' '.join(str(error).split())}"
        raise ConfigError(file, [("(file)", fault)]) from error
    if not isinstance(document, dict):
        fault = f"expected a mapping of sections, got {type(document).__name__}"
        raise ConfigError(file, [("(file)", fault)])
    return document


class _UniqueKeys(yaml.SafeLoader):
    """A loader that refuses a repeated key. By itself YAML takes the last value without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value!r} is there twice", problem_mark=key.start_mark
                )
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return found
