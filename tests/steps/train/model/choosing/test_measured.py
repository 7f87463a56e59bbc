"""`auto` on a GPU: measured once, kept for the job's next start, recorded with its figures."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from steps.governance.documents.precision import Choice, Tried
from steps.governance.errors import UsageError
from steps.train.arguments import Arguments
from steps.train.model import loading, ministral
from steps.train.model.choosing import measured, trial
from steps.train.model.choosing.kept import Kept
from steps.train.model.precision import Precision
from steps.train.planning import batching
from steps.train.planning.devices import Device
from tests.steps.train.support.cards import a10g, h100
from tests.steps.train.support.jobs import job, printed_lines

pytestmark = pytest.mark.torch
SPEEDS = {"storage": 100.0, "native_dx": 130.0, "off": 110.0}


@pytest.fixture
def arguments(tiny_model: Path, curated: Path, tmp_path: Path) -> Arguments:
    found: Arguments = job(tmp_path / "ml", tiny_model, curated).arguments
    return found


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Speeds that the trial finds, by mode; a test may change them."""
    found = dict(SPEEDS)

    def timed(candidates: Any, watch: Any) -> list[Tried]:
        return [Tried(mode=c.mode, tokens_per_second=found[c.mode]) for c in candidates]

    monkeypatch.setattr(trial, "timed", timed)
    return found


def kept(folder: Path, mode: str | None = None, **valid_for: str | int) -> Kept:
    return Kept(folder, {"device": "H100"} | valid_for, mode)


def test_the_choice_and_its_figures_are_in_the_record_and_in_the_log(
    tiny_model: Path, arguments: Arguments, speeds: dict[str, float], tmp_path: Path
) -> None:
    speeds["off"] = 150.0
    with printed_lines() as lines:
        found = measured.decide(arguments, tiny_model, h100(), kept(tmp_path))
    record = found.record()
    assert (found.effective, record.effective, record.requested) == ("off", "off", "auto")
    assert record.kernels == "plain: the image has no Triton"
    assert record.choice is not None
    assert {each.mode: each.tokens_per_second for each in record.choice.tried} == speeds
    assert record.choice.predicted == "native_dx"
    assert "[info] Fp8Mode auto is off: measured 1.15 times as fast as native_dx" in lines[-1]


def test_real_layers_decide_on_a_pretended_card(
    tiny_model: Path, arguments: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "MOST_TOKENS", 32)
    monkeypatch.setattr(trial, "LIMIT_SECONDS", 0.0)
    monkeypatch.setattr(trial, "_MOST_ROUNDS", 2)
    found = measured.decide(arguments, tiny_model, a10g(), kept(tmp_path))
    assert found.choice is not None
    assert [each.mode for each in found.choice.tried] == ["storage", "off"]
    assert all(each.tokens_per_second for each in found.choice.tried)
    assert found.effective in ("storage", "off")


def test_a_product_that_raises_on_this_gpu_leaves_its_mode_out(
    tiny_model: Path, arguments: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise RuntimeError("torch._scaled_mm is only supported on …")

    monkeypatch.setattr(torch, "_scaled_mm", refused)
    monkeypatch.setattr(trial, "MOST_TOKENS", 32)
    monkeypatch.setattr(trial, "_MOST_ROUNDS", 2)
    found = measured.decide(arguments, tiny_model, h100(), kept(tmp_path))
    assert found.effective in ("storage", "off")
    assert found.choice is not None
    assert "native_dx, which the roofline names, failed: RuntimeError: torch._scaled_mm" in (
        found.choice.reason
    )


def test_a_job_that_starts_again_takes_its_earlier_choice_whatever_the_clock_shows(
    tiny_model: Path, arguments: Arguments, speeds: dict[str, float], tmp_path: Path
) -> None:
    first = measured.decide(arguments, tiny_model, h100(), kept(tmp_path))
    speeds.update(storage=900.0)
    again = measured.decide(arguments, tiny_model, h100(), kept(tmp_path))
    assert again.choice == first.choice
    elsewhere = measured.decide(arguments, tiny_model, h100(), kept(tmp_path, sequence_length=9))
    assert elsewhere.effective == "storage", "measured for something else"


def test_a_checkpoint_decides_where_the_choice_did_not_come_back(
    tiny_model: Path, arguments: Arguments, speeds: dict[str, float], tmp_path: Path
) -> None:
    found = measured.decide(arguments, tiny_model, h100(), kept(tmp_path / "new", "storage"))
    assert found.effective == "storage"
    assert found.choice is not None
    assert found.choice.reason == "the newest checkpoint has it"
    measured.decide(arguments, tiny_model, h100(), kept(tmp_path / "old"))
    other = measured.decide(arguments, tiny_model, h100(), kept(tmp_path / "old", "off"))
    assert other.effective == "off"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": "x"}', b'{"choice": 1}'])
def test_a_damaged_choice_is_measured_again(
    tiny_model: Path,
    arguments: Arguments,
    speeds: dict[str, float],
    tmp_path: Path,
    content: bytes,
) -> None:
    (tmp_path / "auto-mode.json").write_bytes(content)
    found = measured.decide(arguments, tiny_model, h100(), kept(tmp_path))
    assert found.effective == "native_dx"
    assert json.loads((tmp_path / "auto-mode.json").read_bytes())["choice"]["mode"] == "native_dx"


@pytest.mark.parametrize("mode", ["storage", "native", "off"])
def test_a_requested_mode_is_never_replaced_or_timed(
    tiny_model: Path, arguments: Arguments, tmp_path: Path, monkeypatch: Any, mode: str
) -> None:
    monkeypatch.setattr(trial, "timed", lambda *_: pytest.fail("modes were timed"))
    asked = replace(arguments, fp8_mode=mode)
    found = measured.decide(asked, tiny_model, h100(), kept(tmp_path))
    assert (found.effective.removesuffix("_dx"), found.choice) == (mode, None)


def test_the_cpu_is_not_timed(tiny_model: Path, arguments: Arguments, tmp_path: Path) -> None:
    cpu = Device(torch.device("cpu"), "cpu", None)
    found = measured.decide(arguments, tiny_model, cpu, kept(tmp_path))
    assert (found.effective, found.choice, found.kernels) == ("storage", None, None)
    assert list(tmp_path.iterdir()) == [tmp_path / "ml"]


def test_a_mode_that_does_not_fit_is_not_timed_and_one_that_must_be_split_neither(
    tiny_model: Path, arguments: Arguments, speeds: dict[str, float], monkeypatch: Any
) -> None:
    decide = batching.decide

    def small(device: Any, length: int, *, plan: Any, ranks: int = 1) -> Any:
        if plan.mode == "off":
            raise UsageError("this fine-tune does not fit the device")
        return decide(device, length, plan=plan, ranks=ranks)

    monkeypatch.setattr(batching, "decide", small)
    predicted = Precision("auto", "native_dx", torch.bfloat16, h100())
    tried = {each.mode: each for each in measured.measure(arguments, tiny_model, predicted)}
    assert tried["off"].fault == "it does not fit this device"
    assert tried["storage"].tokens_per_second

    def split(arguments: Any, plan: Any, device: Any, count: int) -> Any:
        return replace(plan, shards=2 if plan.mode == "off" else 1)

    monkeypatch.setattr(batching, "decide", decide)
    monkeypatch.setattr(loading, "plan_sharding", split)
    tried = {each.mode: each for each in measured.measure(arguments, tiny_model, predicted)}
    assert tried["off"].fault == "the base would have to be split among GPUs"


def test_a_model_that_fits_in_no_mode_is_left_to_the_plan(
    tiny_model: Path, arguments: Arguments, tmp_path: Path
) -> None:
    card = replace(h100(), bytes_of_memory=2**30)
    found = measured.decide(arguments, tiny_model, card, kept(tmp_path))
    assert found.effective == "native_dx"
    assert found.choice is not None
    assert found.choice.reason == "no mode fits this device"
    assert not (tmp_path / "auto-mode.json").exists()


def test_the_choice_survives_its_document() -> None:
    choice = Choice(
        mode="off",
        predicted="storage",
        reason="…",
        tried=[Tried(mode="off", tokens_per_second=1.5, pass_tokens=8, recomputed_layers=0)],
    )
    assert Choice.model_validate_json(choice.model_dump_json(exclude_none=True)) == choice


def test_the_timed_layer_has_the_sizes_of_the_model(tiny_model: Path) -> None:
    cut = ministral.one_layer(tiny_model).text_config
    whole = ministral.shape(tiny_model)
    assert (cut.num_hidden_layers, cut.hidden_size) == (1, whole.hidden)
