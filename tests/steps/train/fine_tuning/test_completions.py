"""Exact match and token-F1 of completions; a padded batch answers as one prompt alone does."""

from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from steps.train.data.chat_template import Chat
from steps.train.data.document import Document
from steps.train.fine_tuning.held_out import completions
from steps.train.fine_tuning.held_out.completions import Score, complete, score
from steps.train.fine_tuning.sample import Question
from steps.train.model import packed_attention, precision
from steps.train.stopping import Stopped, StopSignal
from tests.steps.train.support.adapted_model import CPU, adapt

HOW = precision.decide("storage", CPU)


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
    batched, tokens = completions._answers(model, documents, HOW, StopSignal())
    alone = [
        Question(document.ids[: document.prompt_tokens], HOW).generate(model).ids
        for document in documents
    ]
    for answer, expected in zip(batched, alone, strict=True):
        assert answer == expected[: len(answer)]
    assert len(set(batched)) > 1, "equal answers would prove nothing"
    assert tokens == sum(d.prompt_tokens for d in documents) + sum(map(len, batched))
    assert model.config.get_text_config()._attn_implementation == packed_attention.NAME


@pytest.mark.torch
def test_tuned_and_base_answer_differently_and_are_both_scored(
    model: Any, documents: list[Document], tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = Chat(tiny_model)
    own, _ = completions._answers(model, documents, HOW, StopSignal())
    known = [
        Document((*d.ids[: d.prompt_tokens], *answer, 2), d.prompt_tokens, d.example_id)
        for d, answer in zip(documents, own, strict=True)
    ]
    # A random model never ends an answer, so it gets no more tokens than its references have.
    monkeypatch.setattr(completions, "_SPARE", -1)
    found = complete(model, chat, known, HOW, stop=StopSignal())
    assert found.examples == 4
    assert found.tuned == Score(1.0, 1.0), "its own answers are the references"
    assert found.base.f1 < 1


@pytest.mark.torch
def test_the_answers_stop_after_sigterm(model: Any, documents: list[Document]) -> None:
    with pytest.raises(Stopped):
        completions._answers(model, documents, HOW, StopSignal(requested=True))


def test_long_prompts_are_answered_in_several_batches() -> None:
    lengths = [8192, 100, 8192, 200, 8192]
    batches = list(completions._batches(lengths))
    assert sorted(chain.from_iterable(batches)) == [0, 1, 2, 3, 4]
    assert all(
        len(each) * max(lengths[n] for n in each) <= completions._BATCH_TOKENS for each in batches
    )
    assert len(batches) > 1
