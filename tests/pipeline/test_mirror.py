"""A mirror names what it took, byte for byte, and Train accepts exactly that."""

from pathlib import Path

import pytest

from pipeline import mirror
from pipeline.errors import UsageError
from steps.governance.errors import IntegrityError
from steps.train.mirror import verify

REVISION = "a" * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"):
        (tmp_path / name).write_text(name)
    return tmp_path


class Bucket:
    """S3 at the seam of two calls, in the order they came."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def list_objects_v2(self, *, Bucket: str, Prefix: str) -> dict[str, int]:  # noqa: N803 - boto3's names
        return {"KeyCount": sum(key.startswith(Prefix) for key in self.keys)}

    def upload_file(self, _: str, bucket: str, key: str) -> None:
        self.keys.append(key)

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self.keys.append(Key)


def test_pickles_and_the_second_copy_of_the_weights_are_left(folder: Path) -> None:
    for name in ("pytorch_model.bin", "consolidated.safetensors", "params.json", "README.md", "mirror.json"):
        (folder / name).write_text("x")
    files = mirror.described(folder, "m", REVISION)["files"]
    assert [entry["path"] for entry in files] == [
        "chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"
    ]  # fmt: skip


def test_train_accepts_the_mirror_and_refuses_a_changed_byte(folder: Path) -> None:
    import json

    document = mirror.described(folder, "m", REVISION)
    (folder / "mirror.json").write_text(json.dumps(document))
    assert verify(folder, name="m", revision=REVISION).revision == REVISION
    (folder / "model.safetensors").write_text("model.safetensorz")
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        verify(folder, name="m", revision=REVISION)


def test_the_document_comes_last_and_a_mirror_is_never_changed(folder: Path) -> None:
    bucket, document = Bucket(), mirror.described(folder, "m", REVISION)
    assert mirror.upload(bucket, folder, document, uri="s3://b/base-models/m/a/")
    assert bucket.keys[-1] == "base-models/m/a/mirror.json"
    before = list(bucket.keys)
    assert not mirror.upload(bucket, folder, document, uri="s3://b/base-models/m/a/")
    assert bucket.keys == before


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model to mirror"):
        mirror.described(tmp_path, "m", REVISION)


@pytest.mark.parametrize(
    ("card", "stated"),
    [
        ("---\nlicense: apache-2.0\ntags: [x]\n---\n# A model\n", "apache-2.0"),
        ("# A model\nlicense: mit\n", None),
        ("# A model\n---\nlicense: mit\n---\n", None),
        ("---\nlicense: do what you want\n---\n", None),
        ("---\ntags: [x]\n---\n", None),
        ("---\nlicense: [a, b]\n---\n", None),
        ("---\n: : :\n---\n", None),
        (None, None),
    ],
)
def test_the_licence_is_what_the_models_own_card_names_and_never_invented(
    folder: Path, card: str | None, stated: str | None
) -> None:
    import json

    if card is not None:
        (folder / mirror.CARD).write_text(card)
    document = mirror.described(folder, "m", REVISION)
    assert document.get("licence") == stated
    (folder / mirror.CARD).unlink(missing_ok=True)
    (folder / "mirror.json").write_text(json.dumps(document))
    assert verify(folder, name="m", revision=REVISION).licence == stated
