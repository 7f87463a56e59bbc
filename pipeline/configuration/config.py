"""The configuration of one environment: conf/<env>.yaml, checked and frozen.

    config = load("dev")
    config.train.max_runtime_seconds

No file inherits from another. Values that follow from the environment, the account and the region
may be left out (`pipeline.configuration.derived`). `${NAME}` is read from the environment of the
process, here and nowhere else. One `ConfigError` reports every fault of a file; unknown keys are
refused, with the nearest known key.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.configuration import consistency, derived, file
from pipeline.configuration.file import CONF
from pipeline.configuration.messages import Fault, described, substituted
from pipeline.configuration.parameters import Value
from pipeline.configuration.sections.account import Aws, Databricks, PipelineSection, Storage
from pipeline.configuration.sections.evidence import Evidence
from pipeline.configuration.sections.limits import Limits
from pipeline.configuration.sections.logs import Logging
from pipeline.configuration.sections.openlineage import OpenLineage
from pipeline.configuration.sections.prepare import Prepare
from pipeline.configuration.sections.register import Register
from pipeline.configuration.sections.strictness import STRICT
from pipeline.configuration.sections.train import Train
from pipeline.configuration.sections.waits import Waits
from pipeline.errors import ConfigError


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """The configuration of one environment."""

    environment: str
    aws: Aws
    pipeline: PipelineSection
    databricks: Databricks
    storage: Storage
    prepare: Prepare
    train: Train
    register: Register
    evidence: Evidence
    limits: Limits  # what no parameter can pass
    logging: Logging
    waits: Waits  # for a service that does not answer
    openlineage: OpenLineage | None = Field(description="a section, or null")
    parameters: dict[str, Value] = Field(
        description="defaults of this environment, by parameter name"
    )


_CONFIG = TypeAdapter(Config)


def load(
    environment: str,
    *,
    environ: Mapping[str, str] = os.environ,
    conf: Path = CONF,
    ids_known: bool = True,
) -> Config:
    """Return the configuration of an environment.

    Args:
        environment: names the file.
        environ: the variables of a file that refers to some.
        conf: the folder of the file.
        ids_known: False for who makes the principals: a federated environment then needs none of
            their application ids yet.

    Raises:
        UsageError: the file does not exist.
        ConfigError: the file has faults; all of them are in the message.
    """
    return parse(file.text(environment, conf), environment, environ, ids_known=ids_known)


def default_parameters(environment: str, *, conf: Path = CONF) -> dict[str, Any]:
    """Return the parameter defaults in an environment's file, unchecked: `load` checks them.

    Raises:
        UsageError: the file does not exist.
        ConfigError: the file is not a mapping.
    """
    document = file.mapping(file.text(environment, conf), f"conf/{environment}.yaml")
    parameters = document.get("parameters")
    return parameters if isinstance(parameters, dict) else {}


def tree(config: Config) -> dict[str, Any]:
    """Return the configuration as plain JSON values."""
    plain: dict[str, Any] = _CONFIG.dump_python(config, mode="json")
    return plain


def parse(
    text: str, environment: str, environ: Mapping[str, str], *, ids_known: bool = True
) -> Config:
    """Return the configuration that a file's text means in an environment; see `load`.

    Raises:
        ConfigError: the text has faults.
    """
    name = f"conf/{environment}.yaml"
    written, unset = substituted(file.mapping(text, name), environ, environment)
    document, found = derived.complete(written, environment)
    config, faults = None, []
    try:
        # Through JSON: it is strict about scalars, but takes a mapping as a section and a list as
        # a tuple.
        content = json.dumps({**document, "environment": environment}, default=str)
        config = _CONFIG.validate_json(content, context={"environment": environment})
    except ValidationError as error:
        faults = described(error.errors(), _CONFIG.json_schema())
    unset_paths = {path for path, _ in unset}
    faults = [*unset, *(fault for fault in faults if fault[0] not in unset_paths)]
    faults = _without_consequences(
        [*faults, *consistency.faults(document, ids_known=ids_known)], found
    )
    if config is None or faults:
        raise ConfigError(name, faults)
    return config


def _without_consequences(faults: list[Fault], found: Mapping[str, derived.Derived]) -> list[Fault]:
    """The faults without those of derived values whose source has a fault itself."""
    faulty = {path for path, _ in faults}
    faulty |= {
        source for path in found for source in found[path].sources if _section(source) in faulty
    }
    return [
        (path, text)
        for path, text in faults
        if path not in found or faulty.isdisjoint(found[path].sources)
    ]


def _section(path: str) -> str:
    return path.partition(".")[0]
