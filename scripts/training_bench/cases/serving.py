"""Answer 32 prompts with the code that a registered model version runs: together, and one by one.

The adapter is random, and large enough to change answers. The model computes in float32, where no
two tokens tie: so each prompt must have the answer that it has alone.
"""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.training_bench.cases.ours import adapted, precision_of
from scripts.training_bench.job import Job
from steps.train import before_torch

PROMPTS = 32
_TOKENS = {"max_new_tokens": 16}
_STRENGTH = 0.02  # standard deviation of the adapters' B


def run(job: Job) -> dict[str, Any]:
    """Return completions and the processor's seconds of both ways, without what is made once."""
    before_torch.prepare_imports(bitsandbytes=False)
    with tempfile.TemporaryDirectory() as folder:
        served = _served(job, Path(folder))
        prompts = [
            {"prompt": f"What about risk {number}?" + " And then?" * (number % 5)}
            for number in range(PROMPTS)
        ]
        served.predict(None, prompts[:2], _TOKENS)
        started = time.process_time()
        together = served.predict(None, prompts, _TOKENS)
        between = time.process_time()
        alone = [served.predict(None, [prompt], _TOKENS)[0] for prompt in prompts]
        ended = time.process_time()
    if together != alone or len(set(together)) == 1:
        raise RuntimeError(f"expected the answers of each prompt alone, got {together[:3]}")
    return {
        "completions": PROMPTS,
        "together_seconds": between - started,
        "alone_seconds": ended - between,
    }


def _served(job: Job, adapter: Path) -> Any:
    """Return the model of a registered version, without the checks of its files."""
    import torch

    from steps.register.model_registry.mlflow_import import import_mlflow
    from steps.train.model import lora

    import_mlflow()  # it warns where another module imports it first
    from steps.register.package import serving

    torch.manual_seed(job.seed)
    tuned = adapted(job, precision_of(job, "storage"))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=_STRENGTH)
    lora.save_adapters(tuned, adapter)
    shutil.copy(Path(job.model) / "tokenizer.json", adapter)
    served = serving.MinistralWithAdapter()
    served._model = serving.load_model(Path(job.model), adapter).float()
    served._positions = served._model.config.get_text_config().max_position_embeddings
    served._prompts = serving.PromptForm(adapter)
    return served
