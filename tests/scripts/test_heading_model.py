"""The heading model's weights can be made again: same sections, same bytes, and a manifest."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from scripts import heading_score
from scripts.heading_model import __main__, corpus, experiment, fitting, growing, weights_file
from scripts.heading_model.corpus import Section
from scripts.heading_model.measured import measure, pairs, table
from scripts.heading_model.restyled import STYLES
from steps.prepare.styled.kinds_by_type import Labelled
from steps.prepare.styled.paragraph_type import letters
from steps.prepare.text import heading_model
from steps.prepare.text.doubtful import trees
from steps.prepare.text.heading_sequence import BODY, RUN_IN, STANDING, TITLE
from tests.steps.prepare.support import styled


def lines() -> list[Labelled]:
    """Return the invented section with its labels, headings on their own lines."""
    found = [Labelled(styled.INTRODUCTION, BODY)]
    for number, sentence in enumerate(styled.SENTENCES):
        if number in styled.GROUPS:
            found.append(Labelled(styled.GROUPS[number], TITLE))
        found.append(Labelled(sentence, STANDING, sentence))
        found += [Labelled(line, BODY) for line in styled.BODIES[number].split("\n")]
    return found


def sections() -> list[Section]:
    return [
        Section("owner/name", "0" * 40, f"{company}.html", f"{company:064}", str(company), lines())
        for company in range(4)
    ]


@pytest.mark.parametrize("style", STYLES)
def test_a_style_keeps_the_text_of_the_factors(style: str) -> None:
    before, after = pairs(lines()), pairs(STYLES[style](lines()))
    if "brief" in style:
        full = {letters(heading): letters(body) for heading, body, _ in before}
        assert after
        assert all(letters(body)[:60] in full[letters(heading)] for heading, body, _ in after)
    elif "excerpt" in style:
        assert 1 <= len(after) <= 6
        assert {letters(body) for _, body, _ in after} <= {letters(body) for _, body, _ in before}
    else:
        assert [letters(body) for _, body, _ in after] == [letters(body) for _, body, _ in before]
    kind = RUN_IN if style.startswith(("run_in", "two")) else STANDING
    assert {found for _, _, found in after} == {kind}


@pytest.mark.parametrize("style", STYLES)
def test_a_paragraph_begins_with_its_heading(style: str) -> None:
    for one in STYLES[style](lines()):
        assert (one.heading != "") == (one.kind in (STANDING, RUN_IN))
        assert one.paragraph.removeprefix("• ").startswith(one.heading)


def test_the_pairs_that_the_labels_mean_are_those_of_the_section() -> None:
    assert [(heading, body) for heading, body, _ in pairs(lines())] == list(
        zip(styled.SENTENCES, styled.BODIES, strict=True)
    )


def test_the_same_sections_give_the_same_bytes() -> None:
    def made() -> weights_file.Files:
        return weights_file.made(sections(), fitting.fitted(experiment.training_frame(sections())))

    first, second = made(), made()
    assert first == second
    stored = json.loads(first.weights)
    assert stored["training_set"] == hashlib.sha256(first.manifest).hexdigest()
    (result,) = measure(sections()[:1], heading_model.read_model(stored))
    assert result.headings.f1 == 1.0, "weights that were fitted on a section find its headings"
    assert "F1 1.000" in table([result])[0]


def test_whole_numbers_give_the_scores_that_were_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    models: list[Any] = []

    class Kept(HistGradientBoostingClassifier):  # type: ignore[misc]
        def fit(self, *given: Any, **named: Any) -> Any:
            models.append(self)
            return super().fit(*given, **named)

    monkeypatch.setattr(growing, "HistGradientBoostingClassifier", Kept)
    draw = np.random.default_rng(1)
    values = draw.integers(-50, 50, (900, 4)).astype(np.int32)
    right = values[:, 0] * 3 + values[:, 2] > draw.integers(-60, 60, 900)
    names = list("abcd")
    stored = growing._grown(pl.DataFrame(values, names), right, pl.Series([1.0] * 900))
    expected = models[0].decision_function(values) * 100
    assert np.abs(trees.read(stored, names).scores(values) - expected).max() < 2


def test_one_answer_needs_no_tree() -> None:
    values = pl.DataFrame({"a": [1, 2]}, {"a": pl.Int32})
    for answer in (True, False):
        stored = growing._grown(values, np.array([answer] * 2), pl.Series([1.0, 1.0]))
        scores = trees.read(stored, ["a"]).scores(values.to_numpy())
        assert (scores > 0).tolist() == [answer] * 2


def test_the_manifest_names_every_filing_and_has_no_text() -> None:
    manifest = weights_file.MANIFEST.read_bytes()
    entries = json.loads(manifest)["sections"]
    assert len(entries) > 100
    names = {"repository", "commit", "path", "sha256", "company", "headings", "labels_sha256"}
    for entry in entries:
        assert entry.keys() == names, "a manifest has no text"
        assert re.fullmatch("[0-9a-f]{64}", entry["sha256"])


def test_a_file_that_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = weights_file.Files(b"weights", b"manifest")
    for name, content in (("WEIGHTS", b"weights"), ("MANIFEST", b"other")):
        path = tmp_path / name
        path.write_bytes(content)
        monkeypatch.setattr(weights_file, name, path)
    assert files.differences() == ["MANIFEST"]
    files.write()
    assert files.differences() == []


def test_sections_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    corpus.write(tmp_path / "sections.jsonl", sections())
    assert corpus.read(tmp_path / "sections.jsonl") == sections()


def test_a_section_of_the_sample_gets_the_labels_of_its_gold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = [heading_score.fingerprint(heading, body) for heading, body, _ in pairs(lines())]
    path = tmp_path / "gold.json"
    path.write_text(json.dumps({"a.htm": gold}))
    monkeypatch.setattr(heading_score, "GOLD", path)
    text = "Item 1A. Risk Factors\n" + "\n".join(one.paragraph for one in lines())
    sample = tmp_path / "sample.jsonl"
    sample.write_text(json.dumps({"filename": "a.htm", "cik": "7", "item_1A": text}) + "\n")
    (section,) = corpus.of_sample(sample)
    assert section.lines[1:] == lines()[1:]
    assert section.company == "7"


@pytest.fixture
def trained_on(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Take the committed weights in place of a fit, and list the companies of each fit."""
    seen: list[set[str]] = []
    stored = json.loads(heading_model.WEIGHTS.read_bytes())

    def fitted(frame: pl.DataFrame) -> fitting.Stored:
        seen.append(set(frame["company"]))
        return stored

    monkeypatch.setattr(fitting, "fitted", fitted)
    return seen


def many() -> list[Section]:
    return [
        Section("o/n", "0" * 40, "a", f"{number:064}", str(number), lines()) for number in range(30)
    ]


def test_no_company_is_scored_by_weights_that_saw_it(trained_on: list[set[str]]) -> None:
    tried = [one for one in many() if not one.locked]
    results = experiment.left_out(tried, folds=3)["own"]
    assert sorted(one.company for one in results) == sorted(one.company for one in tried)
    for number, companies in enumerate(trained_on):
        assert companies == {one.company for one in tried if fitting.fold(one.company, 3) != number}


def test_locked_companies_are_scored_once_and_never_fitted(trained_on: list[set[str]]) -> None:
    locked = {one.company for one in many() if one.locked}
    assert 3 <= len(locked) <= 14
    assert {one.company for one in experiment.locked(many())["own"]} == locked
    assert trained_on == [{one.company for one in many()} - locked]


@pytest.mark.usefixtures("trained_on")
def test_validation_prints_every_style(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus.write(tmp_path / "sections.jsonl", many())
    assert __main__.main(["validate", "--sections", str(tmp_path / "sections.jsonl")]) == 0
    printed = capsys.readouterr().out
    assert [name for name in STYLES if f"set as: {name}\n" not in printed] == []
