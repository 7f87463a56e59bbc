"""How well base and tuned model complete held-out prompts: exact match and token-F1.

    answered = complete(model, chat, documents, precision, stop=stop)
    answered.tuned.exact, answered.base.f1

Decoding is greedy. Prompts are answered together, shorter ones padded on the left, so the packed
attention, which takes no mask, makes way for SDPA. Texts are compared in lower case without
punctuation, as words: exact match is the share of equal texts, and token-F1 the mean of the
harmonic mean of precision and recall of their words, as SQuAD defines both.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from peft import PeftModel

from steps.train.data.chat_template import EOS, PAD, Chat
from steps.train.data.document import Document
from steps.train.fine_tuning.evaluation import autocast
from steps.train.model.precision import Precision
from steps.train.stopping import StopSignal

EXAMPLES = 32  # prompts at most
_BATCH_TOKENS = 16384  # of the prompts that are answered together, with padding
_MOST_NEW, _SPARE = 96, 8  # tokens of an answer, and beyond its reference
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Score:
    """Means over the answers: the share that equal the reference, and the F1 of their words."""

    exact: float
    f1: float


@dataclass(frozen=True)
class Answered:
    """The scores of both models on the same prompts; `tokens` were read and generated for them."""

    examples: int
    base: Score
    tuned: Score
    tokens: int


def complete(
    model: PeftModel,
    chat: Chat,
    documents: Sequence[Document],
    precision: Precision,
    *,
    stop: StopSignal,
) -> Answered:
    """Answer the prompts of `documents` with the tuned model and its base.

    Every process must call this: all of them generate every answer.

    Raises:
        Stopped: SIGTERM was received.
    """
    references = [chat.decode(document.ids[document.prompt_tokens :]) for document in documents]
    tuned, read = _answers(model, documents, precision, stop)
    with model.disable_adapter():
        base, also_read = _answers(model, documents, precision, stop)
    of_base, of_tuned = (
        score([chat.decode(answer) for answer in answers], references) for answers in (base, tuned)
    )
    return Answered(len(documents), of_base, of_tuned, tokens=read + also_read)


def score(answers: Sequence[str], references: Sequence[str]) -> Score:
    """Compare each answer with its reference."""
    pairs = [
        (_WORD.findall(answer.lower()), _WORD.findall(reference.lower()))
        for answer, reference in zip(answers, references, strict=True)
    ]
    exact = sum(found == wanted for found, wanted in pairs) / len(pairs)
    return Score(exact, sum(_f1(found, wanted) for found, wanted in pairs) / len(pairs))


def _f1(found: list[str], wanted: list[str]) -> float:
    if not found or not wanted:
        return float(found == wanted)
    shared = (Counter(found) & Counter(wanted)).total()
    return 2 * shared / (len(found) + len(wanted))


def _answers(
    model: PeftModel, documents: Sequence[Document], precision: Precision, stop: StopSignal
) -> tuple[list[tuple[int, ...]], int]:
    """Return the answer to each prompt, and the tokens that were read and generated."""
    model.eval()
    found: dict[int, tuple[int, ...]] = {}
    tokens = 0
    with _padded_attention(model):
        for batch in _batches([document.prompt_tokens for document in documents]):
            stop.check()
            answers = _generate(model, [documents[each] for each in batch], precision)
            found |= dict(zip(batch, answers, strict=True))
            tokens += sum(documents[each].prompt_tokens for each in batch)
            tokens += sum(map(len, answers))
    return [found[number] for number in range(len(documents))], tokens


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the positions of prompts that are answered together, shortest first."""
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda each: lengths[each]):
        if batch and (len(batch) + 1) * lengths[number] > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


@torch.no_grad()
def _generate(
    model: PeftModel, documents: Sequence[Document], precision: Precision
) -> list[tuple[int, ...]]:
    device, longest = precision.device.torch_device, max(d.prompt_tokens for d in documents)
    padding = [longest - document.prompt_tokens for document in documents]
    rows = [
        [PAD] * before + list(document.ids[: document.prompt_tokens])
        for before, document in zip(padding, documents, strict=True)
    ]
    ids = torch.tensor(rows, device=device)  # (prompts, tokens)
    before = torch.tensor(padding, device=device)[:, None]
    reference = max(len(document) - document.prompt_tokens for document in documents)
    # Compiled layers would be recompiled for every token of the answer.
    with torch.compiler.set_stance("force_eager"), autocast(precision):
        answers = model.generate(
            input_ids=ids,
            attention_mask=(torch.arange(longest, device=device) >= before).long(),
            max_new_tokens=min(_MOST_NEW, reference + _SPARE),
            max_length=None,
            do_sample=False,
            eos_token_id=EOS,
            pad_token_id=PAD,
        )
    return [_until_end(answer) for answer in answers[:, longest:].tolist()]


def _until_end(answer: list[int]) -> tuple[int, ...]:
    return tuple(answer[: answer.index(EOS)] if EOS in answer else answer)


@contextmanager
def _padded_attention(model: PeftModel) -> Iterator[None]:
    """Let transformers' SDPA attend in this block: it takes a mask."""
    text = model.config.get_text_config()
    before, text._attn_implementation = text._attn_implementation, "sdpa"
    try:
        yield
    finally:
        text._attn_implementation = before
