"""A version whose files are not those that were registered does not load, and names them."""

import importlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from steps.governance.files import sha256_of
from steps.register.model_registry.mlflow_import import import_mlflow
from steps.register.package import model_package
from steps.register.package.model_package import SUMS
from tests.steps.register.support import archives, signatures

ADAPTER = "artifacts/adapter"
WEIGHTS = f"{ADAPTER}/adapter_model.safetensors"
KEY = "GOVERNED_FINETUNE_PUBLIC_KEY"
Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a version, as Register writes it."""
    unpacked = tmp_path_factory.mktemp("unpacked") / "adapter"
    unpacked.mkdir()
    for name, content in archives.adapter_files().items():
        (unpacked / name).write_bytes(content)
    unpacked.with_name("model.sig").write_bytes(signatures.signature(archives.adapter_files()))
    folder = tmp_path_factory.mktemp("version") / "model"
    model_package.build(folder, adapter=unpacked, base_model={"files": []}, metadata={})
    return folder


@pytest.fixture
def version(registered: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(registered, tmp_path / "model"))


def serving() -> Any:
    """The module that is stored with a version. It imports mlflow, which warns without us."""
    import_mlflow()
    return importlib.import_module("steps.register.package.serving")


def verify(version: Path) -> None:
    signature = version / "artifacts/model.sig"
    serving().verify_version(version, version / ADAPTER, signature=signature)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def relist(version: Path, name: str) -> None:
    """Write the file's new digest into SHA256SUMS, as somebody who hides a change would."""
    sums = version / SUMS
    lines = [line for line in sums.read_text().splitlines() if not line.endswith(f"  {name}")]
    lines.append(f"{sha256_of(version / name)}  {name}")
    sums.write_text("\n".join(lines) + "\n")


def test_a_version_as_it_was_registered_is_accepted(version: Path) -> None:
    assert serving().SUMS == SUMS
    (version / "registered_model_meta").write_text("added by mlflow as it loads a version")
    verify(version)
    check = ["sha256sum", "--check", "--strict", "--quiet", SUMS]
    subprocess.run(check, cwd=version, check=True)


def test_a_version_names_no_folder_of_the_machine_that_made_it(
    version: Path, registered: Path
) -> None:
    described = (version / "MLmodel").read_text()
    assert "uri: artifacts/" in described
    for path in (registered.parent, Path.cwd(), Path.home()):
        assert str(path) not in described


def test_one_changed_bit_of_any_file_is_refused_by_name(version: Path) -> None:
    files = [path for path in version.rglob("*") if path.is_file() and path.name != SUMS]
    assert len(files) >= 14
    for path in files:
        name, content = path.relative_to(version).as_posix(), path.read_bytes()
        flip(path)
        with pytest.raises(ValueError, match=f"not as it was registered: {name} was changed"):
            verify(version)
        path.write_bytes(content)
    verify(version)


def unlist(version: Path) -> None:
    sums = version / SUMS
    lines = sums.read_text().splitlines(keepends=True)
    sums.write_text("".join(line for line in lines if WEIGHTS not in line))


def hide(name: str) -> Change:
    def changed(version: Path) -> None:
        flip(version / name)
        relist(version, name)

    return changed


def climb(version: Path) -> None:
    (version / SUMS).write_text(f"{'0' * 64}  ../../etc/passwd\n")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda v: (v / WEIGHTS).unlink(), f"{WEIGHTS} is missing"),
        (lambda v: (v / ADAPTER / "added.json").write_text("{}"), "added.json was added"),
        (lambda v: (v / "artifacts/other.py").write_text(""), "artifacts/other.py was added"),
        (lambda v: (v / SUMS).unlink(), "SHA256SUMS cannot be read"),
        (lambda v: (v / SUMS).write_text(""), "SHA256SUMS was changed"),
        (lambda v: (v / SUMS).write_text("no digest\n"), "SHA256SUMS was changed"),
        (climb, "SHA256SUMS was changed"),
        (unlist, f"{WEIGHTS} was added"),
        (hide(WEIGHTS), r"adapter_model\.safetensors is not the one in model\.sig"),
        (hide(f"{ADAPTER}/tokenizer.json"), r"tokenizer\.json is not the one in model\.sig"),
    ],
)
def test_a_version_that_was_changed_is_refused(change: Change, reason: str, version: Path) -> None:
    change(version)
    with pytest.raises(ValueError, match="not as it was registered: ") as refusal:
        verify(version)
    assert refusal.match(reason)


def test_a_signature_that_is_not_one_is_refused(version: Path) -> None:
    for content in (b"", b"{}", b"[]", b'{"dsseEnvelope": {"payload": "e30="}}'):
        (version / "artifacts/model.sig").write_bytes(content)
        relist(version, "artifacts/model.sig")
        with pytest.raises(ValueError, match=r"model\.sig is not a signature of the adapter"):
            verify(version)


def test_with_a_pinned_key_the_signature_is_verified(
    version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, signatures.public_key())
    verify(version)
    monkeypatch.setenv(KEY, signatures.public_key(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(ValueError, match=f"not signed by the key in {KEY}"):
        verify(version)


@pytest.mark.parametrize("text", ["not base64", "AAAA"])
def test_a_pinned_key_that_is_none_is_refused(
    text: str, version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, text)
    with pytest.raises(ValueError, match=f"{KEY}: expected base64"):
        verify(version)


def test_nothing_is_read_of_a_changed_version_before_it_is_refused(version: Path) -> None:
    flip(version / WEIGHTS)
    paths = {
        "adapter": str(version / ADAPTER),
        "signature": str(version / "artifacts/model.sig"),
        "base_model": "/does/not/exist",
    }
    with pytest.raises(ValueError, match=f"{WEIGHTS} was changed"):
        serving().MinistralWithAdapter().load_context(SimpleNamespace(artifacts=paths))
