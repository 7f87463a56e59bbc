"""Every form of input gives one answer per row, within the number of tokens that is asked for."""

from pathlib import Path
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


def test_a_null_system_message_is_the_one_of_the_training(model: Any) -> None:
    plain, mixed = (
        model.predict(frame(ASKED), params=FEW),
        frame(ASKED, ASKED, system=[None, "Answer in one word."]),
    )
    by_default, by_system = model.predict(mixed, params=FEW)
    assert [by_default] == plain
    assert by_system != by_default


def test_every_form_that_mlflow_takes_gives_one_answer_per_row(model: Any) -> None:
    first, second = model.predict(frame(ASKED, OTHER), params=FEW)
    forms = [
        {"prompt": [ASKED, OTHER]},
        {"prompt": [ASKED, OTHER], "system": None},
        {"prompt": numpy.array([ASKED, OTHER])},
        [{"prompt": ASKED}, {"prompt": OTHER}],
        pandas.Series([ASKED, OTHER], name="prompt"),
        frame(ASKED, OTHER, note=["left out", "by mlflow"]),
        frame(ASKED, OTHER).astype("string"),
    ]
    for form in forms:
        assert model.predict(form, params=FEW) == [first, second], form
    assert model.predict({"prompt": ASKED}, params=FEW) == [first]
    assert model.predict({"prompt": []}, params=FEW) == []
    assert model.predict(frame().astype("string"), params=FEW) == []
    one_system = model.predict(
        {"prompt": [ASKED, OTHER], "system": "Answer in one word."}, params=FEW
    )
    assert one_system == model.predict(
        frame(ASKED, OTHER, system=["Answer in one word."] * 2), params=FEW
    )
    assert one_system != [first, second]


def test_rows_without_pandas_are_those_of_a_frame() -> None:
    from steps.register.package.serving import rows_of

    rows = [
        {"prompt": ASKED, "system": "s", "note": 1},
        {"prompt": OTHER, "system": None, "note": 2},
    ]
    plain = [{name: row[name] for name in ("prompt", "system")} for row in rows]
    assert rows_of(rows) == rows
    assert rows_of({name: [row[name] for row in plain] for name in ("prompt", "system")}) == plain
    read = rows_of(
        pandas.DataFrame(rows, columns=["note", "system", "prompt", "note"], dtype=object)
    )
    assert read == plain


def test_a_null_number_of_tokens_is_the_default(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = model.unwrap_python_model()._model
    generate, limits = network.generate, []

    def shortened(**arguments: Any) -> Any:
        limits.append(arguments["max_new_tokens"])
        return generate(**arguments | {"max_new_tokens": 1})  # 128 tokens would take 10 s

    monkeypatch.setattr(network, "generate", shortened)
    for params in ({"max_new_tokens": None}, None, {"max_new_tokens": numpy.int32(3)}):
        model.predict(frame(ASKED), params=params)
    assert limits == [128, 128, 3]


@pytest.mark.parametrize("wrong", [0, -1, True, 3.0, 2.5, "3", [3], float("nan")])
def test_a_wrong_number_of_tokens_is_refused(model: Any, generated: list[int], wrong: Any) -> None:
    assert "max_new_tokens" in refusal(model, frame(ASKED), {"max_new_tokens": wrong})
    assert generated == []


def test_an_answer_ends_where_the_context_ends(model: Any) -> None:
    bare = model.unwrap_python_model()
    room = 4
    prompt = ASKED + "x" * (POSITIONS - room - len(bare._prompts.encode(ASKED)))
    lengths: list[int] = []
    generate = bare._model.generate

    def counted(**arguments: Any) -> Any:
        lengths.append(arguments["max_new_tokens"])
        return generate(**arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bare._model, "generate", counted)
        model.predict(frame(prompt), params={"max_new_tokens": 2**40})
        model.predict(frame(prompt + "x" * (room - 1)), params={"max_new_tokens": 2**40})
    assert lengths == [room, 1]
    assert f"got {POSITIONS}" in refusal(model, frame(prompt + "x" * room))


def test_an_unknown_parameter_is_dropped_by_mlflow_with_a_warning_that_names_it(
    model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert model.predict(frame(ASKED), params=FEW | {"top_k": 1}) == model.predict(
        frame(ASKED), params=FEW
    )
    assert "Unrecognized params ['top_k'] are ignored" in caplog.text


def test_equal_questions_are_computed_once(
    model: Any, generated: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    answers = model.predict(frame(ASKED, OTHER, ASKED, ASKED), params=FEW)
    assert len(generated) == 2
    assert answers == [answers[0], answers[1], answers[0], answers[0]]
    assert "max_length" not in caplog.text, "transformers would warn for each row"


def test_the_scoring_server_answers_each_of_its_forms_and_400_for_a_bad_row(
    model: Any, tmp_path: Path
) -> None:
    from mlflow.pyfunc.scoring_server import init
    from starlette.testclient import TestClient

    answers = model.predict(frame(ASKED, OTHER), params=FEW)
    with pytest.MonkeyPatch.context() as patch:
        # Init sets it: taken back afterwards
        patch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
        server = TestClient(init(model))
        records = [{"prompt": ASKED}, {"prompt": OTHER}]
        for form in (
            {"dataframe_split": {"columns": ["prompt"], "data": [[ASKED], [OTHER]]}},
            {"dataframe_records": records},
            {"inputs": {"prompt": [ASKED, OTHER]}},
            {"inputs": records},
            {"instances": records},
        ):
            response = server.post("/invocations", json=form | {"params": FEW})
            assert (response.status_code, response.json()) == (200, {"predictions": answers}), form
        bad = server.post(
            "/invocations", json={"dataframe_records": [*records, {"prompt": None}], "params": FEW}
        )
        assert bad.status_code == 400
        assert "row 2: prompt: expected a text, got null" in bad.json()["message"]
        none = server.post(
            "/invocations", json={"inputs": records, "params": {"max_new_tokens": 0}}
        )
        assert (none.status_code, none.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
