"""The loaded model answers every row of its input, or refuses all with one error."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pandas
import pytest

from steps.register.model_registry.mlflow_session import import_mlflow
from steps.register.package import model_package
from tests.steps.register.support import tiny_model

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings(
        "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
    ),  # peft 0.21
]

ASKED, OTHER = "What could reduce our revenue?", "Who depends on us?"
FEW = {"max_new_tokens": 3}
POSITIONS = 256  # of the model under test: its context


@pytest.fixture(scope="module")
def model(base_model: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The folder that Register uploads, loaded with plain mlflow from a filled cache."""
    folder = tmp_path_factory.mktemp("serving")
    base = dict(base_model)
    config = json.loads(base["config.json"])
    config["text_config"]["max_position_embeddings"] = POSITIONS
    base["config.json"] = json.dumps(config).encode()
    adapter = folder / "unpacked" / "adapter"
    adapter.mkdir(parents=True)
    for name, content in tiny_model.adapter(base).items():
        (adapter / name).write_bytes(content)
    files = [
        {"path": name, "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in base.items()
    ]
    description = {"files": files, "name": "tiny", "revision": "0" * 40, "uri": "s3://nowhere/base"}
    model_package.build(folder / "model", adapter=adapter, base_model=description, metadata={})
    identity = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
    cached = folder / "cache" / "base-models" / identity
    cached.mkdir(parents=True)
    for name, content in base.items():
        (cached / name).write_bytes(content)
    import_mlflow()
    import mlflow.pyfunc

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOVERNED_FINETUNE_CACHE", str(folder / "cache"))
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        yield mlflow.pyfunc.load_model(str(folder / "model"))


@pytest.fixture
def generated(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length in tokens of each prompt that reached the network."""
    lengths: list[int] = []
    network = model.unwrap_python_model()._model
    generate = network.generate

    def counted(**arguments: Any) -> Any:
        lengths.append(arguments["input_ids"].shape[1])
        return generate(**arguments)

    monkeypatch.setattr(network, "generate", counted)
    return lengths


@pytest.fixture
def direct(model: Any) -> Any:
    """The model without mlflow's check of the signature."""
    bare = model.unwrap_python_model()
    return SimpleNamespace(predict=lambda data, params: list(bare.predict(None, data, params)))


def refusal(model: Any, data: Any, params: Any = FEW) -> str:
    """Return the message of the error for an input."""
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException) as caught:
        model.predict(data, params=params)
    return str(caught.value.message)


def frame(*prompts: Any, **columns: Any) -> pandas.DataFrame:
    return pandas.DataFrame({"prompt": pandas.Series(list(prompts), dtype=object)} | columns)


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
        patch.setenv(
            "_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true"
        )  # init sets it: taken back afterwards
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
