"""Log lines: one format for every step, execution and job in each, no secret at any level."""

import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steps.governance import logs
from steps.governance.errors import UsageError
from steps.train.tracking import metric_lines
from tests.compiled_steps import ENVIRONMENTS, definition

ROOT = Path(__file__).resolve().parents[3]
TEXT = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<level>[A-Z]+) (?P<step>\S+) "
    r"(?P<execution>\S+) (?P<job>\S+) (?P<logger>\S+): (?P<message>.*)"
)
START = """
import logging, threading, warnings
from steps.governance import logs
logs.configure("train", job="pipelines-1")
logs.set_execution("4x7k")
log = logging.getLogger("steps.train.job")
"""


def written(code: str, word: str | None) -> list[str]:
    """The lines that a process writes which logs as the word has it."""
    variables = {name: value for name, value in os.environ.items() if name != logs.VARIABLE}
    if word is not None:
        variables[logs.VARIABLE] = word
    command = [sys.executable, "-c", START + code]
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    return done.stderr.splitlines()


EVENTS = """
log.info("first")
threading.Thread(target=lambda: log.warning("in a thread")).start()
try:
    raise ValueError("one\\ntwo")
except ValueError:
    log.exception("two\\nlines")
warnings.warn("a warning")
threading.Thread(target=lambda: 1 / 0, name="t").start()
{}["unknown"]
"""


def test_every_event_is_one_json_object_with_execution_and_job() -> None:
    lines = [json.loads(line) for line in written(EVENTS, "json:INFO")]
    assert len(lines) == 6
    for line in lines:
        assert TEXT.fullmatch(f"{line['time']} INFO s e j l: m")
        assert (line["step"], line["execution"], line["job"]) == ("train", "4x7k", "pipelines-1")
    assert lines[2]["message"] == "two\nlines"
    assert lines[2]["exception"].endswith("ValueError: one\ntwo")
    assert lines[5]["level"] == "CRITICAL"
    assert lines[5]["exception"].endswith("KeyError: 'unknown'")
    assert any("ZeroDivisionError" in line.get("exception", "") for line in lines)


def test_as_text_each_event_begins_with_the_same_fields() -> None:
    lines = [found for line in written(EVENTS, None) if (found := TEXT.fullmatch(line))]
    assert [line["message"] for line in lines[:2]] == ["first", "in a thread"]
    assert {(line["step"], line["execution"], line["job"]) for line in lines} == {
        ("train", "4x7k", "pipelines-1")
    }
    assert len(lines) == 6


# A library that sets its own level, as databricks-sdk and botocore do for debugging.
LOUD = """
for name in ("databricks.sdk", "botocore.endpoint", "urllib3.connectionpool", "py4j", "mlflow"):
    logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger(name).debug("client_secret=hunter2 of %s", name)
logging.getLogger("botocore").info("client_secret=hunter2")
logging.getLogger("botocore").warning("slow down")
log.debug("ours")
"""


def test_debug_shows_our_own_lines_and_no_request_of_a_library() -> None:
    lines = [json.loads(line)["message"] for line in written(LOUD, "json:DEBUG")]
    assert lines == ["slow down", "ours"]
    assert [json.loads(line)["message"] for line in written(LOUD, "json:WARNING")] == ["slow down"]
    assert written(LOUD, "json:ERROR") == []


@pytest.mark.parametrize("word", ["xml:INFO", "json", "json:LOUD", "json:info"])
def test_another_word_is_refused(
    word: str, monkeypatch: pytest.MonkeyPatch, kept_logging: None
) -> None:
    monkeypatch.setenv(logs.VARIABLE, word)
    with pytest.raises(UsageError, match=r"GOVERNED_FINETUNE_LOGGING cannot be used"):
        logs.configure("train")


@pytest.fixture
def kept_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep what `configure` changes of this process within the test."""
    levels = {name: logging.getLogger(name).level for name in ("steps", *logs._LOUD)}
    for name in ("basicConfig", "captureWarnings"):
        monkeypatch.setattr(logging, name, lambda *_, **__: None)
    monkeypatch.setattr(sys, "excepthook", print)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(logs, "_place", logs._place)
    monkeypatch.setenv("MLFLOW_CONFIGURE_LOGGING", "false")
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


METRICS: dict[str, Callable[[], None]] = {
    "train": lambda: metric_lines.report_step(
        12,
        train_loss=3.2107,
        grad_norm=float("nan"),
        learning_rate=1.8e-05,
        tokens_per_second=1812.4,
        mfu=0.312,
        memory_gib=11.4,
        eta_seconds=410,
    ),
    "before": lambda: metric_lines.report_evaluation(0, eval_loss_before=7.6301, eval_tokens=8123),
    "after": lambda: metric_lines.report_evaluation(50, eval_loss=2.6, eval_perplexity=14.647),
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("word", ["text:ERROR", "json:ERROR"])
def test_the_definitions_own_regular_expressions_find_every_metric_at_every_level(
    environment: str,
    word: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kept_logging: None,
) -> None:
    monkeypatch.setenv(logs.VARIABLE, word)
    logs.configure("train", job="pipelines-4x7k-Train-train_loss")
    for report in METRICS.values():
        report()
    text = capsys.readouterr().out
    first = text.splitlines()[0]
    assert json.loads(first)["step"] == "train" if word.startswith("json") else TEXT.match(first)
    [train] = [step for step in definition(environment)["Steps"] if step["Name"] == "Train"]
    found = {
        metric["Name"]: re.findall(metric["Regex"], text)
        for metric in train["Arguments"]["AlgorithmSpecification"]["MetricDefinitions"]
    }
    assert found == {
        "train:loss": ["3.2107"],
        "train:grad_norm": ["nan"],
        "train:learning_rate": ["1.8e-05"],
        "train:tokens_per_second": ["1812.4"],
        "train:mfu": ["0.312"],
        "train:memory_gib": ["11.4"],
        "train:eta_seconds": ["410"],
        "eval:loss_before": ["7.6301"],
        "eval:loss": ["2.6"],
        "eval:perplexity": ["14.647"],
        "eval:sample_loss": [],
    }


def test_a_message_has_its_own_execution_and_its_threads_have_it_too(
    caplog: pytest.LogCaptureFixture, kept_logging: None
) -> None:
    logs.configure("register", job="worker-1")
    log = logging.getLogger("steps.register")
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(logs.Lines())
    with logs.message():
        log.info("received")
        thread = logs.thread(lambda: log.info("heartbeat"), name="heartbeat")
        logs.set_execution("4x7k")
        thread.start()
        thread.join()
        log.info("deleted")
    log.info("waiting")
    found = [TEXT.fullmatch(line) for line in caplog.text.splitlines()]
    shown = [(line["message"], line["execution"]) for line in found if line]
    assert shown == [
        ("received", "-"), ("heartbeat", "4x7k"), ("deleted", "4x7k"), ("waiting", "-")
    ]  # fmt: skip


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_definition_passes_format_and_level_to_both_jobs(environment: str) -> None:
    word = "text:INFO" if environment == "local" else "json:INFO"
    steps = {step["Name"]: step["Arguments"] for step in definition(environment)["Steps"]}
    assert steps["Train"]["Environment"][logs.VARIABLE] == word
    text = json.dumps(definition(environment))
    assert f"spark.emr-serverless.driverEnv.{logs.VARIABLE}={word}" in text
