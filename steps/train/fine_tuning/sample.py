"""Answers of the base and of the tuned model to one held-out prompt, for the report.

made = sample(model, chat, document, precision)
made.question.generate(model)        # the same prompt again, for example to reloaded adapters
"""

from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor

from steps.train.data.chat_template import EOS, PAD, Chat
from steps.train.data.document import Document
from steps.train.fine_tuning.evaluation import autocast
from steps.train.model.precision import Precision

_NEW_TOKENS = 48


@dataclass(frozen=True)
class Sample:
    """Greedy answers of both models. The prompt is governed text: only its id is kept."""

    example_id: str
    base: str
    tuned: str


@dataclass(frozen=True)
class Generated:
    """A greedy answer: its tokens, and the logits (tokens, vocabulary) that each was chosen by."""

    ids: tuple[int, ...]
    logits: Tensor


@dataclass(frozen=True)
class Question:
    """One held-out prompt as tokens, and the arithmetic to answer it in."""

    prompt: tuple[int, ...]
    precision: Precision

    @torch.no_grad()
    def generate(self, model: PeftModel) -> Generated:
        """Generate an answer. Every process of a split model must call this."""
        model.eval()
        # (1, prompt tokens)
        prompt = torch.tensor([self.prompt], device=self.precision.device.torch_device)
        # Compiled layers would be recompiled for every token of the answer.
        with torch.compiler.set_stance("force_eager"), autocast(self.precision):
            generated = model.generate(
                input_ids=prompt,
                max_new_tokens=_NEW_TOKENS,
                max_length=None,
                do_sample=False,
                eos_token_id=EOS,
                pad_token_id=PAD,
                output_logits=True,
                return_dict_in_generate=True,
            )
        ids = generated.sequences[0, prompt.shape[1] :].tolist()
        return Generated(tuple(ids), torch.cat(generated.logits).float())


@dataclass(frozen=True)
class Asked:
    """The question with both answers as text, and the tuned model's as tokens."""

    sample: Sample
    question: Question
    tuned_ids: tuple[int, ...]


def sample(model: PeftModel, chat: Chat, document: Document, precision: Precision) -> Asked:
    """Generate the answers of the tuned model and of its base to the prompt of `document`."""
    question = Question(document.ids[: document.prompt_tokens], precision)
    tuned = question.generate(model).ids
    with model.disable_adapter():
        base = question.generate(model).ids
    answers = Sample(document.example_id, chat.decode(base), chat.decode(tuned))
    return Asked(answers, question, tuned)
