"""Evaluations take at most 15 % of a training's work, and the sample's loss is the whole's."""

import json
import math
import random
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from steps.train.data.corpus import Rows, Split
from steps.train.data.document import Document
from steps.train.data.packing import best_fit
from steps.train.data.stratified import LEAST_EXAMPLES, ORDER, stratified
from steps.train.data.token_store import Documents, Writer
from steps.train.data.truncation import Lengths
from steps.train.fine_tuning.evaluation import Marked, evaluate
from steps.train.fine_tuning.held_out.measured import HeldOut, Passes
from steps.train.model import ministral, precision
from steps.train.planning import proportion
from steps.train.planning.batching import STEP_FORWARDS, rows_per_step
from steps.train.planning.devices import Device
from steps.train.stopping import StopSignal
from tests.steps.train.support.curated_table import ARN, commit, prepared
from tests.steps.train.support.jobs import PREPARED, job, printed_lines, run

GROUPS = ("finance", "retail", "services", "unknown")


def split(folder: Path, documents: list[Document], row_tokens: int) -> Split:
    with Writer(folder) as writer:
        writer.append(documents)
    stored = Documents(folder)
    return Split(stored, Rows(stored, best_fit(stored.lengths(), row_tokens, seed=1)), Lengths())


def held_out_of(tokens: int, seed: int) -> list[Document]:
    """Return documents of `tokens` tokens in all, in families of up to six years."""
    draw, documents, total = random.Random(seed), list[Document](), 0  # noqa: S311 - a test
    while total < tokens:
        family, group = f"{draw.getrandbits(64):016x}", draw.choice(GROUPS)
        for year in range(2015, 2015 + draw.randint(1, 6)):
            length = draw.randint(200, 900)
            ids = (1,) * length
            documents.append(
                Document(ids, length - 40, f"{draw.getrandbits(96):024x}", year, group, family)
            )
            total += length
    return documents


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_million_held_out_tokens_take_at_most_15_percent(tmp_path: Path, seed: int) -> None:
    """The defaults: one epoch of nine times as many tokens, rows of 2,048, EvalSteps 50."""
    whole = split(tmp_path / "eval", held_out_of(1_000_000, seed), 2048)
    trained = 9 * whole.rows.tokens
    evaluations = math.ceil(trained / (2048 * rows_per_step(1)) / 50)
    most = proportion.sample_tokens(
        trained=trained, whole=whole.rows.tokens, evaluations=evaluations
    )
    held_out = HeldOut(whole.rows, whole.stratified(whole.rows, most, row_tokens=2048, seed=1))
    found = held_out.evaluated(Passes(2, evaluations), trained, 40_000)
    assert found.tokens >= 1_000_000
    assert found.whole_passes * found.tokens + found.sample_passes * found.sample_tokens > 2e6
    assert 0.1 < found.share <= proportion.SHARE == 0.15
    assert found.sample_tokens <= most
    assert found.sample_tokens > 0.95 * most, "what is allowed is used"
    assert found.sample_examples < found.examples / 8


@pytest.mark.parametrize(("of_the_reserve", "allowed"), [(0.0, False), (0.9, False), (1.01, True)])
def test_the_last_step_is_measured_only_where_the_completions_still_fit(
    tmp_path: Path, of_the_reserve: float, allowed: bool
) -> None:
    """The training is as long as three passes and this part of the completions' reserve allow."""
    whole = split(tmp_path / "eval", held_out_of(300_000, 4), 2048)
    held_out = HeldOut(whole.rows, whole.stratified(whole.rows, 0, row_tokens=2048, seed=1))
    measured = 3 * held_out.whole.tokens + 9 * held_out.sample.tokens
    forwards = measured + of_the_reserve * proportion.COMPLETIONS
    trained = math.ceil(forwards * (1 / proportion.SHARE - 1) / STEP_FORWARDS)
    passes = Passes(3, 9)
    assert held_out.allows(passes, trained=trained) is allowed
    recorded = held_out.evaluated(passes, trained, proportion.COMPLETIONS).share
    assert (recorded <= proportion.SHARE) is allowed


def test_measuring_everything_each_time_would_take_more_than_half() -> None:
    evaluations = 22 + 2
    assert proportion.share(evaluated=evaluations * 1_000_000, trained=9_000_000) > 0.5


@pytest.mark.parametrize("trained", [0, 50_000, 10**6])
def test_where_all_examples_already_take_more_the_sample_is_the_least(
    tmp_path: Path, trained: int
) -> None:
    most = proportion.sample_tokens(trained=trained, whole=1_000_000, evaluations=3)
    assert most == 0
    documents = held_out_of(100_000, 5)
    rows = split(tmp_path / "eval", documents, 1024)
    sample = rows.stratified(rows.rows, most, row_tokens=1024, seed=1)
    assert sample.documents == LEAST_EXAMPLES


def test_a_sample_is_never_larger_than_is_enough() -> None:
    found = proportion.sample_tokens(trained=10**10, whole=10**7, evaluations=10)
    assert found == proportion.ENOUGH_TOKENS


def shares(documents: list[Document], name: str) -> dict[Any, float]:
    return {
        value: sum(getattr(each, name) == value for each in documents) / len(documents)
        for value in {getattr(each, name) for each in documents}
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_sample_has_the_mix_of_the_whole_in_any_order(tmp_path: Path, seed: int) -> None:
    documents = held_out_of(400_000, seed)
    forward, backward = (
        split(tmp_path / name, each, 1024)
        for name, each in (("a", documents), ("b", documents[::-1]))
    )
    sample, other = (
        list(chain.from_iterable(each.stratified(each.rows, 60_000, row_tokens=1024, seed=n)))
        for n, each in enumerate((forward, backward))
    )
    assert {each.example_id for each in sample} == {each.example_id for each in other}
    for name in ("group", "year"):
        whole, found = shares(documents, name), shares(sample, name)
        for value, share in whole.items():
            near = (1 if name == "group" else 1 + len(GROUPS)) / len(sample)
            assert found[value] == pytest.approx(share, abs=near + 1e-9)
    assert len({each.family for each in sample}) > 0.7 * len(sample)


def test_the_strata_are_counted_and_not_drawn() -> None:
    fields = [("group", "u1"), ("year", "i4"), ("family", "S4"), ("example_id", "S8")]
    strata = np.zeros(1000, fields)
    assert strata.dtype.names == ORDER
    strata["year"][900:] = 2020  # a tenth
    strata["example_id"] = [f"{n * 7919 % 997:08d}" for n in range(1000)]
    lengths = np.full(1000, 10)
    chosen = stratified(strata, lengths, most_tokens=1000, least=10)
    assert len(chosen) == 100
    assert (chosen >= 900).sum() == 10


@pytest.mark.torch
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_samples_loss_is_within_one_percent_of_the_wholes(
    tiny_model: Path, tmp_path: Path, seed: int
) -> None:
    """Documents whose loss depends on year and industry: repeated tokens are easier."""
    draw, documents = random.Random(seed), list[Document]()  # noqa: S311 - a test
    for number in range(900):
        year, group = 2015 + number % 6, draw.choice(GROUPS)
        words = 4 + 60 * (year - 2015) + 8 * GROUPS.index(group)
        ids = tuple(20 + draw.randrange(words) for _ in range(draw.randint(24, 40)))
        documents.append(Document(ids, 8, f"{draw.getrandbits(96):024x}", year, group))
    whole = split(tmp_path / "eval", documents, 512)
    # The share of a 1 M token split that `sample_tokens` gives with the defaults
    most = whole.rows.tokens * 61 // 1000
    sample = whole.stratified(whole.rows, most, row_tokens=512, seed=1)
    how = precision.decide("storage", Device(torch.device("cpu"), "cpu", None))
    torch.manual_seed(seed)
    model = ministral.load(tiny_model, how)
    options = {"rows_at_once": 4, "stop": StopSignal()}
    ids = frozenset(each.example_id for each in chain.from_iterable(sample))
    found = evaluate(model, Marked(whole.rows, ids), how, **options)
    alone = evaluate(model, sample, how, **options)
    assert found.sample is not None
    assert alone.loss == pytest.approx(found.sample.loss, rel=1e-5), "packed otherwise, but equal"
    assert alone.loss == pytest.approx(found.loss, rel=0.01)
    assert len(ids) < 64 or len(ids) < 0.08 * len(documents)
    assert sorted(found.by_year) == [str(year) for year in range(2015, 2021)]


@pytest.mark.torch
def test_gate_reads_the_loss_of_all_examples_and_the_way_is_measured_on_the_sample(
    tiny_model: Path, tmp_path: Path
) -> None:
    curated = tmp_path / "curated"
    commit(curated, ARN, train=24, held_out=80)
    long = job(tmp_path / "ml", tiny_model, curated, eval_steps="1", max_steps="2")
    manifest = prepared(curated, ARN, 0, train=24, held_out=80)
    long.evidence.documents[PREPARED] = manifest.to_bytes()
    with printed_lines() as lines:
        run(long)
    report = json.loads((long.paths.model / "report.json").read_text())
    evaluated = report["metrics"]["evaluated"]
    assert (evaluated["examples"], evaluated["sample_examples"]) == (80, LEAST_EXAMPLES)
    assert (evaluated["whole_passes"], evaluated["sample_passes"]) == (2, 2)
    measured = [line for line in lines if "[eval]" in line]
    assert ["eval_sample_loss" in line for line in measured] == [False, True, True, False]
    assert f"eval_loss={report['metrics']['eval_loss']:.6g};" in measured[-1]
    assert f"eval_tokens={report['metrics']['eval_tokens']};" in measured[-1]
    assert sum(share["tokens"] for share in report["by_year"]) == report["metrics"]["eval_tokens"]
    assert any("a sample of 64" in line for line in lines)
    page = (long.paths.model / "report.html").read_text()
    assert "measured a sample of 64 of them" in page
