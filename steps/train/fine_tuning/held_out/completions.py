"""How well base and tuned model complete held-out prompts: exact match and token-F1.

    how = Decoding(precision, batching.micro_rows * sequence_length, stop)
    answered = complete(model, chat, documents, how)        # None: one prompt does not fit
    answered.tuned.exact, answered.base.f1

Decoding is greedy. Prompts are answered together, shorter ones padded on the left, so the packed
attention, which takes no mask, makes way for SDPA. A batch has at most the tokens of a training
pass, and is halved where the device has no memory for it: a finished training is never lost for
this. Texts are compared in lower case without
punctuation, as words: exact match is the share of equal texts, and token-F1 the mean of the
harmonic mean of precision and recall of their words, as SQuAD defines both.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from peft import PeftModel

from steps.train.data.chat_template import EOS, PAD, Chat
from steps.train.data.document import Document
from steps.train.distributed import fsdp
from steps.train.fine_tuning.evaluation import autocast
from steps.train.model.precision import Precision
from steps.train.stopping import StopSignal
from steps.train.tracking import metric_lines

EXAMPLES = 32  # prompts at most
_BATCH_TOKENS = 16384  # of the prompts that are answered together, with padding, at most
_MOST_NEW, _SPARE = 96, 8  # tokens of an answer, and beyond its reference
_WORD = re.compile(r"\w+")
# For log and report
LEFT_OUT = "no completions were measured: the device has no memory for one of the prompts"


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


@dataclass(frozen=True)
class Decoding:
    """The arithmetic, the tokens of a training pass, and whether SIGTERM was received."""

    precision: Precision
    pass_tokens: int
    stop: StopSignal


def complete(
    model: PeftModel, chat: Chat, documents: Sequence[Document], how: Decoding
) -> Answered | None:
    """Answer the prompts of `documents` with the tuned model and its base.

    None, and a line in the log, if the device has no memory for one of the prompts. Every process
    must call this: all of them generate every answer.

    Raises:
        Stopped: SIGTERM was received.
        torch.OutOfMemoryError: in a process that has a shard of the base. The others wait for it
            in the middle of the pass, so it cannot repeat it with fewer prompts.
    """
    references = [chat.decode(document.ids[document.prompt_tokens :]) for document in documents]
    tuned = _answers(model, documents, how)
    with model.disable_adapter():
        base = _answers(model, documents, how) if tuned else None
    if not tuned or not base:
        metric_lines.report_info(LEFT_OUT)
        return None
    of_base, of_tuned = (
        score([chat.decode(answer) for answer in each.ids], references) for each in (base, tuned)
    )
    return Answered(len(documents), of_base, of_tuned, tokens=base.tokens + tuned.tokens)


def tokens_of(answered: Answered | None) -> int:
    """Return the tokens that were read and generated; 0 where no completions were measured."""
    return answered.tokens if answered else 0


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


@dataclass(frozen=True)
class _Answers:
    """The answer to each prompt, and the tokens that were read and generated."""

    ids: list[tuple[int, ...]]
    tokens: int


def _answers(model: PeftModel, documents: Sequence[Document], how: Decoding) -> _Answers | None:
    """Answer all prompts; None if one of them alone does not fit the memory."""
    model.eval()
    found: dict[int, tuple[int, ...]] = {}
    lengths = [document.prompt_tokens for document in documents]
    waiting = deque(_batches(lengths, min(_BATCH_TOKENS, how.pass_tokens)))
    with _padded_attention(model):
        while waiting:
            how.stop.check()
            batch = waiting.popleft()
            answers = _generate_if_it_fits(model, [documents[n] for n in batch], how.precision)
            if answers is not None:
                found |= dict(zip(batch, answers, strict=True))
            elif len(batch) == 1:
                return None
            else:
                half = len(batch) // 2
                waiting.extendleft([batch[half:], batch[:half]])
    tokens = sum(lengths) + sum(map(len, found.values()))
    return _Answers([found[number] for number in range(len(documents))], tokens)


def _batches(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Yield the positions of prompts that are answered together, shortest first.

    A prompt of more than `most_tokens` is answered alone.
    """
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda each: lengths[each]):
        if batch and (len(batch) + 1) * lengths[number] > most_tokens:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _generate_if_it_fits(
    model: PeftModel, documents: Sequence[Document], precision: Precision
) -> list[tuple[int, ...]] | None:
    """Return the answers; None if the device has no memory for so many prompts."""
    try:
        return _generate(model, documents, precision)
    except torch.OutOfMemoryError:
        if fsdp.is_sharded(model):
            raise
    # Not in the handler: its traceback refers to the tensors of the failed pass.
    torch.cuda.empty_cache()
    return None


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
