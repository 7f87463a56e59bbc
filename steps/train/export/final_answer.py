"""The published files answer as the model in memory did: the last check before the manifest.

    probe = reproduce(tuned, folder)        # every process; `folder` matters in the leader

The model is still loaded, so the check costs one short answer: its adapters are overwritten with
NaN, loaded again from the files that will be archived, and asked the report's held-out question. A
tensor that the files lack would leave NaN, which is refused like any logit that is not finite.
Sums vary on a GPU, so at the first token that differs the earlier one must be nearly as likely.
"""

import hashlib
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel

from steps.governance.documents.manifest import Answer
from steps.governance.errors import IntegrityError
from steps.train.data.chat_template import Chat
from steps.train.distributed import processes
from steps.train.fine_tuning.sample import Generated
from steps.train.fine_tuning.task import Tuned
from steps.train.model import lora

# Logits between two tokens that count as a tie: bfloat16 has steps of 0.125 from 16 to 32.
_TIE = 0.25
_SAME = ("r", "lora_alpha", "target_modules", "peft_type", "use_rslora", "use_dora")


def reproduce(tuned: Tuned, folder: Path) -> Answer:
    """Load the files of `folder` into the model and answer again. Every process must call this.

    Raises:
        IntegrityError: the files do not give the model that was measured.
    """
    group = processes.here()
    group.from_leader(lambda: _require_same_configuration(tuned.model, folder))
    lora.overwrite(tuned.model, float("nan"))
    lora.load_adapters(tuned.model, folder)
    again = tuned.asked.question.generate(tuned.model)
    return group.from_leader(lambda: _accepted(tuned, again, folder))


def _require_same_configuration(model: PeftModel, folder: Path) -> None:
    saved, own = LoraConfig.from_pretrained(str(folder)), model.peft_config["default"]
    wrong = [name for name in _SAME if getattr(saved, name) != getattr(own, name)]
    if wrong:
        raise IntegrityError(
            f"{lora.CONFIGURATION} does not describe the tuned model",
            expected=", ".join(f"{name} {getattr(own, name)}" for name in wrong),
            got=", ".join(f"{name} {getattr(saved, name)}" for name in wrong),
            do="start a new execution",
        )


def _accepted(tuned: Tuned, again: Generated, folder: Path) -> Answer:
    """Return the answer for the manifest, decoded with the published tokenizer."""
    if not torch.isfinite(again.logits).all():
        raise IntegrityError(
            "the published adapter gives logits that are not finite",
            expected="finite logits for every token of its answer",
            got="NaN or infinity",
            do="start a new execution; lower LearningRate",
        )
    before = tuned.asked.tuned_ids
    distance = _distance(before, again)
    if distance > _TIE:
        raise IntegrityError(
            "the published files do not answer as the tuned model did",
            expected=f"the answer of {len(before)} tokens again, or a token within {_TIE} of it",
            got=f"another token, whose logit is {distance:.3g} higher",
            do="start a new execution; if it happens again, report it with Determinism full",
        )
    text = Chat(folder).decode(again.ids)
    return Answer(
        example_id=tuned.asked.sample.example_id,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        tokens=len(again.ids),
        same_tokens=before == again.ids,
    )


def _distance(before: tuple[int, ...], again: Generated) -> float:
    """Return how much less likely the earlier token is, where the answers first differ."""
    pairs = zip(before, again.ids, again.logits, strict=False)
    for earlier, now, logits in pairs:  # logits: (vocabulary,)
        if earlier != now:
            return float(logits[now] - logits[earlier])
    return 0.0
