"""Exact match and token-F1 of completions; a padded batch answers as one prompt alone does."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from steps.train.data.chat_template import Chat
from steps.train.data.document import Document
from steps.train.fine_tuning.held_out import completions
from steps.train.fine_tuning.held_out.completions import Decoding, Score, complete, score
from steps.train.fine_tuning.sample import Question
from steps.train.model import packed_attention, precision
from steps.train.planning import batching
from steps.train.stopping import Stopped, StopSignal
from tests.steps.train.support.adapted_model import CPU, adapt
from tests.steps.train.support.jobs import job, printed_lines, run

HOW = Decoding(precision.decide("storage", CPU), 4096, StopSignal())


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("We may lose customers.", "we may lose customers", Score(1.0, 1.0)),
        ("we may lose", "We may lose customers", Score(0.0, 6 / 7)),
        ("we we we", "we", Score(0.0, 0.5)),
        ("", "we", Score(0.0, 0.0)),
        ("…", "", Score(1.0, 1.0)),
    ],
)
def test_an_answer_is_compared_as_words(answer: str, reference: str, expected: Score) -> None:
    found = score([answer], [reference])
    assert (found.exact, found.f1) == (expected.exact, pytest.approx(expected.f1))


def test_scores_are_means() -> None:
    assert score(["a b", "c"], ["a b", "d"]) == Score(0.5, 0.5)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    return adapt(tiny_model, 0.2)


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    generator = torch.Generator().manual_seed(5)
    lengths = (9, 30, 17, 24)
    return [
        Document(
            (1, *torch.randint(20, 500, (n + 6,), generator=generator).tolist(), 2), n, f"x{n}"
        )
        for n in lengths
    ]


@pytest.mark.torch
def test_a_padded_batch_answers_as_each_prompt_alone(model: Any, documents: list[Document]) -> None:
    found = completions._answers(model, documents, HOW)
    assert found is not None
    batched = found.ids
    alone = [
        Question(document.ids[: document.prompt_tokens], HOW.precision).generate(model).ids
        for document in documents
    ]
    for answer, expected in zip(batched, alone, strict=True):
        assert answer == expected[: len(answer)]
    assert len(set(batched)) > 1, "equal answers would prove nothing"
    assert found.tokens == sum(d.prompt_tokens for d in documents) + sum(map(len, batched))
    assert model.config.get_text_config()._attn_implementation == packed_attention.NAME


@pytest.mark.torch
def test_tuned_and_base_answer_differently_and_are_both_scored(
    model: Any, documents: list[Document], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = Chat(tiny_model)
    own = completions._answers(model, documents, HOW)
    assert own is not None
    known = [
        Document((*d.ids[: d.prompt_tokens], *answer, 2), d.prompt_tokens, d.example_id)
        for d, answer in zip(documents, own.ids, strict=True)
    ]
    # A random model never ends an answer, so it gets no more tokens than its references have.
    monkeypatch.setattr(completions, "_SPARE", -1)
    found = complete(model, chat, known, HOW)
    assert found is not None
    assert found.examples == 4
    assert found.tuned == Score(1.0, 1.0), "its own answers are the references"
    assert found.base.f1 < 1


@pytest.mark.torch
def test_the_answers_stop_after_sigterm(model: Any, documents: list[Document]) -> None:
    with pytest.raises(Stopped):
        completions._answers(model, documents, replace(HOW, stop=StopSignal(requested=True)))


@pytest.mark.parametrize("most", [1, 400, 16384])
def test_long_prompts_are_answered_in_several_batches(most: int) -> None:
    lengths = [8192, 100, 8192, 200, 8192]
    batches = list(completions._batches(lengths, most))
    assert sorted(chain.from_iterable(batches)) == [0, 1, 2, 3, 4]
    assert all(
        len(each) == 1 or len(each) * max(lengths[n] for n in each) <= most for each in batches
    )
    assert len(batches) == {1: 5, 400: 4, 16384: 3}[most]


def device_with_room_for(prompts: int, asked: list[list[int]]) -> Callable[..., Any]:
    """Return a `_generate` that fails as on CUDA for more prompts; `asked` has their lengths."""
    generate = completions._generate

    def limited(model: Any, documents: list[Document], *more: Any) -> Any:
        asked.append([document.prompt_tokens for document in documents])
        if len(documents) > prompts:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return generate(model, documents, *more)

    return limited


@pytest.mark.torch
def test_a_batch_is_halved_where_the_device_has_no_memory_for_it(
    model: Any, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy = completions._answers(model, documents, HOW)
    asked = list[list[int]]()
    monkeypatch.setattr(completions, "_generate", device_with_room_for(1, asked))
    assert completions._answers(model, documents, HOW) == roomy
    assert asked == [[9, 17, 24, 30], [9, 17], [9], [17], [24, 30], [24], [30]]


@pytest.mark.torch
def test_a_process_with_a_shard_does_not_leave_the_others_waiting(
    model: Any, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "_generate", device_with_room_for(0, []))
    monkeypatch.setattr(completions.fsdp, "is_sharded", lambda model: True)
    with pytest.raises(torch.OutOfMemoryError):
        completions._answers(model, documents, HOW)


@pytest.mark.torch
@pytest.mark.parametrize("prompts", [32, 0])
def test_a_finished_training_is_published_without_completions_that_do_not_fit(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prompts: int
) -> None:
    finished = job(tmp_path / "ml", tiny_model, curated, max_steps="1")
    asked = list[list[int]]()
    monkeypatch.setattr(completions, "_generate", device_with_room_for(prompts, asked))
    # On a CPU a training pass has 2,048 tokens, and these prompts are fewer.
    monkeypatch.setattr(batching, "_CPU_TOKENS", 256)
    with printed_lines() as lines:
        run(finished)
    report = json.loads((finished.paths.model / "report.json").read_text())
    left_out = prompts == 0
    assert (report["completions"] is None) is left_out
    assert (completions.LEFT_OUT in report["warnings"]) is left_out
    for name in ("report.html", "README.md"):
        assert (completions.LEFT_OUT in (finished.paths.model / name).read_text()) is left_out
    assert sum(completions.LEFT_OUT in line for line in lines) == left_out
    most = report["parameters"]["micro_rows"] * report["parameters"]["sequence_length"]
    assert len(asked) > 1
    assert all(len(each) == 1 or len(each) * max(each) <= most for each in asked)
