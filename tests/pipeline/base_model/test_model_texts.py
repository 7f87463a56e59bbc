"""Text files of a model are refused if two parsers could read them differently, or if their content
is not of the kind that their name promises."""

import struct
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from pipeline import mirror
from tests.pipeline.base_model import models
from tests.pipeline.base_model.test_model_files import FIRST, refusal

BOM = b"\xef\xbb\xbf"
JSON = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "processor_config.json",
    models.INDEX,
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = models.sharded(tmp_path / "model")
    for name in ("generation_config.json", "tokenizer_config.json", "processor_config.json"):
        (folder / name).write_text("{}")
    mirror.described(folder, "m", "a" * 40)
    return folder


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"[]", "expected a JSON object, got list"),
        (b"null", "expected a JSON object, got NoneType"),
        (BOM + b"{}", "is not JSON (a byte order mark)"),
        ("{}".encode("utf-16"), "is not JSON (bytes that are not UTF-8 at 0)"),
        ("{}".encode("utf-16-le"), "is not JSON ("),
        (b'{"a": NaN}', "is not JSON (the number NaN, which JSON does not have)"),
        (b'{"a": [-Infinity]}', "is not JSON (the number -Infinity"),
        (b'{"a": 1e999}', "is not JSON (a number that is too large for a double)"),
        (b'{"a": {"b": 1, "b": 2}}', "is not JSON (the key 'b' twice in one object)"),
        (BOM + models.POINTER.encode(), "is a git-lfs pointer of 138 bytes"),
    ],
)
def test_json_that_parsers_read_differently_is_refused(
    folder: Path, name: str, content: bytes, fault: str
) -> None:
    (folder / name).write_bytes(content)
    assert f"{name}  {fault}" in refusal(folder)


def test_a_whole_number_of_any_size_is_taken_because_tokenizers_have_them(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text(
        '{"model_max_length": 1000000000000000019884624838656}'
    )
    assert mirror.described(folder, "m", "a" * 40)


@pytest.mark.parametrize("name", ["chat_template.jinja", FIRST, "config.json"])
@pytest.mark.parametrize("mark", [b"", BOM])
@pytest.mark.parametrize(
    "address",
    [
        "https://git-lfs.github.com/spec/v1",
        "https://hawser.github.com/spec/v1",
        "http://git-media.io/v/2",
    ],
)
def test_a_pointer_is_recognised_by_every_address_and_after_a_byte_order_mark(
    folder: Path, name: str, mark: bytes, address: str
) -> None:
    pointer = models.POINTER.replace("https://git-lfs.github.com/spec/v1", address).replace(
        "\n", "\r\n"
    )
    (folder / name).write_bytes(mark + pointer.encode())
    assert f"{name}  is a git-lfs pointer of " in refusal(folder)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (BOM + b"{{ messages }}", "begins with a byte order mark"),
        ("{{ messages }}".encode("utf-16"), "is not UTF-8 (at byte 0)"),
        (b"\xe9{{ messages }}", "is not UTF-8 (at byte 0)"),
    ],
)
def test_a_chat_template_that_is_not_plain_utf_8_is_refused(
    folder: Path, content: bytes, fault: str
) -> None:
    (folder / "chat_template.jinja").write_bytes(content)
    assert f"chat_template.jinja  {fault}" in refusal(folder)


def test_weights_without_tensors_are_refused(folder: Path) -> None:
    save_file({}, folder / FIRST)
    assert f"{FIRST}  has no tensors; download it again" in refusal(folder)
    (folder / FIRST).write_bytes(struct.pack("<Q", 2) + b"{}")
    assert f"{FIRST}  has no tensors; download it again" in refusal(folder)
