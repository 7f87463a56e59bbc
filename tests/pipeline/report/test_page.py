"""What a report shows: of a registered run, and of one that failed with a log only."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pipeline import command
from pipeline.configuration import config
from pipeline.cost import billed
from pipeline.cost.estimate import Line
from pipeline.errors import Refused, UsageError
from pipeline.inspection import pages, training_log
from pipeline.inspection.documents import Documents
from pipeline.inspection.training_log import Curve
from pipeline.report import bill, page
from pipeline.report.__main__ import main
from pipeline.report.bill import Bill
from steps.governance.pages import render
from steps.governance.pages.document import Page
from tests.pipeline.report import example


def sections(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the page's blocks, those of the run's documents too."""
    whole = render.whole(Page.model_validate_json(json.dumps(document)))
    return {each.title: [block.model_dump() for block in each.blocks] for each in whole}


def test_parameters_that_differ_come_first_and_are_marked(configured: config.Config) -> None:
    (_, table) = sections(page.composed(configured, example.succeeded()))["What was asked"]
    assert table["rows"][0] == ["LoraRank", "32", "16"]
    assert table["marked"] == [0]
    assert len(table["rows"]) == len(example.DEFAULTS)


def test_steps_are_on_one_axis_of_time(configured: config.Config) -> None:
    line, _ = sections(page.composed(configured, example.succeeded()))["Steps"]
    spans = [(span["name"], span["begin"], span["seconds"]) for span in line["spans"]]
    assert spans == [("Prepare", 0, 8), ("Train", 8, 21), ("Register", 29, 2)]


def test_prompts_that_were_cut_come_with_the_length_that_fits(configured: config.Config) -> None:
    _, cut = sections(page.composed(configured, example.succeeded()))["Lengths"]
    assert cut["bad"]
    assert "264 of 282 training prompts were cut" in cut["text"]
    assert "SequenceLength=4096 fits it" in cut["text"]


def test_headings_are_counted_by_how_they_are_set(configured: config.Config) -> None:
    *_, styles, families = sections(page.composed(configured, example.succeeded()))["Data"]
    assert styles["rows"] == [["standing", "240", "30"], ["run in", "15", "0"], ["topic", "0", "2"]]
    assert families["rows"] == [["1", "201"], ["2", "10"], ["9 to 16", "1"], ["17 and more", "1"]]


def test_the_bill_has_the_sum_unless_a_price_is_not_known(configured: config.Config) -> None:
    found = example.succeeded()
    table, text = sections(page.composed(configured, found))["Bill"]
    assert [row[2] for row in table["rows"]] == ["0.01", "0.02", "0.02"]
    assert "us-east-1, 2026-11-29" in text["text"]
    unknown = Bill([*example.BILL.items, Line("Other", "1 h × ml.new", None)], "us-east-1, today")
    table, _ = sections(page.composed(configured, replace(found, bill=unknown)))["Bill"]
    assert [row[2] for row in table["rows"]][-2:] == ["not known", "not known"]


def test_a_bill_that_cannot_be_read_is_named(
    configured: config.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> NoReturn:
        raise Refused("GetJobRun was refused by AWS")

    monkeypatch.setattr(billed, "lines", refused)
    run = example.succeeded().run
    train = example.step("Train", 8, 29, job="arn:aws:sagemaker:x:1:training-job/a")
    run = replace(run, result=replace(run.result, steps=(train,)))
    assert bill.read(configured, run) == (None, ("the bill: GetJobRun was refused by AWS",))
    begun = replace(run, result=replace(run.result, steps=()))
    assert bill.read(configured, begun) == (None, ())


def test_a_registered_run_has_every_section(configured: config.Config) -> None:
    document = page.composed(configured, example.succeeded())
    found = sections(document)
    assert list(found) == [
        "What was asked",
        "Steps",
        "Bill",
        "Data",
        "Lengths",
        "Training",
        "Eval loss by year and industry",
        "Base against tuned",
        "Precision, memory and time",
        "Lineage",
        "Aliases and approvals",
        "Audit",
        "How to repeat it",
    ]
    assert document["tone"] == "good"
    assert "registered as a.b.m version 3" in document["lead"][2]
    assert found["Aliases and approvals"][0]["rows"][0][1:] == ["approved", "@champion", "carla"]
    assert found["Audit"][1]["rows"] == [["mismatch", "archive.members", "10 files", "9 files"]]
    repeat = found["How to repeat it"][0]["text"]
    assert "pipeline.run --env local --follow --from 4x7k2m9p1q0z" in repeat


def test_a_failed_run_shows_its_reason_its_log_and_what_is_absent(
    configured: config.Config,
) -> None:
    document = page.composed(configured, example.failed())
    found = sections(document)
    assert next(iter(found)) == "Why"
    assert "exit code: 137" in found["Why"][0]["text"]
    train, evaluation = found["Training"][0]["series"]
    assert train["points"] == [(11.0, 6.9), (12.0, 6.8)]
    assert evaluation["points"] == [(0.0, 7.63399), (10.0, 6.4)]
    assert "AccessDenied" in found["What could not be read"][0]["text"]
    assert "nothing was registered" in document["lead"]


def test_a_line_of_the_samples_losses_has_no_loss_of_all_examples(
    configured: config.Config,
) -> None:
    metrics = {"eval_loss_before": 3.1, "eval_sample_loss_before": 3.0}
    later = [{"step": 50, "eval_sample_loss": 3.05}]
    read = replace(
        example.succeeded(),
        documents=Documents(None, None, None, {"metrics": metrics, "evaluations": later}, ()),
    )
    log = ("[eval] step=0 eval_loss_before=3.1;", "[eval] step=50 eval_sample_loss=3.05;")
    only_log = replace(example.failed(), logged=training_log.curve(log))
    for found, points in ((read, [(0.0, 3.0), (50.0, 3.05)]), (only_log, [(50.0, 3.05)])):
        line = sections(page.composed(configured, found))["Training"][0]["series"][1]
        assert (line["label"], line["points"]) == ("eval loss of the sample", points)


def test_the_page_of_each_is_small_and_has_its_texts_as_text(
    configured: config.Config, tmp_path: Path
) -> None:
    for found in (example.succeeded(), example.failed()):
        path = tmp_path / "report.html"
        pages.write(path, page.composed(configured, found))
        text = path.read_text(encoding="utf-8")
        assert len(text.encode()) < 1.5e6
        assert "<script" not in text
        assert "4x7k2m9p1q0z" in text
    pages.write(path, page.composed(configured, example.succeeded()))
    assert "&lt;b&gt;no&lt;/b&gt; idea" in path.read_text(encoding="utf-8")


def test_the_log_has_the_last_step_in_one_line() -> None:
    curve = training_log.curve(example.LOG)
    assert list(curve.steps) == [11, 12]
    assert curve.text == (
        "step 12 · train loss 6.8000 · best eval loss 6.4000 · 5,900 tokens/s · 6 min 50 s left"
    )
    assert Curve().text == ""


def test_a_step_that_ran_again_has_its_last_values_and_nan_is_left_out() -> None:
    again = training_log.curve(
        ["[train] step=1 train_loss=9;", "[train] step=1 train_loss=nan; eta_seconds=nan;"]
    )
    assert again.text == "step 1 · train loss nan"


@pytest.mark.parametrize("content", ["", "[1]", '{"findings": [{"code": "x"}]}', '{"a": 1}'])
def test_what_is_not_an_audit_is_refused_before_anything_is_read(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "audit.json"
    path.write_text(content)
    words = ["--env", "local", "--execution", "x", "--audit", str(path)]
    assert command.ended(main, words) == 2
    assert f"--audit {path}" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_the_fault_of_who_named_it(tmp_path: Path) -> None:
    page = {"title": "x", "tone": "good", "lead": [], "sections": []}
    for path in (tmp_path, tmp_path / "absent" / "page.html"):
        with pytest.raises(UsageError, match="the page cannot be written to"):
            pages.write(path, page)


def test_a_document_that_is_not_a_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not a page's"):
        pages.write(tmp_path / "p.html", json.loads('{"title": 1}'))


def test_a_choice_of_precision_comes_with_its_figures(configured: config.Config) -> None:
    run = example.succeeded()
    choice = {
        "mode": "off",
        "predicted": "storage",
        "reason": "measured 1.20 times as fast as storage, which the roofline names",
        "tried": [
            {"mode": "off", "tokens_per_second": 1200.4},
            {"mode": "storage", "fault": "RuntimeError: no kernel"},
        ],
    }
    trained = example.TRAINED | {"fp8": {"choice": choice, "kernels": "triton"}}
    run = replace(run, documents=replace(run.documents, trained=trained))
    found = sections(page.composed(configured, run))["Precision, memory and time"][0]["rows"]
    assert ["precision: kernels", "triton"] in found
    assert ["precision: why", choice["reason"]] in found
    assert ["measured: off", "1,200 tokens/s"] in found
    assert ["measured: storage", "RuntimeError: no kernel"] in found
