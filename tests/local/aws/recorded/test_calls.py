"""Decisions about roles are recorded once each, allowed or refused."""

import json
import os

import pytest

from pipeline.local.aws.recorded import calls
from tests.local.aws.support.refusals import refused
from tests.local.aws.support.server import make_server

EVIDENCE = "governed-finetune-local-evidence-000000000000-us-east-1"


@pytest.mark.environment
def test_a_roles_calls_are_recorded_with_resource_keys_and_decision(tmp_path, monkeypatch):
    file = tmp_path / "calls.jsonl"
    monkeypatch.setenv(calls.VARIABLE, os.fspath(file))
    server = make_server(tmp_path / "account")
    server.start()
    try:
        server.deploy()
        s3 = server.client("s3", "prepare")
        for name in ("a", "b"):
            s3.put_object(**_document(name))
        refused(s3.put_object, "PreconditionFailed", **_document("b"))
        refused(s3.delete_object, Bucket=EVIDENCE, Key="executions/i/prepare/a")
    finally:
        server.stop()
    lines = _lines(file)
    written = [line for line in lines if line["action"] == "s3:PutObject"]
    assert [line["resource"].rpartition("/")[2] for line in written] == ["a", "b"]
    assert {line["role"] for line in lines} == {"governed-finetune-local-prepare"}
    assert all(line["allowed"] and line["keys"]["s3:if-none-match"] == "*" for line in written)
    (deleted,) = [line for line in lines if line["action"] == "s3:DeleteObject"]
    assert deleted["allowed"] is False


def test_without_the_variable_nothing_is_recorded(monkeypatch):
    monkeypatch.delenv(calls.VARIABLE, raising=False)
    assert calls.wanted() is None


def test_what_was_recorded_before_is_not_written_again(tmp_path):
    file = tmp_path / "calls.jsonl"
    session = "arn:aws:sts::000000000000:assumed-role/train/session"
    for _ in range(2):
        calls.Calls(file).write(session, ("s3:GetObject", "arn"), {"absent": None}, allowed=True)
    calls.Calls(file).write("arn:aws:iam::000000000000:root", ("s3:X", "*"), {}, allowed=True)
    assert _lines(file) == [
        {"role": "train", "action": "s3:GetObject", "resource": "arn", "keys": {}, "allowed": True}
    ]


def _document(name):
    key = f"executions/i/prepare/{name}"
    return {"Bucket": EVIDENCE, "Key": key, "Body": b"{}", "IfNoneMatch": "*"}


def _lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]
