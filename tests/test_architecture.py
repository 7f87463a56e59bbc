"""docs/architecture.md agrees with the code: parameters, columns, manifests, files of the archive
and names of the outputs."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipeline.configuration.parameters import TABLE
from pipeline.local.setup.filings import COLUMNS
from steps.governance.documents.manifest import Prepared, Trained
from steps.prepare.schemas import EXAMPLES, REJECTED
from steps.register.package import artifact
from steps.train.export import model_folder

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "architecture.md").read_text()


def after(words: str) -> str:
    return PAGE[PAGE.index(words) + len(words) :]


def listed(words: str) -> list[str]:
    """The names in the first pair of back-ticks after `words`, without remarks in parentheses."""
    text = re.sub(r"\([^)]*\)", "", after(words).split("`")[1])
    return [name for name in re.split(r"[,\s]+", text) if name]


def test_every_parameter_is_listed_with_its_default() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (String|Integer|Float) \| `?([^|`]+)`? \|", PAGE, re.MULTILINE
    )
    assert rows == [(each.name, each.type, str(each.default)) for each in TABLE]


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        ("`raw_version` and `content_sha256`):", EXAMPLES.names),
        ("Rejected table:", REJECTED.names),
        ("Raw table:", list(COLUMNS)),
    ],
)
def test_every_column_is_listed(words: str, columns: list[str]) -> None:
    assert sorted(listed(words)) == sorted(columns)


@pytest.mark.parametrize("model", [Prepared, Trained])
def test_each_manifest_is_shown_with_every_field(model: type[BaseModel]) -> None:
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    name = f"governed-finetune/{model.__name__.lower()}/2"
    shown = next(block for block in blocks if block["schema"] == name)
    known = required(model.model_json_schema(by_alias=True)) | set(model.model_fields)
    assert fields(shown) >= known - {"schema_"}


def fields(document: Any, path: str = "") -> set[str]:
    """The dotted paths of a document's fields. Of a list, only the first item counts."""
    if isinstance(document, list):
        return fields(document[0], path)
    if not isinstance(document, dict):
        return set()
    return {f"{path}{key}" for key in document} | {
        deeper for key, value in document.items() for deeper in fields(value, f"{path}{key}.")
    }


def required(schema: dict[str, Any]) -> set[str]:
    """The dotted paths of the fields that a JSON schema requires."""

    def walk(node: dict[str, Any], path: str) -> set[str]:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node
        if node.get("type") == "array":
            return walk(node["items"], path)
        names = node.get("required", [])
        return {f"{path}{name}" for name in names} | {
            deeper for name in names for deeper in walk(node["properties"][name], f"{path}{name}.")
        }

    return walk(schema, "")


def test_both_sides_allow_exactly_the_archives_files() -> None:
    assert set(listed("holds regular files only:")) == set(artifact.ALLOWED) == model_folder.ALLOWED


def test_register_answers_with_the_listed_outputs() -> None:
    definition = json.loads((Path(__file__).parent / "golden" / "definition.dev.json").read_text())
    [steps] = (
        step["Arguments"]["IfSteps"] for step in definition["Steps"] if step["Name"] == "Gate"
    )
    declared = {output["OutputName"] for output in steps[0]["OutputParameters"]}
    shown = after("It answers with the outputs ").partition(". Its own")[0]
    assert set(re.findall(r"`(\w+)`", shown)) == declared
