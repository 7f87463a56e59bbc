"""What a reader should know about a fine-tune: `report.json` for programs, `README.md` (a short model card) for people.

Neither quotes governed text: examples are named by id, answers are the models' own, and the system message is the
template's.
"""

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from steps.governance.manifest import Prepared
from steps.train.arguments import Arguments
from steps.train.fine_tune import Tuned

SCHEMA = "governed-finetune/training-report/1"
_PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers", "deltalake", "pyarrow")


def write(
    folder: Path, arguments: Arguments, tuned: Tuned, prepared: Prepared, *, live_metrics: Mapping[str, object]
) -> None:
    """Write both documents into `folder`."""
    content = json.dumps(
        _report(arguments, tuned) | {"live_metrics": live_metrics}, indent=2, sort_keys=True, ensure_ascii=False
    )
    (folder / "report.json").write_text(content + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_card(arguments, tuned, prepared), encoding="utf-8")


def _report(arguments: Arguments, tuned: Tuned) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "system": tuned.system,
        "metrics": {
            "eval_loss_before": tuned.before.loss,
            "eval_loss": tuned.best.evaluation.loss,
            "eval_perplexity_before": tuned.before.perplexity,
            "eval_perplexity": tuned.best.evaluation.perplexity,
            "eval_tokens": tuned.best.evaluation.tokens,
            "best_step": tuned.best.step,
            "steps": tuned.history.steps,
            "train_tokens": tuned.history.tokens,
            "tokens_per_second": tuned.history.tokens / tuned.history.seconds,
        },
        "lengths": {split: lengths.record() for split, lengths in tuned.lengths.items()},
        "precision": tuned.precision.model_dump(),
        "parameters": {
            "epochs": arguments.epochs,
            "max_steps": arguments.max_steps,
            "learning_rate": arguments.learning_rate,
            "lora_rank": arguments.lora_rank,
            "sequence_length": arguments.sequence_length,
            "seed": arguments.seed,
            **asdict(tuned.batching),
        },
        "curve": tuned.history.curve,
        "evaluations": [
            {"step": measured.step, "eval_loss": measured.evaluation.loss} for measured in tuned.history.evaluations
        ],
        "sample": asdict(tuned.sample),
        "seconds": tuned.seconds,
        "versions": {"python": platform.python_version()}
        | {package: importlib.metadata.version(package) for package in _PACKAGES},
    }


def _card(arguments: Arguments, tuned: Tuned, prepared: Prepared) -> str:
    counts, target, after = prepared.counts, prepared.target, tuned.best.evaluation
    return f"""---
base_model: {arguments.base_model}
library_name: peft
tags: [lora, governed-finetune]
---

# LoRA adapter for {arguments.base_model}

Rank {arguments.lora_rank} on the language model's linears, trained on completions only, over the FP8 base at revision
`{arguments.base_model_revision}`. Load the base, then this adapter; it is not a whole model.

| | before | after |
|---|---|---|
| eval loss (nats per target token, {after.tokens} tokens) | {tuned.before.loss:.4f} | {after.loss:.4f} |
| eval perplexity | {tuned.before.perplexity:.4g} | {after.perplexity:.4g} |

* Data: `{target.table}` version {target.version}, {counts.examples_train} training and {counts.examples_eval} evaluation
  examples of {counts.companies_train} and {counts.companies_eval} companies; no company is in both.
* Precision: {tuned.precision.effective} (asked for {tuned.precision.requested}), {tuned.precision.dtype}, on
  {tuned.precision.device}.
* Training: {tuned.history.steps} steps, {tuned.history.tokens} tokens.
* Licence: the base model's own terms, and those of the governed data, apply to this adapter.
* Execution: `{arguments.execution_arn}`

`report.json` has the loss curve, lengths and versions; `manifest.json` names every file with its sha256.
"""
