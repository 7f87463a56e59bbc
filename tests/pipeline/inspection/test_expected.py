"""An estimate is that of the most similar run, in proportion to the steps; nothing is invented."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.configuration import config
from pipeline.cost.estimate import Line
from pipeline.errors import Refused
from pipeline.execution.outcome import Progress, StepState, outcome
from pipeline.execution.ran_with import RanWith
from pipeline.inspection import documents, expected, prompts_cut
from pipeline.inspection.documents import Documents
from pipeline.inspection.run_summary import Summary

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
VALUES = {
    "RawTable": "a.b.raw", "RawTableVersion": "-1", "SequenceLength": "512", "LoraRank": "16",
    "Fp8Mode": "auto", "TrainInstanceType": "ml.g5.xlarge", "Epochs": "2", "MaxSteps": "-1",
    "CuratedFrom": "none", "ModelName": "a.b.m", "ModelAlias": "challenger",
}  # fmt: skip
HISTOGRAM = {"<= 256": 10, "<= 512": 20, "<= 1024": 60, "<= 2048": 10, "longer": 0}
REPORT = {"lengths": {"train": {"histogram_before_cut": HISTOGRAM, "longest_before_cut": 1500}}}
FOUND = Documents(None, {"metrics": {"steps": 40}}, None, REPORT, ())


def run(name: str, *, hour: int = 0, status: str = "Succeeded", **changed: str) -> Summary:
    values = VALUES | changed
    at = START + timedelta(hours=hour)
    seconds = {"Prepare": 60, "Train": 600, "Register": 30}
    steps = tuple(
        StepState(step, "Succeeded", at, at + timedelta(seconds=each))
        for step, each in seconds.items()
    )
    ended = outcome(Progress(name, status, steps), values)
    return Summary(name, name, "anna", at, at, RanWith(VALUES, values), ended)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, configured: config.Config) -> Any:
    """Read the estimate for values, where these runs are the newest ones."""
    bill = [Line("Prepare", "", 1.0), Line("Train", "", 6.0)]
    monkeypatch.setattr(expected.billed, "lines", lambda *_: bill)
    monkeypatch.setattr(expected.account, "client", lambda *_: None)
    monkeypatch.setattr(documents, "read", lambda *_, **__: FOUND)

    def answer(*runs: Summary, **changed: str) -> expected.Expected | None:
        monkeypatch.setattr(expected.run_summary, "latest", lambda *_, **__: list(runs))
        return expected.read(configured, None, VALUES | changed)

    return answer


def test_the_same_again_takes_as_long_and_costs_as_much(read: Any) -> None:
    found = read(run("one"))
    assert found.seconds == {"Prepare": 60, "Train": 600, "Register": 30}
    assert (found.dollars, found.differing) == (7.0, {})


def test_training_is_in_proportion_to_the_steps_and_prepare_is_not(read: Any) -> None:
    assert read(run("one"), Epochs="6").seconds["Train"] == 1800
    assert read(run("one"), Epochs="6").dollars == 19.0
    assert read(run("one"), MaxSteps="10").seconds["Train"] == 150
    assert read(run("one", MaxSteps="40"), MaxSteps="20").seconds["Train"] == 300
    assert read(run("one"), Epochs="6").seconds["Prepare"] == 60


def test_of_similar_runs_that_with_the_nearest_number_of_steps_is_taken(read: Any) -> None:
    runs = run("three", MaxSteps="3", hour=3), run("thirty", MaxSteps="30", hour=1)
    assert read(*runs, MaxSteps="300").of == "thirty"
    assert read(*runs, MaxSteps="4").of == "three"


def test_only_the_steps_are_scaled_where_the_report_has_their_seconds(
    read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of three steps is loading mostly: three hundred are not an hour."""
    report = REPORT | {"seconds": {"load": 100.0, "train": 300.0, "completions": 200.0}}
    found = Documents(None, {"metrics": {"steps": 40}}, None, report, ())
    monkeypatch.setattr(documents, "read", lambda *_, **__: found)
    assert read(run("one"), Epochs="6").seconds["Train"] == 600 + 2 * 300
    assert read(run("one"), Epochs="6").dollars == 1 + 6 * 2
    assert read(run("one"), MaxSteps="10").seconds["Train"] == 600 - 0.75 * 300


def test_examples_that_are_used_again_take_no_prepare(read: Any) -> None:
    found = read(run("one"), CuratedFrom="one")
    assert "Prepare" not in found.seconds
    assert found.dollars == 6.0


def test_the_most_similar_run_is_taken_then_the_newest(read: Any) -> None:
    other = run("other", hour=3, LoraRank="64")
    assert read(other, run("old"), run("new", hour=1)).of == "new"
    only = read(other)
    assert only.differing == {"LoraRank": "64"}
    assert "from other, which had LoraRank=64" in only.lines(local=False)[0]


@pytest.mark.parametrize(
    "unlike",
    [{"TrainInstanceType": "ml.p5.48xlarge"}, {"status": "Failed"}, {"MaxSteps": "5"}],
)
def test_no_estimate_is_made_from_a_run_of_another_kind(read: Any, unlike: Any) -> None:
    assert read(run("one", **unlike)) is None
    assert read() is None


def test_many_cut_prompts_are_a_warning_with_the_length_that_fits(read: Any) -> None:
    text = "70 of 100 training prompts (70%) are cut at SequenceLength=512; SequenceLength=2048"
    assert text in read(run("one")).lines(local=False)[-1]
    wide = read(run("one"), SequenceLength="1024")
    assert wide.cut.share == 0.1
    assert "warning" not in " ".join(wide.lines(local=False))


def test_a_refusal_is_a_line_and_nothing_is_raised(
    monkeypatch: pytest.MonkeyPatch, configured: config.Config
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise Refused("AccessDenied\n  do  ask")

    monkeypatch.setattr(expected.run_summary, "latest", refused)
    lines, document = expected.noted(configured, None, VALUES)
    assert lines == ["expected   no estimate: AccessDenied"]
    assert document is None


def test_a_bill_that_cannot_be_read_is_named(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise Refused("no bill yet\n  do  wait")

    monkeypatch.setattr(expected.billed, "lines", refused)
    found = read(run("one"))
    assert found.dollars is None
    assert "cost       not known: no bill yet" in found.lines(local=False)


def test_prompts_that_cannot_be_read_after_a_run_are_named(
    monkeypatch: pytest.MonkeyPatch, configured: config.Config
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise Refused("AccessDenied\n  do  ask")

    monkeypatch.setattr(documents, "read", refused)
    step = StepState("Train", "Succeeded", START, START, archive="s3://a/model.tar.gz")
    ended = outcome(Progress("one", "Succeeded", (step,)), VALUES)
    text = prompts_cut.warning(configured, lambda: None, ended)
    assert text == "whether prompts are cut is not known: AccessDenied"


def test_without_a_report_the_manifest_has_its_own_length_only() -> None:
    data = {"affected": {"train": {"prompt_cut": 30}}, "examples_train": 100}
    found = Documents(None, {"data": data}, None, None, ())
    assert prompts_cut.of(found, length=1024, ran=512) is None
    cut = prompts_cut.of(found, length=512, ran=512)
    assert cut is not None
    assert cut.warning == "30 of 100 training prompts (30%) are cut at SequenceLength=512"
    assert prompts_cut.of(Documents(None, None, None, None, ()), length=512, ran=512) is None
