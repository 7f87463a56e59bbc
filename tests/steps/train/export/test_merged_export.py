"""The merged model: W + alpha / r * B @ A rounded once, whole to stock transformers, compared before it counts."""

import json
import shutil
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Mistral3ForConditionalGeneration

from steps.governance.errors import IntegrityError, UsageError
from steps.train import full_disk
from steps.train.data.document import Document
from steps.train.export import merged_model, safetensors_writer
from steps.train.model import base_weights, logit_probe, lora, ministral, precision
from steps.train.paths import Paths
from steps.train.planning.devices import Device
from steps.train.stopping import Stopped, StopSignal

pytestmark = pytest.mark.torch

CPU = Device(torch.device("cpu"), "cpu", None)
DOCUMENTS = [Document((1, *range(20 + n, 80 + n), 2), 20, f"x{n}") for n in range(6)]


def adapt(base: Path, size: float = 0.05) -> Any:
    """The tiny model with adapters that do something."""
    torch.manual_seed(3)
    loaded = ministral.load(base, precision.decide("storage", CPU))
    adapted = lora.add_adapters(loaded, 4, base_model="tiny", revision="0" * 40)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, size)
    return adapted


@pytest.fixture(scope="module")
def tuned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A tuned model, its saved adapters, and its answers."""
    folder = tmp_path_factory.mktemp("adapters")
    adapted = adapt(tiny_model)
    lora.save_adapters(adapted, folder)
    return SimpleNamespace(
        base=tiny_model, adapters=folder, model=adapted, probe=logit_probe.ask(adapted, DOCUMENTS)
    )


@pytest.fixture
def export(tuned: SimpleNamespace, tmp_path: Path) -> Path:
    merged_model.write(tuned.base, tuned.adapters, tmp_path, stop=StopSignal())
    return tmp_path


def read(folder: Path) -> dict[str, Tensor]:
    return {
        name: tensor
        for path in folder.glob("*.safetensors")
        for name, tensor in load_file(path).items()
    }


def test_each_merged_weight_is_the_decoded_one_plus_pefts_own_product_rounded_once(
    tuned: SimpleNamespace, export: Path
) -> None:
    written, base = read(export), load_file(tuned.base / "model.safetensors")
    compared = 0
    for name, module in tuned.model.named_modules():
        if hasattr(module, "get_delta_weight"):
            disk_name = (
                name.replace("base_model.model.model.language_model.", "language_model.model.")
                + ".weight"
            )
            whole = base[disk_name].float() * base[f"{disk_name}_scale_inv"].float()
            expected = (whole + module.get_delta_weight("default")).to(torch.bfloat16)
            assert torch.equal(written[disk_name], expected)
            assert not torch.equal(written[disk_name], whole.to(torch.bfloat16)), (
                "the adapter changes something"
            )
            compared += 1
    assert compared == 7 * tuned.model.config.text_config.num_hidden_layers


def test_everything_else_is_the_bases_byte_for_byte_vision_tower_included(
    tuned: SimpleNamespace, export: Path
) -> None:
    written, base = read(export), load_file(tuned.base / "model.safetensors")
    kept = {
        name
        for name, tensor in base.items()
        if tensor.dtype is torch.bfloat16 and "_scale" not in name
    }
    assert [name for name in kept if name.startswith("vision_tower.")]
    assert all(torch.equal(written[name], base[name]) for name in kept)
    assert set(written) == {name for name in base if "_scale" not in name}
    assert {tensor.dtype for tensor in written.values()} == {torch.bfloat16}


def test_configuration_and_tokenizer_are_the_bases_without_the_quantization(
    tuned: SimpleNamespace, export: Path
) -> None:
    theirs, ours = (
        json.loads((folder / "config.json").read_bytes()) for folder in (tuned.base, export)
    )
    assert theirs.pop("quantization_config")
    assert ours == theirs
    assert ours["dtype"] == "bfloat16"
    for name in (
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "generation_config.json",
    ):
        assert (export / name).read_bytes() == (tuned.base / name).read_bytes()


def test_stock_transformers_answers_with_it_as_the_tuned_model_does(
    tuned: SimpleNamespace, export: Path
) -> None:
    comparison = logit_probe.check(export, tuned.probe)
    assert comparison.difference < 0.02 < 0.2 < comparison.difference_from_base
    assert (comparison.documents, comparison.positions) == (4, 4 * 32)


def test_transformers_own_save_of_a_loaded_fp8_model_is_the_trap_that_this_module_avoids(
    tiny_model: Path, tmp_path: Path
) -> None:
    """It writes matrices as e4m3 under a configuration without quantization; if this fails, transformers was repaired."""
    ids = torch.tensor([[1, 3, 30, 31, 32, 4]])
    loaded = Mistral3ForConditionalGeneration.from_pretrained(tiny_model, dtype=torch.bfloat16)
    loaded.save_pretrained(tmp_path)
    assert torch.float8_e4m3fn in {tensor.dtype for tensor in read(tmp_path).values()}
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_bytes())
    again = Mistral3ForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.bfloat16)
    with torch.no_grad():
        before, after = (each(input_ids=ids).logits.float() for each in (loaded, again))
    assert (after - before).norm() / before.norm() > 0.5


def tampered(export: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    (path,) = export.glob("*.safetensors")
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


NAME = "language_model.model.layers.0.self_attn.v_proj.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors[NAME].mul_(-1), "does not answer as the tuned one"),
        (lambda tensors: tensors[NAME].fill_(float("nan")), "does not answer as the tuned one"),
        (lambda tensors: tensors.update({NAME: tensors[NAME][:16].clone()}), "cannot be read"),
    ],
)
def test_a_tampered_shard_is_caught(
    tuned: SimpleNamespace,
    export: Path,
    change: Callable[[dict[str, Tensor]], object],
    message: str,
) -> None:
    tampered(export, change)
    with pytest.raises(IntegrityError, match=message):
        logit_probe.check(export, tuned.probe)


@pytest.mark.parametrize("name", [NAME, "vision_tower.patch_conv.weight"])
def test_a_weight_that_is_missing_is_caught(
    tuned: SimpleNamespace, export: Path, name: str
) -> None:
    tampered(export, lambda tensors: tensors.pop(name))
    index = json.loads((export / safetensors_writer.INDEX).read_bytes())
    del index["weight_map"][name]
    (export / safetensors_writer.INDEX).write_text(json.dumps(index))
    with pytest.raises(IntegrityError, match="is not whole"):
        logit_probe.check(export, tuned.probe)


def test_a_damaged_file_is_caught(tuned: SimpleNamespace, export: Path) -> None:
    (path,) = export.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(IntegrityError, match="cannot be read"):
        logit_probe.check(export, tuned.probe)


def exported_with(base: Path, folder: Path, size: float) -> Path:
    """An export with adapters of this size."""
    for name in ("adapters", "merged"):
        (folder / name).mkdir(parents=True)
    lora.save_adapters(adapt(base, size), folder / "adapters")
    merged_model.write(base, folder / "adapters", folder / "merged", stop=StopSignal())
    return folder / "merged"


def test_lost_adapters_are_caught_though_they_do_less_than_rounding_does(
    tiny_model: Path, tmp_path: Path
) -> None:
    probe = logit_probe.ask(adapt(tiny_model, 0.001), DOCUMENTS)
    comparison = logit_probe.check(exported_with(tiny_model, tmp_path / "with", 0.001), probe)
    assert (probe.tuned - probe.base).norm() / probe.tuned.norm() < comparison.difference
    with pytest.raises(IntegrityError, match="nearer to them than to the base's"):
        logit_probe.check(exported_with(tiny_model, tmp_path / "without", 0.0), probe)


def test_adapters_far_smaller_than_rounding_raise_no_alarm_by_chance(
    tuned: SimpleNamespace, export: Path
) -> None:
    exports = logit_probe._logits(logit_probe._load(export), tuned.probe.documents)
    nearer = tuned.probe.tuned + 0.01 * (exports - tuned.probe.tuned)
    comparison = logit_probe.check(
        export, logit_probe.Probe(tuned.probe.documents, tuned.probe.tuned, nearer)
    )
    assert comparison.difference_from_base < comparison.difference


def test_adapters_that_change_nothing_export_the_base(tiny_model: Path, tmp_path: Path) -> None:
    probe = logit_probe.ask(adapt(tiny_model, 0.0), DOCUMENTS)
    comparison = logit_probe.check(exported_with(tiny_model, tmp_path, 0.0), probe)
    assert comparison.difference == comparison.difference_from_base


def test_native_multiplication_is_off_while_the_tuned_model_is_asked(
    tuned: SimpleNamespace,
) -> None:
    linears = [
        module for module in tuned.model.modules() if isinstance(module, ministral.Fp8Linear)
    ]
    for linear in linears:
        linear.native = True
    try:
        again = logit_probe.ask(tuned.model, DOCUMENTS)
        assert all(linear.native for linear in linears)
    finally:
        for linear in linears:
            linear.native = False
    assert torch.equal(again.tuned, tuned.probe.tuned)


def test_an_adapter_of_no_weight_is_refused(tuned: SimpleNamespace, tmp_path: Path) -> None:
    strange = Path(shutil.copytree(tuned.adapters, tmp_path / "strange"))
    tensors = load_file(strange / lora.ADAPTERS)
    for kind in ("lora_A", "lora_B"):
        tensors[f"base_model.model.model.language_model.layers.99.mlp.up_proj.{kind}.weight"] = (
            torch.zeros(4, 4)
        )
    save_file(tensors, strange / lora.ADAPTERS)
    (tmp_path / "merged").mkdir()
    with pytest.raises(
        IntegrityError,
        match=r"belong to no weight of the base model\n.*\n.*layers\.99\.mlp\.up_proj",
    ):
        merged_model.write(tuned.base, strange, tmp_path / "merged", stop=StopSignal())


@pytest.mark.parametrize("change", ["half", "variant"])
def test_adapters_of_another_form_are_refused(
    tuned: SimpleNamespace, tmp_path: Path, change: str
) -> None:
    strange = Path(shutil.copytree(tuned.adapters, tmp_path / "strange"))
    if change == "half":
        tensors = load_file(strange / lora.ADAPTERS)
        del tensors[next(name for name in tensors if "lora_A" in name)]
        save_file(tensors, strange / lora.ADAPTERS)
    else:
        configuration = json.loads((strange / lora.CONFIGURATION).read_bytes()) | {
            "use_rslora": True
        }
        (strange / lora.CONFIGURATION).write_text(json.dumps(configuration))
    with (
        pytest.raises(IntegrityError, match="not pairs" if change == "half" else "plain LoRA"),
        lora.saved(strange),
    ):
        raise AssertionError("accepted")


def test_a_sharded_export_is_the_same_model(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safetensors_writer.plan, "__defaults__", (300_000,))
    merged_model.write(tuned.base, tuned.adapters, tmp_path, stop=StopSignal())
    files = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(files) >= 3
    assert files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    assert logit_probe.check(tmp_path, tuned.probe).difference < 0.02
    for shard in safetensors_writer.plan(base_weights.shapes(tuned.base)):
        assert (tmp_path / shard.name).stat().st_size == shard.size
        with safe_open(tmp_path / shard.name, framework="pt") as opened:
            assert opened.metadata() == {"format": "pt"}, "transformers refuses a file without it"


def test_one_tensor_is_in_memory_at_a_time(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, alive, most = base_weights.read, weakref.WeakSet[Tensor](), 0

    def watched(*arguments: Any, **options: Any) -> Iterator[base_weights.Weight]:
        nonlocal most
        for weight in real(*arguments, **options):
            most = max(most, len(alive))
            alive.add(weight.tensor)
            yield weight
            del weight

    monkeypatch.setattr(base_weights, "read", watched)
    merged_model.write(tuned.base, tuned.adapters, tmp_path, stop=StopSignal())
    assert most <= 1, "the one before may still be in the reader's hand, none older"


def job(tuned: SimpleNamespace, root: Path, **changes: str) -> tuple[SimpleNamespace, Paths]:
    paths = Paths(root)
    paths.base_model.parent.mkdir(parents=True)
    paths.base_model.symlink_to(tuned.base)
    return SimpleNamespace(**{"exports_merged": True, "fp8_mode": "auto"} | changes), paths


def left(root: Path) -> list[str]:
    return sorted(
        path.name
        for path in root.rglob("*")
        if "input" not in path.relative_to(root).parts and path.is_file()
    )


def test_no_room_is_said_with_both_numbers_before_anything_is_trained_or_written(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, paths = job(tuned, tmp_path)
    needed = sum(shard.size for shard in safetensors_writer.plan(base_weights.shapes(tuned.base)))
    merged_model.require_possible(arguments, paths)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - 1))
    message = f"no room for the merged model\n  expected  {needed} bytes free\n  got       {needed - 1}\n.*volume_gib"
    with pytest.raises(full_disk.DiskFull, match=message):
        merged_model.require_possible(arguments, paths)
    with pytest.raises(full_disk.DiskFull, match=message), exporting(tuned, paths):
        raise AssertionError("there was room")
    assert not left(tmp_path)


def exporting(tuned: SimpleNamespace, paths: Paths, stop: StopSignal | None = None) -> Any:
    return merged_model.exported(
        paths, tuned.adapters, probe=tuned.probe, stop=stop or StopSignal()
    )


def test_adapters_of_an_nf4_model_are_not_merged_into_another(
    tuned: SimpleNamespace, tmp_path: Path
) -> None:
    arguments, paths = job(tuned, tmp_path, fp8_mode="nf4")
    with pytest.raises(UsageError, match="MergedExport bfloat16 does not go with Fp8Mode nf4"):
        merged_model.require_possible(arguments, paths)
    merged_model.require_possible(SimpleNamespace(exports_merged=False, fp8_mode="nf4"), paths)  # type: ignore[arg-type]


def test_a_disk_that_fills_up_during_the_export_leaves_nothing(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, paths = job(tuned, tmp_path)

    def full(path: Path, *_: Any) -> None:
        path.write_bytes(b"half a shard")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors_writer, "write", full)
    with (
        pytest.raises(full_disk.DiskFull, match="disk is full"),
        full_disk.explained(),
        exporting(tuned, paths),
    ):
        raise AssertionError("there was room")
    assert not left(tmp_path)
    assert not list((tmp_path / "output").iterdir())


def test_sigterm_during_the_export_ends_it_at_the_next_tensor_and_leaves_nothing(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, paths = job(tuned, tmp_path)
    monkeypatch.setattr(merged_model, "merge", lambda *_: pytest.fail("it went on"))
    with pytest.raises(Stopped), exporting(tuned, paths, StopSignal(requested=True)):
        raise AssertionError("it went on")
    assert not list((tmp_path / "output").iterdir())


def test_an_export_that_answers_differently_leaves_nothing(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, paths = job(tuned, tmp_path)
    monkeypatch.setattr(
        merged_model, "merge", lambda weight, delta: weight.tensor.to(torch.bfloat16)
    )  # without its scale
    with pytest.raises(IntegrityError, match="does not answer"), exporting(tuned, paths):
        raise AssertionError("accepted")
    assert not list((tmp_path / "output").iterdir())


def test_a_file_that_no_merged_model_may_hold_is_refused(
    tuned: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, paths = job(tuned, tmp_path)
    monkeypatch.setattr(merged_model, "COPIED", (*merged_model.COPIED, "stray.json"))
    base = Path(shutil.copytree(tuned.base, tmp_path / "base"))
    (base / "stray.json").write_text("{}")
    real = merged_model._allowed
    monkeypatch.setattr(merged_model, "_allowed", lambda folder: real(folder) - {"stray.json"})
    paths.base_model.unlink()
    paths.base_model.symlink_to(base)
    with pytest.raises(RuntimeError, match=r"stray\.json"), exporting(tuned, paths):
        raise AssertionError("accepted")
