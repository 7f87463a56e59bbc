"""Pipeline variables in the two forms that jobs take: text, and a URI with the execution's id."""

from typing import Any, TypeAlias

from pipeline.graph.sdk import ExecutionVariables, Join, ParameterFloat, ParameterInteger
from pipeline.layout import EXECUTION

# A parameter, an execution variable or a Join. The SDK has no types, so this is documentation only.
Variable: TypeAlias = Any
Variables: TypeAlias = dict[str, Variable]


def uri(template: str) -> Join:
    """Return a URI of `pipeline.layout` with SageMaker's variable as the execution id."""
    before, after = template.split(EXECUTION)
    return Join(
        on="", values=[before, ExecutionVariables.PIPELINE_EXECUTION_ID, *filter(None, [after])]
    )


def texts(values: dict[str, Variable | str | int | float]) -> dict[str, Variable | str]:
    """Return every value as the text that argv and hyperparameters.json contain.

    SageMaker converts the numbers of parameters to text when it runs the step.
    """
    return {name: _text(value) for name, value in values.items()}


def _text(value: Variable | str | int | float) -> Variable | str:
    if isinstance(value, ParameterInteger | ParameterFloat):
        return value.to_string()
    return str(value) if isinstance(value, int | float) else value
