"""What the model says to one held-out question, before and after training: a glance, not a measure."""

from dataclasses import dataclass

import torch
from peft import PeftModel

from steps.train.data.chat_template import EOS, PAD, Chat
from steps.train.data.document import Document
from steps.train.fine_tuning.evaluation import autocast
from steps.train.model.precision import Precision

_NEW_TOKENS = 48


@dataclass(frozen=True)
class Sample:
    """Greedy answers of the base and of the tuned model. The question is named, not quoted: it is governed text."""

    example_id: str
    base: str
    tuned: str


def sample(model: PeftModel, chat: Chat, document: Document, precision: Precision) -> Sample:
    """Let both models answer the question of one held-out example."""
    model.eval()
    with torch.compiler.set_stance(
        "force_eager"
    ):  # compiled layers would be compiled anew for every token of the answer
        tuned = _answer(model, chat, document, precision)
        with model.disable_adapter():
            base = _answer(model, chat, document, precision)
    return Sample(document.example_id, base, tuned)


@torch.no_grad()
def _answer(model: PeftModel, chat: Chat, document: Document, precision: Precision) -> str:
    question = torch.tensor(
        [document.ids[: document.prompt_tokens]], device=precision.device.torch_device
    )
    with autocast(precision):
        answered = model.generate(
            input_ids=question,
            max_new_tokens=_NEW_TOKENS,
            max_length=None,
            do_sample=False,
            eos_token_id=EOS,
            pad_token_id=PAD,
        )
    return chat.decode(answered[0, question.shape[1] :].tolist())
