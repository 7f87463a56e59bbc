"""The peers, each used as its documentation recommends.

They train on the same documents and the same checkpoint, as transformers loads it (dequantized),
with PEFT's LoRA of the same rank on the same linears. An optimizer step has about as many tokens as
one of ours. On a CPU both sides compute in float32, because bfloat16 is slower there; on a GPU the
peers compute in bfloat16, which is TRL's default.
"""

import os
import tempfile
import warnings
from typing import Any

from scripts.training_bench.cases.documents import Text, filings_like, in_average_batches
from scripts.training_bench.cases.ours import LEARNING_RATE, RANK
from scripts.training_bench.job import Job

PADDED_BATCH = 8
_PADDED_PASSES = 5  # of 8 documents of 370 tokens: 14,800; 4 packed rows of 4,096 have 16,384
_PACKED_PASSES = 4
_TARGETS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"


def trainer(job: Job, *, grouped: bool) -> dict[str, Any]:
    """Measure transformers' Trainer with padding; `grouped` batches have similar lengths."""
    _offline()
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    from scripts.training_bench.cases.meter import Meter

    meter = Meter(job.device, job.warm_up)
    model = _adapted(_stock(job))
    texts = _texts(job, model)
    if not grouped:
        texts = in_average_batches(texts, PADDED_BATCH, first=job.warm_up, seed=job.seed)
    strategy = "group_by_length" if grouped else "sequential"  # the order is random already
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(**_padded(job, scratch), train_sampling_strategy=strategy)
        made = Trainer(
            model=model,
            args=arguments,
            train_dataset=_dataset(texts),
            data_collator=DataCollatorForSeq2Seq(_tokenizer(job)),
        )
        return _measured(made, meter)


def trl(job: Job, *, packed: bool, recompute: bool) -> dict[str, Any]:
    """Measure TRL's SFTTrainer: padded, which is its default, or with `packing="bfd"`.

    `recompute` is gradient checkpointing, which is on by default.
    """
    _offline()
    from trl.trainer.sft_trainer import SFTConfig, SFTTrainer

    from scripts.training_bench.cases.meter import Meter

    meter = Meter(job.device, job.warm_up)
    model = _stock(job)
    with tempfile.TemporaryDirectory() as scratch:
        common = _packed(job, scratch) if packed else _padded(job, scratch)
        made = SFTTrainer(
            model=model,
            args=SFTConfig(**common, gradient_checkpointing=recompute, packing=packed),
            train_dataset=_dataset(_texts(job, model)),
            processing_class=_tokenizer(job),
            peft_config=_lora(),
        )
        return _measured(made, meter)


def _offline() -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    # As in ours: the spinning of waiting threads would count as CPU time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    warnings.filterwarnings("ignore")


def _measured(made: Any, meter: Any) -> dict[str, Any]:
    from transformers import TrainerCallback

    class StepEnded(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            meter.step_ended()

    made.add_callback(StepEnded())
    meter.loaded()
    meter.watch(made.model)
    made.train()
    numbers: dict[str, Any] = meter.read()
    return numbers | {
        "precision": {"dtype": str(next(made.model.parameters()).dtype).removeprefix("torch.")}
    }


def _stock(job: Job) -> Any:
    """Return the checkpoint as transformers loads it without its FP8 kernels: dequantized.

    NVIDIA's recipe for this model does the same (`FineGrainedFP8Config(dequantize=true)`).
    """
    import torch
    from transformers import AutoModelForImageTextToText, FineGrainedFP8Config, set_seed

    set_seed(job.seed)
    quantization = FineGrainedFP8Config(dequantize=True)
    model: Any = AutoModelForImageTextToText.from_pretrained(
        job.model, dtype=torch.bfloat16, quantization_config=quantization
    )
    return model.to(job.device) if job.device == "cuda" else model.float()


def _lora() -> Any:
    from peft import LoraConfig

    return LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=_TARGETS, task_type="CAUSAL_LM")


def _adapted(model: Any) -> Any:
    from peft import get_peft_model

    return get_peft_model(model, _lora())


def _tokenizer(job: Job) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(job.model, mistral_format=False)


def _texts(job: Job, model: Any) -> list[Text]:
    return filings_like(
        job.documents, vocabulary=model.config.text_config.vocab_size, seed=job.seed
    )


def _dataset(texts: list[Text]) -> Any:
    from datasets import Dataset

    return Dataset.from_list(
        [
            {
                "input_ids": text.ids,
                "labels": [-100] * text.prompt_tokens + text.ids[text.prompt_tokens :],
            }
            for text in texts
        ]
    )


def _padded(job: Job, scratch: str) -> dict[str, Any]:
    return _common(job, scratch) | {
        "per_device_train_batch_size": PADDED_BATCH,
        "gradient_accumulation_steps": _PADDED_PASSES,
    }


def _packed(job: Job, scratch: str) -> dict[str, Any]:
    return _common(job, scratch) | {
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": _PACKED_PASSES,
        "max_length": job.row_tokens,
    }


def _common(job: Job, scratch: str) -> dict[str, Any]:
    on_gpu = job.device == "cuda"
    return {
        "output_dir": scratch,
        "num_train_epochs": 1,
        "learning_rate": LEARNING_RATE,
        "bf16": on_gpu,
        "use_cpu": not on_gpu,
        "dataloader_pin_memory": on_gpu,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": job.seed,
    }
