"""A folder that is not a whole model is refused before anything is uploaded. The message has all
faults, each with what to do."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pipeline import mirror
from pipeline.base_model import trainable
from pipeline.errors import UsageError
from tests.pipeline.base_model import models

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
PULL = "run `git lfs install && git lfs pull` in the folder"
Spoil = Callable[[Path], object]


def refusal(folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        mirror.described(folder, "m", "a" * 40)
    return str(caught.value)


def cut(path: Path, by: int) -> None:
    path.write_bytes(path.read_bytes()[:-by])


def reindexed(folder: Path, **weight_map: str) -> None:
    (folder / models.INDEX).write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize(
    ("spoil", "faults"),
    [
        (
            lambda f: (f / FIRST).write_text(models.POINTER),
            [f"{FIRST}  is a git-lfs pointer of 135 bytes, not the file itself; {PULL}"],
        ),
        (
            lambda f: (f / "tokenizer.json").write_text(models.POINTER),
            ["tokenizer.json  is a git-lfs pointer"],
        ),
        (
            lambda f: (f / "chat_template.jinja").write_text(models.POINTER),
            ["chat_template.jinja  is a git-lfs pointer"],
        ),
        (lambda f: cut(f / SECOND, 1), [f"{SECOND}  is not a whole safetensors file of "]),
        (
            lambda f: (f / SECOND).write_bytes((f / SECOND).read_bytes() + b"\0"),
            [f"{SECOND}  is not a whole safetensors file of "],
        ),
        (
            lambda f: (f / FIRST).write_bytes((f / FIRST).read_bytes()[:20]),
            [f"{FIRST}  is not a whole safetensors file of 20 bytes"],
        ),
        (lambda f: (f / FIRST).write_bytes(b""), [f"{FIRST}  is empty; download it again"]),
        (
            lambda f: (f / FIRST).unlink(),
            [f"{FIRST}  is missing, and {models.INDEX} names it; download it again"],
        ),
        (
            lambda f: (f / "tokenizer.json").unlink(),
            ["tokenizer.json  is missing, and Train needs it"],
        ),
        (lambda f: (f / "config.json").unlink(), ["config.json  is missing, and Train needs it"]),
        (
            lambda f: (f / "config.json").write_text('{"model_type": '),
            ["config.json  is not JSON (Expecting value"],
        ),
        (
            lambda f: (f / "config.json").write_bytes(b'{"a": "\xff"}'),
            ["config.json  is not JSON (bytes that are not UTF-8 at 7)"],
        ),
        (
            lambda f: (f / "config.json").write_text("[" * 100_000 + "]" * 100_000),
            ["config.json  is not JSON (nested too deeply)"],
        ),
        (
            lambda f: (f / "README.md").write_bytes(b"---\nlicense: mit\xff\n---\n"),
            ["README.md  expected a text in UTF-8, got 'utf-8' codec can't decode byte 0xff"],
        ),
        (
            lambda f: (f / "README.md").mkdir(),
            ["README.md  expected a text in UTF-8, got [Errno 21] Is a directory"],
        ),
        (
            lambda f: (f / "config.json").write_text("[]"),
            ["config.json  expected a JSON object, got list"],
        ),
        (
            lambda f: (f / "generation_config.json").symlink_to("nowhere"),
            ["generation_config.json  is not a file, or is a broken link"],
        ),
        (
            lambda f: (f / models.INDEX).unlink(),
            [f"{models.INDEX}  is missing, so it is unknown which of {FIRST}, {SECOND} belong"],
        ),
        (
            lambda f: (f / models.INDEX).write_text("{}"),
            [f"{models.INDEX}  expected weight_map, from tensors to files, got None"],
        ),
        (
            lambda f: reindexed(f, t1=FIRST, t2=SECOND, t3=SECOND),
            [f"{SECOND}  lacks tensors that {models.INDEX} lists for it: t3"],
        ),
        (
            lambda f: reindexed(f, t1=FIRST, t2=FIRST),
            [
                f"{SECOND}  is in no line of {models.INDEX}",
                f"{FIRST}  lacks tensors that {models.INDEX} lists for it: t2",
            ],
        ),
        (
            lambda f: reindexed(f, t1=FIRST, x=SECOND),
            [f"{SECOND}  has tensors that {models.INDEX} does not list for it: t2"],
        ),
        (
            lambda f: save_file({"x": np.zeros(1)}, f / "adapter.safetensors"),
            ["adapter.safetensors  is in no line of"],
        ),
        (lambda f: reindexed(f, t1=f"../{FIRST}", t2=SECOND), [f"../{FIRST}  is missing"]),
    ],
)
def test_a_model_that_is_not_whole_is_refused_with_what_to_do(
    tmp_path: Path, spoil: Spoil, faults: list[str]
) -> None:
    folder = models.sharded(tmp_path / "model")
    mirror.described(folder, "m", "a" * 40)
    spoil(folder)
    lines = [line.replace(" " * 3, "  ") for line in refusal(folder).splitlines()]
    shown = "\n".join(
        "  ".join(part.strip() for part in line.split("  ") if part.strip()) for line in lines
    )
    for fault in faults:
        assert fault in shown
    assert shown.startswith("nothing was uploaded: the model in ")


@pytest.mark.parametrize(
    "name",
    ["a b.json", "_x.json", ".x.json", "é.json", "-x.safetensors", "a\n.jinja", "a\u202e.json"],
)
def test_a_name_that_a_file_system_or_s3_may_change_is_refused(tmp_path: Path, name: str) -> None:
    folder = models.whole(tmp_path / "model")
    (folder / name).write_bytes((folder / "config.json").read_bytes())
    text = refusal(folder)
    assert f"{name!a}  expected a name of letters, digits, '.', '_' and '-'" in text
    assert "rename the file or remove it from the folder" in text


def test_all_faults_are_in_one_message(tmp_path: Path) -> None:
    folder = models.sharded(tmp_path / "model")
    (folder / FIRST).write_text(models.POINTER)
    (folder / SECOND).unlink()
    (folder / "tokenizer.json").unlink()
    (folder / "config.json").write_text("")
    assert "has 4 faults" in refusal(folder)


def test_more_weights_than_the_one_file_without_an_index_are_refused(tmp_path: Path) -> None:
    folder = models.whole(tmp_path / "model")
    save_file({"x": np.zeros(1)}, folder / "adapter_model.safetensors")
    assert "is next to model.safetensors, and no index names it" in refusal(folder)


def test_the_same_control_tokens_and_scheme_as_train() -> None:
    from steps.train.data import chat_template
    from steps.train.model import base_weights

    assert trainable.CONTROL_IDS == chat_template.CONTROL_IDS
    base_weights.quantization({"quantization_config": dict(trainable.SCHEME)}, Path("x"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Ministral that pipeline.local.setup.tiny_model makes, which Train accepts."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("tiny") / "model"
    command = [sys.executable, "-m", "pipeline.local.setup.tiny_model", "--output", folder]
    subprocess.run(
        command, cwd=Path(__file__).resolve().parents[3], check=True, capture_output=True
    )
    return folder


def changed(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_bytes()) | values))


def renamed(path: Path) -> None:
    path.write_text(path.read_text().replace('"[INST]"', '"[X]"'))


@pytest.mark.torch
@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (
            lambda f: changed(f / "config.json", model_type="llama"),
            "expected model_type mistral3, got 'llama'",
        ),
        (
            lambda f: changed(f / "config.json", quantization_config=None),
            "expected quant_method fp8, activation_scheme static",
        ),
        (lambda f: changed(f / "config.json", text_config=None), "expected text_config, got none"),
        (lambda f: (f / "generation_config.json").unlink(), "is missing, and Train needs it"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "is not a tokenizer ("),
        (lambda f: renamed(f / "tokenizer.json"), "expected control tokens"),
        (
            lambda f: save_file({"a.weight": np.zeros(1)}, f / "model.safetensors"),
            "expected FP8 (float8_e4m3fn) tensors, got none",
        ),
        (
            lambda f: save_file({"a.weight_scale_inv": np.zeros(1)}, f / "model.safetensors"),
            "expected an FP8 tensor for each scale",
        ),
    ],
)
def test_a_whole_model_that_train_cannot_use_is_refused(
    tiny: Path, tmp_path: Path, spoil: Spoil, fault: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in tiny.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    assert trainable.faults(folder) == []
    mirror.described(folder, "m", "a" * 40)
    spoil(folder)
    assert fault in "\n".join(text for _, text in trainable.faults(folder))
