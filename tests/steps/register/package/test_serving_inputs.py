"""The loaded model answers every row of its input, or refuses all with one error."""

from typing import Any

import numpy
import pandas
import pytest

from tests.steps.register.support.prompts import ASKED, FEW, OTHER, POSITIONS, frame, refusal

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.torch,
    # peft 0.21
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]


@pytest.mark.parametrize(
    ("bad", "got"),
    [
        (None, "prompt: expected a text, got null"),
        (float("nan"), "prompt: expected a text, got null"),
        (pandas.NA, "prompt: expected a text, got null"),
        (pandas.NaT, "prompt: expected a text, got null"),
        ("", "prompt: expected a text, got an empty one"),
        (" \n\t", "prompt: expected a text, got an empty one"),
        (7, "prompt: expected a text, got int"),
        (b"bytes", "prompt: expected a text, got bytes"),
        (["a", "b"], "prompt: expected a text, got list"),
        ({"text": "a"}, "prompt: expected a text, got dict"),
        ("half \ud83d of a pair", "prompt: expected Unicode text, got half of a surrogate pair"),
        (
            "x" * (POSITIONS + 1),
            f"prompt: expected fewer than the context's {POSITIONS} tokens, got ",
        ),
    ],
)
def test_a_bad_prompt_refuses_the_batch_by_row_before_anything_is_generated(
    model: Any, generated: list[int], bad: Any, got: str
) -> None:
    message = refusal(model, frame(ASKED, bad, OTHER))
    assert message.startswith(
        "1 of 3 rows cannot be answered, so no row was answered; correct them or leave them out."
    )
    assert f"row 1: {got}" in message
    assert generated == []


def test_one_error_names_all_bad_rows_and_no_text_of_theirs(
    model: Any, generated: list[int]
) -> None:
    message = refusal(
        model, frame(None, ASKED, 3, system=pandas.Series(["", 5, None], dtype=object))
    )
    assert "3 of 3 rows" in message
    for fault in (
        "row 0: prompt: expected a text, got null",
        "row 1: system: expected a text, got int",
        "row 2: prompt",
    ):
        assert fault in message
    assert ASKED not in message
    many = refusal(model, frame(*[None] * 150))
    assert "150 of 150 rows" in many
    assert many.count("got null") == 100
    assert generated == []


def test_lists_of_several_lengths_are_refused(model: Any, generated: list[int]) -> None:
    message = refusal(model, {"prompt": [ASKED, OTHER], "system": ["a", "b", "c"]})
    assert message == "expected lists of one length in prompt and system, got lengths [2, 3]."
    assert "row 1: prompt: expected a text, got null" in refusal(model, {"prompt": [ASKED, None]})
    assert generated == []


@pytest.mark.parametrize(
    "unnamed", [ASKED, [ASKED, OTHER], pandas.Series([ASKED]), numpy.array([[ASKED]]), frame(1)]
)
def test_input_without_a_column_of_texts_is_refused_by_mlflow(model: Any, unnamed: Any) -> None:
    if isinstance(unnamed, pandas.DataFrame):
        assert "Incompatible input types for column prompt" in refusal(
            model, unnamed.astype("int64")
        )
    else:
        assert "Model is missing inputs ['prompt']" in refusal(model, unnamed)


def test_the_model_itself_refuses_input_that_no_signature_checked(direct: Any) -> None:
    assert direct.predict([{"prompt": ASKED}], FEW) == direct.predict({"prompt": [ASKED]}, FEW)
    wanted = "expected a data frame with one column `prompt` and at most one `system`, got"
    assert refusal(direct, [ASKED]) == f"{wanted} list []."
    assert refusal(direct, []) == f"{wanted} list []."
    assert refusal(direct, numpy.array([ASKED])) == f"{wanted} ndarray []."
    assert refusal(direct, ASKED) == f"{wanted} str []."
    assert (
        refusal(direct, frame(ASKED)[["prompt", "prompt"]])
        == f"{wanted} DataFrame ['prompt', 'prompt']."
    )
    assert (
        refusal(direct, frame(ASKED), {"temperature": 1})
        == "expected no parameter but max_new_tokens, got ['temperature']."
    )
    for wrong in (True, 3.0, "3", float("nan")):
        assert refusal(direct, frame(ASKED), {"max_new_tokens": wrong}).startswith(
            "max_new_tokens: expected at least 1"
        )


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([{"prompt": ASKED}, None], "row 1: expected a dictionary, got NoneType"),
        ([ASKED, {"prompt": ASKED}], "row 0: expected a dictionary, got str"),
        ([{"prompt": ASKED}, ["a"]], "row 1: expected a dictionary, got list"),
        ([{"prompt": ASKED}, {"system": "a"}], "row 1: prompt: expected a text, got null"),
        (
            {"prompt": "half \ud83d"},
            "row 0: prompt: expected Unicode text, got half of a surrogate pair",
        ),
        (
            [{"prompt": ASKED}, {"prompt": "\udc00"}],
            "row 1: prompt: expected Unicode text, got half of a surrogate",
        ),
        (
            {"prompt": [ASKED], "system": ["\ud83d"]},
            "row 0: system: expected Unicode text, got half of a surrogate",
        ),
    ],
)
def test_a_row_of_any_kind_is_refused_by_its_number(
    direct: Any, generated: list[int], rows: Any, fault: str
) -> None:
    assert fault in refusal(direct, rows)
    assert generated == []


def test_a_column_that_is_there_twice_and_parameters_without_names_are_refused(direct: Any) -> None:
    twice = pandas.DataFrame([[ASKED, "a", "b"]], columns=["prompt", "system", "system"])
    assert "at most one `system`, got DataFrame ['prompt', 'system', 'system']" in refusal(
        direct, twice, None
    )
    for wrong, kind in ((["a"], "list"), ([], "list"), ("max_new_tokens", "str")):
        assert (
            refusal(direct, {"prompt": ASKED}, wrong)
            == f"params: expected a dictionary, got {kind}."
        )
