"""The SBOM of an image is what its lock installs, valid, and the same each time."""

import json
import re
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from scripts import sbom

BASE = "registry.example.com/python@sha256:" + "a" * 64
COMMIT = "0123456789abcdef0123456789abcdef01234567"
DATE = datetime(2026, 11, 30, tzinfo=UTC)


def made(image: str, **other: Any) -> dict[str, Any]:
    given = {"base": BASE, "commit": COMMIT, "date": DATE} | other
    found: dict[str, Any] = json.loads(sbom.document(image, **given))
    return found


def libraries(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in document["components"] if each["type"] == "library"}


@pytest.mark.parametrize("image", sbom.STEPS)
def test_the_strict_validator_accepts_the_document(image: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = sbom.document(image, base=BASE, commit=COMMIT, date=DATE)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


@pytest.mark.parametrize("image", sbom.STEPS)
def test_every_pin_of_the_lock_is_a_package_with_the_hashes_that_fit(image: str) -> None:
    lock = (sbom.REPOSITORY / "containers" / image / "requirements.txt").read_text()
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==([^ ;\\\n]+)", lock, re.MULTILINE))
    found = libraries(made(image))
    packages = {name: one["version"] for name, one in found.items() if name != "torch"}
    assert packages == pins
    assert len(packages) > 20
    hashes = [one["value"] for each in found.values() for one in each.get("properties", ())]
    assert sorted(hashes) == sorted(re.findall(r"sha256:[0-9a-f]{64}", lock))
    assert ("torch" in found) == (image == "train")


def test_a_package_of_another_platform_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "containers" / "prepare"
    folder.mkdir(parents=True)
    one, two = "a" * 64, "b" * 64
    (folder / "requirements.txt").write_text(
        f"colorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:{one}\n"
        f"greenlet==3.0.0 ; platform_machine == 'x86_64' \\\n    --hash=sha256:{two}\n"
    )
    (folder / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.setattr(sbom, "REPOSITORY", tmp_path)
    assert [(str(pin.name), hashes) for pin, hashes in sbom.packages("prepare")] == [
        ("greenlet", [f"sha256:{two}"])
    ]


def test_torch_is_the_wheel_that_the_dockerfile_names() -> None:
    dockerfile = (sbom.REPOSITORY / "containers" / "train" / "Dockerfile").read_text()
    (wheel,) = re.findall(r"^ARG TORCH=torch==(\S+)$", dockerfile, re.MULTILINE)
    assert libraries(made("train"))["torch"]["version"] == wheel


def test_a_licence_is_stated_where_the_installed_version_states_it() -> None:
    found = libraries(made("evidence"))
    stated = metadata.metadata("pydantic")["License-Expression"]
    assert stated
    assert found["pydantic"]["licenses"] == [{"expression": stated}]
    assert sbom._licence("pydantic", "0.0.1") is None, "another version may have another licence"
    assert sbom._licence("no-such-package-is-installed", "1") is None


def test_the_same_inputs_give_the_same_bytes_and_others_do_not() -> None:
    first = made("register")
    assert first == made("register")
    assert first["serialNumber"] != made("register", commit="f" * 40)["serialNumber"]
    assert first["metadata"]["timestamp"] == "2026-11-30T00:00:00+00:00"
    stated = first["metadata"]["component"]
    assert stated["version"] == COMMIT
    assert {one["name"] for one in stated["properties"]} == {
        *("git_commit", "lock_sha256", "not listed"),
    }
    (base,) = [one for one in first["components"] if one["bom-ref"] == "base-image"]
    assert base["version"] == "sha256:" + "a" * 64
