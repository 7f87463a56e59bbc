"""MaxEvalExamples bounds the held-out examples of an evaluation."""

import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from steps.train.data.corpus import Rows, Split
from steps.train.data.document import Document
from steps.train.data.packing import best_fit
from steps.train.data.token_store import Documents, Writer
from steps.train.data.truncation import Lengths
from tests.steps.train.support.jobs import job, printed_lines, run

IDS = [f"{number * 7919 % 97:024x}" for number in range(50)]


def split(folder: Path, ids: list[str]) -> Split:
    with Writer(folder) as writer:
        writer.append([Document((1,) * (5 + int(each, 16) % 20), 2, each) for each in ids])
    documents = Documents(folder)
    return Split(documents, Rows(documents, best_fit(documents.lengths(), 32, seed=17)), Lengths())


def ids_of(rows: Rows) -> list[str]:
    return sorted(document.example_id for document in chain.from_iterable(rows))


def test_the_examples_with_the_smallest_ids_are_taken_in_any_order(
    tmp_path: Path,
) -> None:
    forward, backward = split(tmp_path / "a", IDS), split(tmp_path / "b", IDS[::-1])
    for seed in (1, 2):
        sampled = forward.sampled(20, row_tokens=32, seed=seed)
        other = backward.sampled(20, row_tokens=32, seed=seed)
        assert ids_of(sampled) == ids_of(other) == sorted(IDS)[:20]
        assert sampled.documents == 20
        assert all(sum(map(len, row)) <= 32 for row in sampled)


def test_a_larger_sample_contains_the_smaller_one(tmp_path: Path) -> None:
    held_out = split(tmp_path / "eval", IDS)
    few, more = (set(ids_of(held_out.sampled(most, row_tokens=32, seed=17))) for most in (3, 30))
    assert few < more


@pytest.mark.parametrize("most", [-1, 50, 1000])
def test_without_a_smaller_bound_all_examples_are_taken(tmp_path: Path, most: int) -> None:
    held_out = split(tmp_path / "eval", IDS)
    assert held_out.sampled(most, row_tokens=32, seed=17) is held_out.rows
    assert held_out.rows.documents == 50


def test_ids_of_more_documents_than_one_read_holds(tmp_path: Path) -> None:
    ids = [f"{number:024x}" for number in range(10_000)]
    with Writer(tmp_path / "many") as writer:
        writer.append([Document((1, 2), 1, each) for each in ids])
    assert Documents(tmp_path / "many").example_ids().tolist() == np.array(ids, "S64").tolist()


@pytest.mark.torch
def test_log_report_and_card_name_the_number_of_evaluated_examples(
    tiny_model: Path, curated: Path, tmp_path: Path
) -> None:
    tokens = {}
    for most in ("2", "-1"):
        bounded = job(tmp_path / most, tiny_model, curated, max_eval_examples=most, max_steps="1")
        with printed_lines() as lines:
            run(bounded)
        report = json.loads((bounded.paths.model / "report.json").read_text())
        of_all = report["lengths"]["eval"]["documents"]
        measured = of_all if most == "-1" else 2
        assert report["metrics"]["eval_examples"] == measured
        assert f"each evaluation measures {measured} of {of_all} held-out examples" in "\n".join(
            lines
        )
        assert f"of {measured} held-out examples" in (bounded.paths.model / "README.md").read_text()
        tokens[most] = report["metrics"]["eval_tokens"]
    assert tokens["2"] < tokens["-1"]
