"""Rows are answered together, with the answers that each would have alone, and without the hub."""

import copy
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.steps.register.support import tiny_model
from tests.steps.register.support.prompts import POSITIONS, frame

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.torch,
    # peft 0.21
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]
PROMPTS = [f"What about risk {n}?" + " And then?" * (n % 5) for n in range(32)]
TOKENS = {"max_new_tokens": 16}


def test_32_rows_together_give_four_times_the_completions_a_cpu_second(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32, where no two tokens tie, each row has the answer that it has alone."""
    bare = model.unwrap_python_model()
    monkeypatch.setattr(bare, "_model", copy.deepcopy(bare._model).float())
    model.predict(frame(*PROMPTS[:2]), params=TOKENS)  # what is only made once
    started = time.process_time()
    together = model.predict(frame(*PROMPTS), params=TOKENS)
    between = time.process_time()
    alone = [model.predict(frame(prompt), params=TOKENS)[0] for prompt in PROMPTS]
    ended = time.process_time()
    assert together == alone
    assert len(set(together)) > 1
    assert (ended - between) / (between - started) >= 4


def test_batches_hold_prompts_with_one_limit_and_bounded_padding() -> None:
    from steps.register.package import serving

    prompts = [tuple(range(length)) for length in range(1, 100)]
    found = list(serving.batches(reversed(prompts), limit=20, positions=100))
    assert [ids for batch, _ in found for ids in batch] == prompts
    for batch, most in found:
        assert len(batch) <= 32
        assert {min(20, 100 - len(ids)) for ids in batch} == {most}
    long = [(n,) * 5000 for n in range(7)]
    assert [len(b) for b, _ in serving.batches(long, limit=8, positions=10**6)] == [3, 3, 1]
    assert list(serving.batches([], limit=8, positions=10)) == []


def test_a_prompt_at_the_end_of_the_context_does_not_shorten_the_others(model: Any) -> None:
    bare = model.unwrap_python_model()
    prompt, room = "x", POSITIONS - len(bare._prompts.encode("x"))
    while len(bare._prompts.encode(prompt + " x")) < POSITIONS - 1:
        prompt += " x"
    first, last = model.predict(frame("Who?", prompt), params={"max_new_tokens": room})
    assert first == model.predict(frame("Who?"), params={"max_new_tokens": room})[0]
    assert last == model.predict(frame(prompt), params={"max_new_tokens": room})[0]


@pytest.mark.parametrize("shape", ["tiny", "tiny-untied"])
def test_loading_needs_no_hub_and_takes_the_stored_head(
    shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base has a name of the hub, which PEFT would look up; no connection is allowed."""
    import huggingface_hub.constants
    import torch
    from safetensors.torch import load_file

    from pipeline.local.setup import tiny_configuration
    from pipeline.local.setup import tiny_model as make
    from steps.register.package import serving

    base, adapter = tmp_path / "base", tmp_path / "adapter"
    for folder in (base, adapter):
        folder.mkdir()
    tiny = tiny_configuration.SHAPES[shape]
    make.write_configuration(base, tiny)
    make.write_weights(base, 17, tiny)
    files = {path.name: path.read_bytes() for path in base.iterdir()}
    for name, content in tiny_model.adapter(files).items():
        (adapter / name).write_bytes(content)
    configuration = json.loads((adapter / "adapter_config.json").read_bytes())
    configuration["base_model_name_or_path"] = "mistralai/Ministral-3-3B-Instruct-2512"
    (adapter / "adapter_config.json").write_text(json.dumps(configuration))
    asked: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        asked.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("peft.utils.save_and_load.check_file_exists_on_hf_hub", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    loaded = serving.load_model(base, adapter)
    assert asked == []
    head = loaded.get_base_model().lm_head.weight
    stored = load_file(base / "model.safetensors")
    name = "embed_tokens" if tiny.tied else "lm_head"
    (expected,) = (tensor for key, tensor in stored.items() if name in key)
    assert torch.equal(head.cpu(), expected)
