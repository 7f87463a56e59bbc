"""The judge of the fault campaign refuses each kind of run that must not be."""

from dataclasses import replace
from itertools import permutations

import pytest

from tests.steps.faults.support.judge import End, Seen, judged
from tests.steps.faults.support.tally import Tally, table
from tests.steps.faults.support.truth import KINDS, Injected, is_true, service_words
from tests.steps.troubled_proxy import KINDS as SENT
from tests.steps.troubled_proxy import REFUSALS

MANIFEST = "GET /evidence/executions/abc/train/manifest.json"
UNANSWERED = "S3 gave no answer: read s3://evidence/executions/abc/train/manifest.json · got 503"
FAULT = [Injected(MANIFEST, "503")]
COMPLETE = Seen("Succeeded", copies={"READY version": 1, "answer": 1})
FAILED = Seen("Failed", reasons=[UNANSWERED], copies={"READY version": 0, "answer": 1})


def test_a_run_is_complete_or_ended_with_a_true_reason() -> None:
    assert judged(COMPLETE, FAULT) == (End.COMPLETE, "")
    assert judged(FAILED, FAULT) == (End.TRUE, UNANSWERED)


@pytest.mark.parametrize(
    ("seen", "end"),
    [
        (replace(COMPLETE, hung="not settled after 8 deliveries"), End.HUNG),
        (replace(COMPLETE, status="Executing"), End.HUNG),
        (replace(FAILED, status="Executing"), End.HUNG),
        (replace(COMPLETE, copies={"READY version": 2}), End.DUPLICATE),
        (replace(FAILED, copies={"answer": 2}), End.DUPLICATE),
        (replace(COMPLETE, missing="no alias"), End.DISAGREEING),
        (replace(FAILED, usable=["READY version 1"]), End.DISAGREEING),
        (replace(FAILED, reasons=[]), End.UNTRUE),
        (replace(FAILED, reasons=["the manifest cannot be trusted; never edit it"]), End.UNTRUE),
        (replace(FAILED, reasons=["an unforeseen KeyError", UNANSWERED]), End.UNTRUE),
        (replace(COMPLETE, reasons=["Register waits: the schema does not exist"]), End.UNTRUE),
    ],
)
def test_a_run_that_must_not_be_is_named(seen: Seen, end: End) -> None:
    assert judged(seen, FAULT)[0] is end


def test_a_reason_without_any_fault_is_untrue() -> None:
    assert judged(FAILED, [])[0] is End.UNTRUE


def test_a_reason_that_names_another_service_is_untrue() -> None:
    assert not is_true(UNANSWERED, [Injected("POST TrentService.Sign", "503")])
    assert not is_true("the workspace gave no answer: HTTP 503", FAULT)


STATUSES = ["401", "403", "404", "429", "500", "503"]


@pytest.mark.parametrize(("injected", "named"), list(permutations(STATUSES, 2)))
def test_a_reason_that_names_another_status_is_untrue(injected: str, named: str) -> None:
    fault = [Injected(MANIFEST, injected)]
    assert is_true(f"S3 gave no answer: read s3://x/y · got {injected}", fault)
    assert not is_true(f"S3 gave no answer: read s3://x/y · got {named}", fault)


def test_nothing_is_explained_by_a_slow_answer() -> None:
    assert not is_true("slow: S3 gave no answer: timeout", [Injected(MANIFEST, "slow")])


def test_each_kind_of_fault_has_a_rule_and_each_call_a_service() -> None:
    assert KINDS.keys() == (SENT | REFUSALS).keys()
    assert service_words("POST SageMaker.DescribePipelineExecution")
    with pytest.raises(StopIteration):
        service_words("something else")


def test_a_tally_counts_each_run_and_fails_with_the_one_that_must_not_be() -> None:
    tally, rows = Tally("Register, 503"), list[object]()
    tally.add(COMPLETE, FAULT, "503 at GET")
    tally.add(FAILED, FAULT, "503 at GET")
    tally.add(replace(COMPLETE, copies={"READY version": 2}), FAULT, "503 at PUT")
    with pytest.raises(AssertionError, match="duplicates · 503 at PUT · 2 × READY version"):
        tally.report(lambda _, row: rows.append(row))
    assert rows == [["Register, 503", 3, 1, 1, 0, 0, 0, 1]]


def test_a_tally_without_runs_fails() -> None:
    with pytest.raises(AssertionError):
        Tally("nothing").report(lambda *_: None)


def test_the_table_has_a_heading_and_aligned_rows() -> None:
    assert table([["", "runs"], ["Register", 12]]) == ["          runs", "Register    12"]
