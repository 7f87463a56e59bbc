"""Prompts for the served model, and the errors that it answers."""

from typing import Any

import pandas
import pytest

ASKED, OTHER = "What could reduce our revenue?", "Who depends on us?"
FEW = {"max_new_tokens": 3}
POSITIONS = 256  # of the model under test: its context, in tokens


def refusal(model: Any, data: Any, params: Any = FEW) -> str:
    """Return the message of the error for an input."""
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException) as caught:
        model.predict(data, params=params)
    return str(caught.value.message)


def frame(*prompts: Any, **columns: Any) -> pandas.DataFrame:
    return pandas.DataFrame({"prompt": pandas.Series(list(prompts), dtype=object)} | columns)
