"""SageMaker finds each metric in Train's log lines as docs/architecture.md shows them."""

import re

import pytest

from pipeline import metrics
from tests.compiled_steps import ENVIRONMENTS, ROOT, definition

TRAIN_LINE = (
    "[train] step=12 train_loss=3.2107; grad_norm=0.8123; learning_rate=0.00018; "
    "tokens_per_second=1812.4; mfu=0.312; memory_gib=11.4; eta_seconds=410;"
)
BEFORE_LINE = "[eval] step=0 eval_loss_before=7.6301; eval_tokens=8123;"
SAMPLE_LINE = "[eval] step=50 eval_sample_loss=2.6843; eval_sample_tokens=812;"
AFTER_LINE = "[eval] step=400 eval_loss=2.6843; eval_perplexity=14.647; eval_tokens=8123;"


@pytest.mark.parametrize(
    ("metric", "line", "value"),
    [
        ("train:loss", TRAIN_LINE, "3.2107"),
        ("train:grad_norm", TRAIN_LINE, "0.8123"),
        ("train:learning_rate", TRAIN_LINE, "0.00018"),
        ("train:tokens_per_second", TRAIN_LINE, "1812.4"),
        ("train:mfu", TRAIN_LINE, "0.312"),
        ("train:memory_gib", TRAIN_LINE, "11.4"),
        ("train:eta_seconds", TRAIN_LINE, "410"),
        ("eval:loss_before", BEFORE_LINE, "7.6301"),
        ("eval:perplexity", AFTER_LINE, "14.647"),
        ("eval:loss", AFTER_LINE, "2.6843"),
        ("eval:sample_loss", SAMPLE_LINE, "2.6843"),
        ("eval:loss", "[eval] eval_loss=nan; eval_tokens=8123;", "nan"),
        ("eval:loss", "[eval] eval_loss=inf; eval_tokens=8123;", "inf"),
        ("train:learning_rate", "[train] step=1 learning_rate=1.8e-05;", "1.8e-05"),
    ],
)
def test_each_metric_is_found_in_its_line(metric: str, line: str, value: str) -> None:
    assert re.findall(metrics.regex(metric), line) == [value]
    float(value)


def test_no_metric_is_found_in_the_line_of_another() -> None:
    found = {
        metric: re.findall(metrics.regex(metric), BEFORE_LINE + SAMPLE_LINE + AFTER_LINE)
        for metric in metrics.KEYS
    }
    assert {metric: hits for metric, hits in found.items() if hits} == {
        "eval:loss_before": ["7.6301"],
        "eval:loss": ["2.6843"],
        "eval:perplexity": ["14.647"],
        "eval:sample_loss": ["2.6843"],
    }


def test_the_architecture_page_has_these_metric_lines() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert [
        line
        for line in (TRAIN_LINE, BEFORE_LINE, SAMPLE_LINE, AFTER_LINE)
        if f"`{line}`" not in page
    ] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_definition_has_these_metrics(environment: str) -> None:
    [train] = [step for step in definition(environment)["Steps"] if step["Name"] == "Train"]
    defined = {
        m["Name"]: m["Regex"]
        for m in train["Arguments"]["AlgorithmSpecification"]["MetricDefinitions"]
    }
    assert defined == {metric: metrics.regex(metric) for metric in metrics.KEYS}
    assert all(len(regex) <= 500 for regex in defined.values())
