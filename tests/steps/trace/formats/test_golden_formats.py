"""Each format of one fixed record is as it was reviewed; a changed projection is a diff.

`GOLDEN=write pytest tests/steps/trace/formats` writes the files again. The commit gives the reason.
"""

import os
from pathlib import Path

import pytest

from steps.governance.errors import UsageError
from steps.trace.formats.projection import NAMES, project
from tests.steps.trace.formats.fixed_evidence import evidence

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "formats"
ENDINGS = {"openlineage": "ndjson", "training-summary": "md"}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_a_projection_is_as_reviewed(name: str, version: int) -> None:
    golden = GOLDEN / f"record-{version}.{name}.{ENDINGS.get(name, 'json')}"
    content = project(name, evidence(version))
    if os.environ.get("GOLDEN") == "write":
        golden.write_bytes(content)
    assert content == golden.read_bytes()
    assert content.endswith(b"\n")


def test_a_signed_statement_is_the_stored_envelope() -> None:
    signed = evidence(2)
    assert signed.envelope is not None
    assert project("slsa", signed, signed=True) == signed.envelope.to_bytes() + b"\n"
    assert project("slsa", signed) == signed.envelope.content + b"\n"


@pytest.mark.parametrize(
    ("name", "version", "signed", "text"),
    [
        ("spdx", 2, False, "the format 'spdx' is unknown(.|\n)*slsa, openlineage, cyclonedx"),
        ("cyclonedx", 2, True, "cyclonedx has no signed form"),
        ("slsa", 1, True, "is not signed(.|\n)*since version 2"),
    ],
)
def test_what_cannot_be_projected_is_refused(
    name: str, version: int, signed: bool, text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        project(name, evidence(version), signed=signed)
