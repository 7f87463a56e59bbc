"""Pipeline variables in the two forms that jobs understand: text, and a URI that names its execution."""

from typing import Any, TypeAlias

from pipeline.graph.sdk import ExecutionVariables, Join, ParameterFloat, ParameterInteger
from pipeline.layout import EXECUTION

# A parameter, an execution variable or a Join; the SDK is untyped, so this name is for the reader.
Variable: TypeAlias = Any
Variables: TypeAlias = dict[str, Variable]


def uri(template: str) -> Join:
    """The layout's URI with SageMaker's execution id in its place."""
    before, after = template.split(EXECUTION)
    return Join(
        on="", values=[before, ExecutionVariables.PIPELINE_EXECUTION_ID, *filter(None, [after])]
    )


def texts(values: dict[str, Variable | str | int | float]) -> dict[str, Variable | str]:
    """Every value as the plain string that argv and hyperparameters.json hold; numbers are converted at run time."""
    return {name: _text(value) for name, value in values.items()}


def _text(value: Variable | str | int | float) -> Variable | str:
    if isinstance(value, ParameterInteger | ParameterFloat):
        return value.to_string()
    return str(value) if isinstance(value, int | float) else value
