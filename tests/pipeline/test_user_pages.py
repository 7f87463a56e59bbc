"""The commands of the live checklist and of the CI templates exist, with their options."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.__main__ import GROUPS
from tests.pipeline.test_commands import helped

REPOSITORY = Path(__file__).parents[2]
CHECKLIST = REPOSITORY / "docs" / "live-checklist.md"
TEMPLATES = sorted((REPOSITORY / "docs" / "ci").glob("*.yml"))
NAMES = {name for names in GROUPS.values() for name in names}
_COMMAND = re.compile(r"python -m pipeline\.([a-z_]+)((?: [^`|#\n]+)?)")


def commands(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return each command with its options."""
    return [
        (name, tuple(word for word in shlex.split(words) if word.startswith("--")))
        for name, words in _COMMAND.findall(text)
    ]


def test_every_file_has_commands() -> None:
    assert [path.name for path in TEMPLATES] == ["github-actions.yml", "gitlab-ci.yml"]
    assert len(commands(CHECKLIST.read_text(encoding="utf-8"))) >= 20
    for path in TEMPLATES:
        used = {name for name, _ in commands(path.read_text(encoding="utf-8"))}
        assert used == {"doctor", "upsert"}


@pytest.mark.parametrize("path", [CHECKLIST, *TEMPLATES], ids=lambda path: path.name)
def test_every_command_and_option_exists(path: Path) -> None:
    found = commands(path.read_text(encoding="utf-8"))
    texts = {name: helped(f"pipeline.{name}") for name, _ in found if name in NAMES}
    for name, options in found:
        assert name in NAMES, name
        for option in options:
            assert f"{option} " in texts[name] or f"{option}]" in texts[name], (name, option)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_compares_before_and_deploys_on_main(path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    jobs: dict[str, Any] = document.get("jobs", document)
    texts = {name: str(job) for name, job in jobs.items()}
    assert "make test" in texts["tests"]
    assert "pipeline.upsert --diff" in texts["difference"]
    assert "merge_request_event" in texts["difference"] or "pull_request" in texts["difference"]
    assert "pipeline.doctor" in texts["doctor"]
    assert "pipeline.upsert'" in texts["deploy"], "no option: a person moves the alias"
    assert "'push'" in texts["deploy"] or '"main"' in texts["deploy"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_stores_no_key_and_signs_in_by_oidc(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "id-token: write" in text or "id_tokens:" in text
    assert not re.search(r"AWS_SECRET|ACCESS_KEY|CLIENT_SECRET|secrets\.", text)


def test_the_targets_of_make_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for path in TEMPLATES:
        for target in re.findall(r"make ([a-z./-]+)", path.read_text(encoding="utf-8")):
            assert re.search(rf"^(READY = )?{re.escape(target)}(:|$)", makefile, re.MULTILINE)


def test_each_row_has_a_number_a_command_an_expectation_and_a_remedy() -> None:
    rows = [
        line.strip("|").split(" | ")
        for line in CHECKLIST.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| \d+ \|", line)
    ]
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
    assert all(len(row) == 4 and row[2].strip() and row[3].strip() for row in rows)
