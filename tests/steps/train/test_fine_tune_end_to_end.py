"""The whole step in this process, with a real Delta table and a real tiny FP8 model.

Only the catalog and the evidence bucket are local stand-ins.
"""

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from steps.governance.documents.manifest import Trained
from steps.governance.errors import Conflict, IntegrityError, UsageError
from steps.train.data.truncation import COMPLETION_TOO_LONG, PROMPT_CUT, Lengths
from steps.train.export.manifest import affected
from steps.train.model.base_model_files import MIRROR, verify
from steps.train.tracking import metric_lines
from tests.steps.train.support.curated_table import ARN, commit, prepared, replace_file
from tests.steps.train.support.jobs import (
    BUILD,
    EVIDENCE,
    PREPARED,
    TRAINED,
    assert_nothing_published,
    job,
    printed_lines,
    run,
)

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def done(
    tiny_model: Path, curated: Path, tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """One finished job and what it printed."""
    finished = job(tmp_path_factory.mktemp("ml"), tiny_model, curated)
    with printed_lines() as lines:
        run(finished)
    finished.log = "\n".join(lines)
    return finished


def test_the_eval_loss_falls(done: SimpleNamespace) -> None:
    report = json.loads((done.paths.model / "report.json").read_text())
    assert report["system"] == "You are an analyst.", "the system message that a server must use"
    assert report["metrics"]["eval_loss"] < report["metrics"]["eval_loss_before"] - 0.2
    assert report["metrics"]["steps"] == 4
    assert len(report["curve"]) == 4


def test_the_model_folder_holds_what_the_manifest_lists_and_nothing_else(
    done: SimpleNamespace,
) -> None:
    content = (done.paths.model / "manifest.json").read_bytes()
    trained = Trained.from_bytes(content, origin="the model folder")
    assert trained.to_bytes() == content == done.evidence.documents[TRAINED]
    assert {path.name for path in done.paths.model.iterdir()} == {
        entry.path for entry in trained.files
    } | {"manifest.json"}
    for entry in trained.files:
        assert (
            hashlib.sha256((done.paths.model / entry.path).read_bytes()).hexdigest() == entry.sha256
        )
    assert sorted(path.name for path in done.paths.root.iterdir()) == [
        "checkpoints",
        "input",
        "model",
    ]


def test_the_manifest_names_execution_data_base_precision_and_result(
    done: SimpleNamespace, tiny_model: Path
) -> None:
    trained = Trained.from_bytes(done.evidence.documents[TRAINED], origin="evidence")
    assert trained.schema_ == "governed-finetune/trained/2"
    assert trained.build == BUILD
    assert (trained.execution_arn, trained.training_job, trained.principal) == (
        ARN,
        "train-1",
        "train-principal",
    )
    assert (
        trained.data.manifest_sha256
        == hashlib.sha256(done.evidence.documents[PREPARED]).hexdigest()
    )
    assert (
        trained.base_model.mirror_sha256
        == hashlib.sha256((tiny_model / MIRROR).read_bytes()).hexdigest()
    )
    assert trained.fp8.effective in ("storage", "native")
    assert trained.metrics.eval_loss < trained.metrics.eval_loss_before


def test_the_manifest_counts_the_examples_that_did_not_fit_a_row(done: SimpleNamespace) -> None:
    trained = Trained.from_bytes(done.evidence.documents[TRAINED], origin="evidence")
    assert trained.data.affected == {"eval": {}, "train": {}}
    lengths = {"train": Lengths(), "eval": Lengths()}
    for reason in (PROMPT_CUT, COMPLETION_TOO_LONG, PROMPT_CUT):
        lengths["train"].count_loss(reason, 9)
    assert affected(lengths) == {
        "eval": {},
        "train": {"completion_too_long": 1, "prompt_cut": 2},
    }


@pytest.mark.parametrize(
    ("key", "count"),
    [
        ("train_loss", 4),
        ("grad_norm", 4),
        ("learning_rate", 4),
        ("tokens_per_second", 4),
        ("eval_loss_before", 1),
        ("eval_loss", 1),
    ],
)
def test_the_regular_expression_of_each_metric_finds_it_in_the_log(
    done: SimpleNamespace, key: str, count: int
) -> None:
    found = re.findall(metric_lines.PATTERN.format(key=key), done.log)
    assert len(found) == count
    assert all(isinstance(float(number), float) for number in found)


def test_the_last_eval_loss_in_the_log_is_the_manifests(done: SimpleNamespace) -> None:
    trained = Trained.from_bytes(done.evidence.documents[TRAINED], origin="evidence")
    (printed,) = re.findall(metric_lines.PATTERN.format(key="eval_loss"), done.log)
    assert float(printed) == pytest.approx(trained.metrics.eval_loss, rel=1e-5)


@pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)  # peft 0.21
def test_the_adapter_loads_on_the_stock_model_and_changes_it(
    done: SimpleNamespace, tiny_model: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import Mistral3ForConditionalGeneration

    base = Mistral3ForConditionalGeneration.from_pretrained(tiny_model, dtype=torch.bfloat16)
    ids = torch.tensor([[1, 3, 30, 31, 4]])
    with torch.no_grad():
        before = base(input_ids=ids).logits
        tuned = PeftModel.from_pretrained(base, done.paths.model)
        after = tuned(input_ids=ids).logits
    adapters = load_file(done.paths.model / "adapter_model.safetensors")
    loaded = {name for name, _ in tuned.named_parameters() if "lora_" in name}
    assert len(loaded) == len(adapters)
    assert (after - before).abs().max() > 0.1


def test_report_and_card_contain_no_governed_text(done: SimpleNamespace) -> None:
    written = (done.paths.model / "report.json").read_text() + (
        done.paths.model / "README.md"
    ).read_text()
    assert "which could harm our business in many ways" not in written


def test_the_same_seed_gives_the_same_adapter(
    done: SimpleNamespace, tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    again = job(tmp_path / "ml", tiny_model, curated)
    run(again)
    name = "adapter_model.safetensors"
    assert (again.paths.model / name).read_bytes() == (done.paths.model / name).read_bytes()


def test_recomputed_activations_give_the_same_adapter_bit_for_bit(
    done: SimpleNamespace,
    tiny_model: Path,
    curated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from steps.train.planning import batching

    decide = batching.decide
    monkeypatch.setattr(
        batching,
        "decide",
        lambda *a, **k: dataclasses.replace(decide(*a, **k), recomputed_layers=1),
    )
    frugal = job(tmp_path / "ml", tiny_model, curated)
    run(frugal)
    ours, theirs = (load_file(j.paths.model / "adapter_model.safetensors") for j in (frugal, done))
    assert (
        json.loads((frugal.paths.model / "report.json").read_text())["parameters"][
            "recomputed_layers"
        ]
        == 1
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_conflicting_evidence_empties_the_model_folder(
    tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    conflicting = job(tmp_path / "ml", tiny_model, curated, max_steps="1")
    conflicting.evidence.documents[TRAINED] = b"another run's"
    with pytest.raises(Conflict):
        run(conflicting)
    assert not list(conflicting.paths.model.iterdir())


def test_a_second_job_of_the_same_execution_publishes_its_own_manifest(
    tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    """SageMaker retries Train as another job, even if the first wrote its manifest and was lost."""
    first, second = (
        job(tmp_path / name, tiny_model, curated, max_steps="1") for name in ("lost", "again")
    )
    run(first)
    second.evidence.documents |= first.evidence.documents
    run(second, name="train-2")
    documents = second.evidence.documents
    assert documents[TRAINED] == first.evidence.documents[TRAINED], "the lost job's manifest stays"
    assert (
        documents[f"{EVIDENCE}/train-2/manifest.json"]
        == (second.paths.model / "manifest.json").read_bytes()
    )
    assert (
        Trained.from_bytes(documents[f"{EVIDENCE}/train-2/manifest.json"], origin="x").training_job
        == "train-2"
    )


def test_no_usable_example_is_the_users_fault(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "curated"
    commit(folder, ARN, train=24, held_out=0)
    empty = job(tmp_path / "ml", tiny_model, folder)
    empty.evidence.documents[PREPARED] = prepared(folder, ARN, 0, train=24, held_out=0).to_bytes()
    with pytest.raises(UsageError, match="the eval split has no usable example"):
        run(empty)
    assert_nothing_published(empty)


def test_a_table_that_prepare_cannot_have_written_leaves_nothing(
    tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "curated"
    commit(folder, ARN)
    (path,) = folder.glob("execution_id=*/*.parquet")
    replace_file(folder, pq.read_table(path, partitioning=None).drop_columns(["completion"]))
    bad = job(tmp_path / "ml", tiny_model, folder)
    with pytest.raises(IntegrityError, match="lacks columns"):
        run(bad)
    assert_nothing_published(bad)


@pytest.mark.parametrize("damage", ["change", "remove", "add", "revision", "mirror"])
def test_a_base_model_that_differs_from_its_mirror_is_refused(
    own_tiny_model: Path, damage: str
) -> None:
    mirror = json.loads((own_tiny_model / MIRROR).read_text())
    name, revision = mirror["name"], mirror["revision"]
    weights = own_tiny_model / "model.safetensors"
    if damage == "change":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    elif damage == "remove":
        weights.unlink()
    elif damage == "add":
        (own_tiny_model / "modeling.py").write_text("import os")
    elif damage == "revision":
        revision = "0" * 40
    else:
        (own_tiny_model / MIRROR).unlink()
    with pytest.raises(IntegrityError):
        verify(own_tiny_model, name=name, revision=revision)


def test_a_base_model_that_equals_its_mirror_is_accepted(tiny_model: Path) -> None:
    mirror = json.loads((tiny_model / MIRROR).read_text())
    assert (
        verify(tiny_model, name=mirror["name"], revision=mirror["revision"]).revision
        == mirror["revision"]
    )
