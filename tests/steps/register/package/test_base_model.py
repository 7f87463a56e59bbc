"""The worker knows its base model's sizes from two small objects that Train's manifest binds."""

import json

import pytest

from pipeline.local.setup import tiny_configuration, tiny_model
from steps.governance.errors import IntegrityError
from steps.register.package import base_model
from tests.steps.register.support import archives, base_models

FILES = archives.base_files()


def test_only_the_mirror_and_the_configuration_are_read() -> None:
    store, trained_on = base_models.stored(FILES | {"model.safetensors": b"weights"})
    found = base_model.read(store, base_models.JOB, trained_on)
    assert store.reads == ["mirror.json", "config.json"]
    assert found.description["uri"] == "s3://artifacts/base-models/tiny"
    assert [entry["path"] for entry in found.description["files"]] == sorted(found.files)


@pytest.mark.parametrize("shape", tiny_configuration.SHAPES.values())
def test_the_linears_are_those_of_the_checkpoint(
    shape: tiny_configuration.Shape, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("base")
    tiny_configuration.write_configuration(folder, shape)
    content = {"config.json": (folder / "config.json").read_bytes()}
    stored = {
        name.replace("language_model.model.", "model.language_model.").removesuffix(".weight"): size
        for name, size in tiny_model.weight_sizes(shape).items()
        if name.startswith("language_model.model.layers.") and "_proj." in name
    }
    found = base_models.read(FILES | content)
    assert found.linears == stored
    assert found.vocabulary == shape.vocabulary


def test_a_configuration_that_was_changed_after_training_is_refused() -> None:
    store, trained_on = base_models.stored(FILES)
    store.files["config.json"] += b" "
    with pytest.raises(IntegrityError, match=r"config\.json .* was changed after training"):
        base_model.read(store, base_models.JOB, trained_on)


def test_a_configuration_that_the_mirror_does_not_list_is_refused() -> None:
    store, trained_on = base_models.stored({"tokenizer.json": b"{}"})
    store.files["config.json"] = FILES["config.json"]
    with pytest.raises(IntegrityError, match=r"expected  an entry in mirror\.json"):
        base_model.read(store, base_models.JOB, trained_on)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"{}", "text_config: Field required"),
        (b"not json", "Invalid JSON"),
        (FILES["config.json"].replace(b'"head_dim": 4', b'"head_dim": 0'), "text_config.head_dim"),
    ],
)
def test_a_configuration_of_another_kind_is_refused(content: bytes, fault: str) -> None:
    with pytest.raises(IntegrityError, match="does not describe a Ministral-3") as refusal:
        base_models.read(FILES | {"config.json": content})
    assert refusal.match(fault)


def test_the_sizes_are_numbers_of_the_language_model() -> None:
    sizes = json.loads(FILES["config.json"])["text_config"]
    assert base_models.smallest().linears["model.language_model.layers.0.mlp.down_proj"] == (
        sizes["hidden_size"],
        sizes["intermediate_size"],
    )
