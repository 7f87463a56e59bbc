"""Answers of the base and of the tuned model to one held-out prompt, for the report."""

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
    """Greedy answers of both models. The prompt is governed text: only its id is kept."""

    example_id: str
    base: str
    tuned: str


def sample(model: PeftModel, chat: Chat, document: Document, precision: Precision) -> Sample:
    """Generate the answers of the tuned model and of its base to the prompt of `document`."""
    model.eval()
    # Compiled layers would be recompiled for every token of the answer.
    with torch.compiler.set_stance("force_eager"):
        tuned = _answer(model, chat, document, precision)
        with model.disable_adapter():
            base = _answer(model, chat, document, precision)
    return Sample(document.example_id, base, tuned)


@torch.no_grad()
def _answer(model: PeftModel, chat: Chat, document: Document, precision: Precision) -> str:
    # (1, prompt tokens)
    prompt = torch.tensor(
        [document.ids[: document.prompt_tokens]], device=precision.device.torch_device
    )
    with autocast(precision):
        # (1, prompt tokens + new tokens)
        generated = model.generate(
            input_ids=prompt,
            max_new_tokens=_NEW_TOKENS,
            max_length=None,
            do_sample=False,
            eos_token_id=EOS,
            pad_token_id=PAD,
        )
    return chat.decode(generated[0, prompt.shape[1] :].tolist())
