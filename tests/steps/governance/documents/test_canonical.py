"""The strict parser refuses JSON that two parsers could read differently."""

import json

import pytest

from steps.governance.documents import canonical
from steps.governance.documents.document import Part, validated
from steps.governance.errors import IntegrityError
from steps.register.package.artifact import Artifact

REFUSED = {
    "a repeated key": b'{"a": 1, "a": 1}',
    "a repeated key deep inside": b'{"a": [{"b": {"c": 1, "d": 2, "c": 3}}]}',
    "a repeated key, escaped": b'{"a": 1, "\\u0061": 2}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": [Infinity]}',
    "-Infinity": b'{"a": -Infinity}',
    "a number that overflows": b'{"a": 1e400}',
    "a whole number that doubles cannot hold": b'{"a": 9007199254740993}',
    "a negative one": b'{"a": -9007199254740993}',
    "a number of very many digits": b'{"a": ' + b"9" * 5000 + b"}",
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "Latin-1": b'{"a": "\xe9"}',
    "something after the document": b'{"a": 1} {"a": 2}',
    "a comma after the last value": b'{"a": 1,}',
    "half a surrogate pair": b'{"a": "\\ud800"}',
    "nothing": b"",
    "deep nesting": b"[" * 100_000,
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED.keys())
def test_what_readers_could_understand_differently_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        canonical.loads(content)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"a": 2**53 - 1, "b": -(2**53 - 1), "c": 1e300, "d": "\U0001f600 é \\u0041", "e": None},
        {"a": {"a": 1}},
    ],
)
def test_what_is_written_is_read(document: object) -> None:
    assert canonical.loads(json.dumps(document).encode() + b"\n") == document
    if isinstance(document, dict):
        assert canonical.loads(canonical.dumps(document)) == document


def test_a_repeated_key_is_named() -> None:
    with pytest.raises(ValueError, match="the key 'sha256' twice in one object"):
        canonical.loads(b'{"sha256": "1", "size": 3, "sha256": "2"}')


class _Pair(Part):
    size: int


def test_a_shape_is_refused_with_the_place_of_each_fault() -> None:
    with pytest.raises(ValueError, match=r"size: .*integer.*; more: .*"):
        validated(_Pair, b'{"size": "7", "more": 1}')
    with pytest.raises(ValueError, match="'size' twice"):
        validated(_Pair, b'{"size": 7, "size": 8}')


PINNED = b'{"size": 7, "uri": "s3://b/k", "version_id": "v"}'


def test_a_pinned_artifact_is_read_strictly() -> None:
    artifact = Artifact("s3://b/k", "v", 7)
    assert artifact.to_bytes() == PINNED.replace(b" ", b"")
    assert Artifact.from_bytes(PINNED) == artifact
    for wrong in (
        *(
            b"[]",
            b"{}",
            b"null",
            PINNED.replace(b"7", b'"7"'),
            PINNED.replace(b"7", b"-1"),
            PINNED + b"x",
        ),
        *(PINNED.replace(b"{", b'{"size": 7, '), PINNED.replace(b"{", b'{"more": 7, ')),
    ):
        with pytest.raises(IntegrityError, match="pinned artifact cannot be trusted"):
            Artifact.from_bytes(wrong)
