"""`mirror.json` is read as strictly as Train reads it: a document that Train refuses is a broken
mirror, never "already held"."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import mirror
from pipeline.base_model.document import read
from pipeline.errors import Refused
from steps.governance.errors import IntegrityError
from steps.train.model.base_model_files import verify
from tests.pipeline.base_model import models

REVISION = "a" * 40
URI, PREFIX = "s3://b/base-models/m/a/", "base-models/m/a/"
DOCUMENT = PREFIX + "mirror.json"


def written(**values: object) -> Callable[[dict[str, Any]], bytes]:
    return lambda document: json.dumps(document | values).encode()


def entry(**values: object) -> Callable[[dict[str, Any]], bytes]:
    def first(document: dict[str, Any]) -> bytes:
        changed, *rest = document["files"]
        return json.dumps(document | {"files": [changed | values, *rest]}).encode()

    return first


SPOILT: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "cut": lambda document: json.dumps(document).encode()[:-1],
    "empty": lambda document: b"",
    "a key twice": lambda document: json.dumps(document).encode()[:-1] + b', "name": "m"}',
    "a key twice in a file": lambda document: (
        json.dumps(document).encode().replace(b'"size"', b'"size": 2, "size"', 1)
    ),
    "a byte order mark": lambda document: b"\xef\xbb\xbf" + json.dumps(document).encode(),
    "UTF-16": lambda document: json.dumps(document).encode("utf-16"),
    "Latin-1": lambda document: b'{"name": "\xff"}',
    "nested": lambda document: b"[" * 100_000,
    "a list": lambda document: b"[]",
    "null": lambda document: b"null",
    "an unknown key": written(comment="x"),
    "another name's type": written(name=7),
    "a short revision": written(revision="a" * 39),
    "a text that is not a licence": written(licence="do what you want"),
    "a licence of another type": written(licence=["mit"]),
    "no files": written(files=[]),
    "files as an object": written(files={"config.json": 2}),
    "files as null": written(files=None),
    "a file as text": written(files=["config.json"]),
    "a real number": entry(size=2.0),
    "a size as text": entry(size="2"),
    "a size that is true": entry(size=True),
    "a negative size": entry(size=-1),
    "NaN": entry(size=float("nan")),
    "no digest": entry(sha256=None),
    "a digest in capitals": entry(sha256="A" * 64),
    "a path as a list": entry(path=["config.json"]),
    "an unknown key of a file": entry(mode=7),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return models.whole(tmp_path / "model")


def put(bucket: models.CountingBucket, folder: Path) -> bool:
    return mirror.upload(bucket, folder, mirror.described(folder, "m", REVISION), uri=URI)


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_a_document_that_train_refuses_is_replaced_and_the_reason_is_named(
    folder: Path, spoil: Callable[[dict[str, Any]], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    document = mirror.described(folder, "m", REVISION)
    spoilt = spoil(document)
    (folder / "mirror.json").write_bytes(spoilt)
    with pytest.raises(IntegrityError):
        verify(folder, name="m", revision=REVISION)
    bucket = models.CountingBucket()
    put(bucket, folder)
    whole = bucket.objects[DOCUMENT]
    bucket.objects[DOCUMENT] = spoilt
    assert put(bucket, folder) is True
    assert "  mirror.json  cannot be read: " in capsys.readouterr().err
    assert bucket.objects[DOCUMENT] == whole


@pytest.mark.parametrize(
    "spell",
    [
        written(licence=None),
        lambda document: json.dumps(dict(reversed(document.items())), indent=7).encode(),
        lambda document: json.dumps(document | {"files": document["files"][::-1]}).encode(),
    ],
)
def test_another_spelling_that_train_takes_is_the_same_mirror(
    folder: Path, spell: Callable[[dict[str, Any]], bytes]
) -> None:
    bucket = models.CountingBucket()
    put(bucket, folder)
    bucket.objects[DOCUMENT] = spell(mirror.described(folder, "m", REVISION))
    (folder / "mirror.json").write_bytes(bucket.objects[DOCUMENT])
    verify(folder, name="m", revision=REVISION)
    assert put(bucket, folder) is False


def test_a_file_that_is_named_twice_or_outside_the_prefix_is_refused(folder: Path) -> None:
    document = mirror.described(folder, "m", REVISION)
    for path in (
        document["files"][1]["path"],
        "../config.json",
        "a/b.json",
        "..",
        "mirror.json",
        "",
    ):
        with pytest.raises(ValueError, match=r"names a file twice|the value of path"):
            read(entry(path=path)(document))


def test_a_whole_mirror_with_a_name_that_an_earlier_release_took_is_not_changed(
    folder: Path,
) -> None:
    bucket = models.CountingBucket()
    put(bucket, folder)
    document = mirror.described(folder, "m", REVISION)
    odd = document["files"][1] | {"path": "a b.json"}
    assert odd["size"] == len(b"{}")
    bucket.objects[PREFIX + "a b.json"] = b"{}"
    bucket.objects[DOCUMENT] = json.dumps(document | {"files": [*document["files"], odd]}).encode()
    before = dict(bucket.objects)
    with pytest.raises(Refused, match=r"a b\.json  is there only"):
        put(bucket, folder)
    assert bucket.objects == before


def test_another_licence_of_a_whole_mirror_is_a_difference_that_is_named(folder: Path) -> None:
    bucket = models.CountingBucket()
    put(bucket, folder)
    bucket.objects[DOCUMENT] = written(licence="mit")(mirror.described(folder, "m", REVISION))
    with pytest.raises(Refused, match="licence  is 'mit' there and None here"):
        put(bucket, folder)
