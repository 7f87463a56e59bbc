"""A mirror lists the files it took with their sha256, and Train accepts exactly these."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline import mirror
from pipeline.errors import Refused, UsageError
from steps.governance.errors import IntegrityError
from steps.train.model.base_model_files import verify
from tests.pipeline.base_model import models

REVISION = "a" * 40


URI = "s3://b/base-models/m/a/"
PREFIX = "base-models/m/a/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return models.whole(tmp_path / "model")


def test_pickles_and_the_second_copy_of_the_weights_are_not_taken(folder: Path) -> None:
    for name in (
        "pytorch_model.bin",
        "consolidated.safetensors",
        "params.json",
        "README.md",
        "mirror.json",
    ):
        (folder / name).write_text("x")
    files = mirror.described(folder, "m", REVISION)["files"]
    assert [entry["path"] for entry in files] == [
        "chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json"
    ]  # fmt: skip


def test_train_accepts_the_mirror_and_refuses_a_changed_byte(folder: Path) -> None:
    document = mirror.described(folder, "m", REVISION)
    (folder / "mirror.json").write_text(json.dumps(document))
    assert verify(folder, name="m", revision=REVISION).revision == REVISION
    models.whole(folder, value=1.0)
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        verify(folder, name="m", revision=REVISION)


def put(bucket: models.CountingBucket, folder: Path) -> bool:
    return mirror.upload(bucket, folder, mirror.described(folder, "m", REVISION), uri=URI)


def test_the_document_is_uploaded_last_and_the_same_mirror_changes_nothing(folder: Path) -> None:
    bucket = models.Bucket()
    assert put(bucket, folder) is True
    assert bucket.keys[-1] == PREFIX + "mirror.json"
    before = list(bucket.keys)
    assert put(bucket, folder) is False
    assert bucket.keys == before


def test_a_whole_mirror_of_other_content_is_not_changed_and_the_difference_is_shown(
    folder: Path, tmp_path: Path
) -> None:
    bucket = models.Bucket()
    put(bucket, folder)
    before = dict(bucket.objects)
    other = models.whole(tmp_path / "other", value=1.0)
    (other / "added_tokens.json").write_text("{}")
    with pytest.raises(Refused) as caught:
        put(bucket, other)
    assert bucket.objects == before
    text = str(caught.value)
    assert "another mirror is at s3://b/base-models/m/a/, and it is whole" in text
    assert "added_tokens.json  is not there" in text
    assert "model.safetensors  is 328 bytes, sha256 " in text
    assert "config.json" not in text
    assert "give this content another revision (train.base_model_revision)" in text


def mirrored_pointer(bucket: models.Bucket, folder: Path) -> None:
    """A mirror of an earlier release: a pointer instead of weights, with a matching document."""
    put(bucket, folder)
    content, name = models.POINTER.encode(), "model.safetensors"
    bucket.objects[PREFIX + name] = content
    document = json.loads(bucket.objects[PREFIX + "mirror.json"])
    [entry] = [each for each in document["files"] if each["path"] == name]
    entry |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    bucket.objects[PREFIX + "mirror.json"] = json.dumps(document).encode()


def resized(bucket: models.Bucket, folder: Path) -> None:
    put(bucket, folder)
    bucket.objects[PREFIX + "model.safetensors"] += b"x"


def altered(bucket: models.Bucket, folder: Path) -> None:
    put(bucket, folder)
    bucket.objects[PREFIX + "config.json"] = b"[]"


def lost(bucket: models.Bucket, folder: Path) -> None:
    put(bucket, folder)
    del bucket.objects[PREFIX + "tokenizer.json"]


def strange(bucket: models.Bucket, folder: Path) -> None:
    put(bucket, folder)
    bucket.objects[PREFIX + "old-shard.safetensors"] = b"x"


def unread(bucket: models.Bucket, folder: Path) -> None:
    put(bucket, folder)
    bucket.objects[PREFIX + "mirror.json"] = b"{"


def renamed(bucket: models.Bucket, folder: Path) -> None:
    mirror.upload(bucket, folder, mirror.described(folder, "another", REVISION), uri=URI)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (mirrored_pointer, "model.safetensors  is a git-lfs pointer"),
        (resized, "model.safetensors  has 329 bytes, expected 328 (mirror.json)"),
        (altered, "config.json  differs from mirror.json: 2 bytes, sha256 4f53cda18c2b"),
        (lost, "tokenizer.json  is missing"),
        (strange, "old-shard.safetensors  is not in mirror.json"),
        (unread, "mirror.json  cannot be read: Expecting property name"),
        (renamed, "mirror.json  is of 'another' at 'aaaa"),
    ],
)
def test_a_whole_folder_replaces_a_broken_mirror_and_the_reason_is_shown(
    folder: Path,
    tmp_path: Path,
    broken: Callable[..., None],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bucket = models.Bucket()
    broken(bucket, folder)
    repaired = models.whole(tmp_path / "repaired", value=2.0)
    assert put(bucket, repaired) is True
    shown = capsys.readouterr().err
    assert (
        "the mirror at s3://b/base-models/m/a/ is broken and is replaced; it has 1 fault" in shown
    )
    assert reason in shown
    assert ("  replaced  model.safetensors: is " in shown) is (broken is not unread)
    document = mirror.described(repaired, "m", REVISION)
    assert json.loads(bucket.objects[PREFIX + "mirror.json"]) == document
    names = {key.removeprefix(PREFIX) for key in bucket.objects}
    assert names == {entry["path"] for entry in document["files"]} | {"mirror.json"}
    assert [key for key in bucket.keys if not key.startswith("-")][-1] == PREFIX + "mirror.json"
    assert put(bucket, repaired) is False


def test_the_same_folder_repairs_a_mirror_that_lost_an_object(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = models.Bucket()
    lost(bucket, folder)
    assert put(bucket, folder) is True
    assert "tokenizer.json  is missing" in capsys.readouterr().err
    assert put(bucket, folder) is False


def pointer(content: bytes) -> bytes:
    return models.POINTER.encode()


@pytest.mark.parametrize("store", [models.Bucket, models.CountingBucket])
@pytest.mark.parametrize(
    "damage",
    [
        pointer,
        lambda old: old[:-1],
        lambda old: b"",
        lambda old: old[:-1] + b"\x07",
        lambda old: old + b"x",
    ],
)
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "chat_template.jinja"])
def test_a_replaced_object_is_found_although_the_document_is_equal(
    folder: Path, store: type[models.CountingBucket], damage: Callable[[bytes], bytes], name: str
) -> None:
    bucket = store()
    assert put(bucket, folder) is True
    before = dict(bucket.objects)
    bucket.objects[PREFIX + name] = damage(before[PREFIX + name])
    assert put(bucket, folder) is True
    assert bucket.objects == before
    assert put(bucket, folder) is False


@pytest.mark.parametrize("store", [models.Bucket, models.CountingBucket])
@pytest.mark.parametrize("name", ["model.safetensors", "mirror.json", "config.json"])
def test_an_object_with_a_longer_name_is_not_taken_for_a_lost_one(
    folder: Path, store: type[models.CountingBucket], name: str
) -> None:
    bucket = store()
    put(bucket, folder)
    whole = dict(bucket.objects)
    bucket.objects[PREFIX + name + ".bak"] = bucket.objects.pop(PREFIX + name)
    assert put(bucket, folder) is True
    assert whole.items() <= bucket.objects.items()
    assert put(bucket, folder) is False


@pytest.mark.parametrize("damage", [models.POINTER.encode(), b""])
def test_faults_are_found_although_a_listing_has_no_sizes(folder: Path, damage: bytes) -> None:
    class Sizeless(models.Bucket):
        def list_objects_v2(self, **request: Any) -> dict[str, Any]:
            page = super().list_objects_v2(**request)
            return page | {"Contents": [{"Key": each["Key"]} for each in page.get("Contents", ())]}

    bucket = Sizeless()
    put(bucket, folder)
    assert put(bucket, folder) is False
    bucket.objects[PREFIX + "model.safetensors"] = damage
    assert put(bucket, folder) is True
    del bucket.objects[PREFIX + "config.json"]
    assert put(bucket, folder) is True
    assert put(bucket, folder) is False


def test_stale_objects_are_deleted_after_the_new_document_is_uploaded(folder: Path) -> None:
    class Full(models.Bucket):
        def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
            raise ConnectionError

    bucket = models.Bucket()
    strange(bucket, folder)
    full = Full()
    full.objects = dict(bucket.objects)
    with pytest.raises(ConnectionError):
        put(full, folder)
    assert full.objects == bucket.objects
    assert put(bucket, folder) is True
    assert bucket.keys[-2:] == [PREFIX + "mirror.json", f"-{PREFIX}old-shard.safetensors"]


def test_another_error_of_s3_is_not_taken_for_a_missing_object(folder: Path) -> None:
    class Denied(models.Bucket):
        def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "No."}}, "GetObject")

    bucket = Denied()
    with pytest.raises(ClientError, match="AccessDenied"):
        put(bucket, folder)
    assert not bucket.objects


def test_an_interrupted_upload_leaves_no_mirror_and_can_be_repeated(
    folder: Path, tmp_path: Path
) -> None:
    class Cut(models.Bucket):
        def upload_file(self, path: str, bucket: str, key: str, **progress: Any) -> None:
            if key.endswith("model.safetensors"):
                raise ConnectionError
            super().upload_file(path, bucket, key, **progress)

    bucket = Cut()
    with pytest.raises(ConnectionError):
        put(bucket, folder)
    assert PREFIX + "mirror.json" not in bucket.objects
    whole = models.Bucket()
    # The second object is left over from an interrupted upload of another folder.
    whole.objects = bucket.objects | {PREFIX + "left-over.json": b"{}"}
    assert put(whole, folder) is True
    assert f"-{PREFIX}left-over.json" in whole.keys
    assert put(whole, folder) is False


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
        ("---\nlicense: mit\ndate: 2026-99-99\n---\n", None),
        ("---\nlicense: mit\ndate: !!timestamp x\n---\n", None),
        ("---\nlicense: mit\nsize: !!int x\n---\n", None),
        ("---\nlicense: mit\nx: " + "[" * 3000 + "\n---\n", None),
        (None, None),
    ],
)
def test_the_licence_is_the_one_that_the_models_card_states(
    folder: Path, card: str | None, stated: str | None
) -> None:
    if card is not None:
        (folder / mirror.CARD).write_text(card)
    document = mirror.described(folder, "m", REVISION)
    assert document.get("licence") == stated
    (folder / mirror.CARD).unlink(missing_ok=True)
    (folder / "mirror.json").write_text(json.dumps(document))
    assert verify(folder, name="m", revision=REVISION).licence == stated
