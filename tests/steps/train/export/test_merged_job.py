"""A whole job with a merged export: both archives are complete and in the manifest, or neither."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from steps.governance import full_disk
from steps.governance.documents.manifest import Trained
from steps.governance.errors import Conflict, IntegrityError
from steps.train.export import merged_model, model_folder
from steps.train.fine_tuning import fine_tune
from steps.train.model import logit_probe
from tests.steps.train.support.jobs import TRAINED, assert_nothing_published, job, run

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def done(
    tiny_model: Path, curated: Path, tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """One finished job with an export."""
    finished = job(
        tmp_path_factory.mktemp("ml"), tiny_model, curated, merged_export="bfloat16", max_steps="2"
    )
    run(finished)
    return finished


def test_the_manifest_lists_every_file_of_the_export_and_is_next_to_it(
    done: SimpleNamespace,
) -> None:
    content = done.evidence.documents[TRAINED]
    trained = Trained.from_bytes(content, origin="evidence")
    assert trained.merged is not None
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (done.paths.output_data / "merged").iterdir()
    }
    assert digests.pop("manifest.json") == hashlib.sha256(content).hexdigest()
    assert digests == {entry.path: entry.sha256 for entry in trained.merged}
    assert {"config.json", "tokenizer.json", "model.safetensors.index.json"} <= digests.keys()
    assert not list(done.paths.root.rglob(".*")), "no staging folder is left"


def test_the_archive_register_reads_is_the_adapter_alone(done: SimpleNamespace) -> None:
    trained = Trained.from_bytes(done.evidence.documents[TRAINED], origin="evidence")
    assert {entry.path for entry in trained.files} | {"manifest.json"} <= model_folder.ALLOWED
    assert not [entry.path for entry in trained.files if entry.path.startswith("model-")]


def test_report_page_and_card_have_the_comparison_the_commit_and_every_share(
    done: SimpleNamespace,
) -> None:
    report = json.loads((done.paths.model / "report.json").read_text())
    assert (
        0
        < report["merged"]["difference"]
        <= report["merged"]["tolerance"]
        < report["merged"]["difference_from_base"]
    )
    assert report["lineage"]["git_commit"] == "c" * 40
    assert {share["name"] for share in report["by_year"]} == {
        str(year) for year in range(2004, 2010)
    }
    assert sum(share["tokens"] for share in report["by_group"]) == report["metrics"]["eval_tokens"]
    for name in ("report.html", "README.md"):
        assert "c" * 40 in (done.paths.model / name).read_text()


def test_no_document_contains_governed_text(done: SimpleNamespace) -> None:
    for name in ("report.json", "report.html", "README.md", "manifest.json"):
        text = (done.paths.model / name).read_text()
        assert "which could harm our business in many ways" not in text
        assert "Our business could be harmed by" not in text.replace(_tuned_answer(done), "")


def _tuned_answer(done: SimpleNamespace) -> str:
    """Return the tuned model's answer, which may equal the completions that it learned."""
    report = json.loads((done.paths.model / "report.json").read_text())
    return str(report["sample"]["tuned"]) or "\0"


def assert_no_export(one: SimpleNamespace) -> None:
    assert_nothing_published(one)
    assert not list((one.paths.root / "output").rglob("*.safetensors"))
    assert not one.paths.merged.exists()


def test_conflicting_evidence_removes_the_export(
    tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    conflicting = job(tmp_path / "ml", tiny_model, curated, merged_export="bfloat16", max_steps="1")
    conflicting.evidence.documents[TRAINED] = b"another run's"
    with pytest.raises(Conflict):
        run(conflicting)
    assert not conflicting.paths.merged.exists()
    assert not list(conflicting.paths.model.iterdir())


def test_an_export_that_differs_fails_the_job_and_leaves_no_archive(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    different = job(tmp_path / "ml", tiny_model, curated, merged_export="bfloat16", max_steps="1")
    monkeypatch.setattr(logit_probe, "TOLERANCE", 1e-6)
    with pytest.raises(IntegrityError, match="does not answer as the tuned one"):
        run(different)
    assert_no_export(different)


def test_a_disk_without_room_for_the_export_is_reported_before_the_first_step(
    tiny_model: Path, curated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained first")

    small = job(tmp_path / "ml", tiny_model, curated, merged_export="bfloat16")
    monkeypatch.setattr(fine_tune, "fine_tune", never)
    monkeypatch.setattr(merged_model.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(full_disk.DiskFull, match="no room for the merged model"):
        run(small)
    assert_no_export(small)
