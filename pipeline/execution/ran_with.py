"""The parameters that an execution ran with, and which of them differ from its defaults.

    ran = ran_with.read(config, client, arn)
    ran.values          # {"LoraRank": "32", …}, every parameter
    ran.differing       # {"LoraRank": ("16", "32")}: default and value

The defaults are those of the execution's own definition, which may be older than the deployed one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from pipeline import account
from pipeline.configuration.config import Config


@dataclass(frozen=True)
class RanWith:
    """The defaults of an execution's definition and the values that it ran with, as texts."""

    defaults: Mapping[str, str]
    values: Mapping[str, str]

    @property
    def differing(self) -> dict[str, tuple[str, str]]:
        """The default and the value of each parameter whose value is not its default."""
        return {
            name: (self.defaults.get(name, ""), value)
            for name, value in self.values.items()
            if not same(self.defaults.get(name, ""), value)
        }


def read(config: Config, client: Any, arn: str) -> RanWith:
    """Return the defaults and values of an execution.

    Raises:
        Refused: AWS refused.
    """
    with account.answering(f"reading the parameters of {arn}", config):
        answer = client.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
        pages = client.get_paginator("list_pipeline_parameters_for_execution").paginate(
            PipelineExecutionArn=arn
        )
        given = {
            each["Name"]: each["Value"] for page in pages for each in page["PipelineParameters"]
        }
    return planned(json.loads(answer["PipelineDefinition"]), given)


def planned(definition: Mapping[str, Any], given: Mapping[str, str]) -> RanWith:
    """Return what an execution of a definition runs with, given the values of its start."""
    declared = definition["Parameters"]
    defaults = {p["Name"]: str(p["DefaultValue"]) for p in declared if "DefaultValue" in p}
    return RanWith(defaults, {**defaults, **given})


def nothing() -> RanWith:
    """Return that of no parameters."""
    return RanWith({}, {})


def same(one: str, other: str) -> bool:
    """Return whether two texts are one value. SageMaker writes numbers in its way (2.0E-4)."""
    if one == other:
        return True
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return False
