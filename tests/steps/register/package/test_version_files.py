"""A version's tags name each file around the adapter, and a changed tag is refused."""

import hashlib
from pathlib import Path

import pytest

from steps.governance.errors import Conflict
from steps.register.package.version_files import file_tags, recorded_files

SHA256 = hashlib.sha256(b"x").hexdigest()


def test_each_file_but_the_adapter_and_its_signature_has_a_tag(tmp_path: Path) -> None:
    for name in ("serving.py", "MLmodel", "artifacts/base_model.json", "artifacts/model.sig"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "artifacts/adapter").mkdir()
    (tmp_path / "artifacts/adapter/tokenizer.json").write_bytes(b"x")
    tags = file_tags(tmp_path)
    assert tags == {
        "file_1": f"{SHA256}  MLmodel",
        "file_2": f"{SHA256}  artifacts/base_model.json",
        "file_3": f"{SHA256}  serving.py",
    }
    assert recorded_files(tags | {"key": "k"}) == {
        "MLmodel": SHA256,
        "artifacts/base_model.json": SHA256,
        "serving.py": SHA256,
    }


def test_a_version_of_an_earlier_release_has_none() -> None:
    assert recorded_files({"key": "k", "file_name": "x"}) is None


@pytest.mark.parametrize("line", ["", SHA256, f"{SHA256}  ", "0  MLmodel", f"{SHA256}  MLmodel"])
def test_a_tag_that_no_worker_writes_is_refused(line: str) -> None:
    with pytest.raises(Conflict, match="do not name its files"):
        recorded_files({"file_1": f"{SHA256}  MLmodel", "file_2": line})
