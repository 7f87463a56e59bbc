"""Refusals that need a second writer or a broken service at one moment: units with fakes."""

from types import SimpleNamespace
from typing import Any

import pytest

from steps.approve.approval import Approving
from steps.approve.approver import identified
from steps.approve.arguments import parse
from steps.approve.decisions import Decision
from steps.approve.registry import Registry
from steps.governance.documents.approval import Approval
from steps.governance.errors import Conflict, MalformedAnswer, UsageError
from steps.governance.names import UcName

MODEL = UcName.parse("edgar.models.analyst")


def decision(action: Any, version: int, replaced: int | None = None) -> Decision:
    approval = Approval(
        action=action,
        model=str(MODEL),
        version=version,
        alias="champion",
        record="executions/x/register/record.json",
        record_sha256="a" * 64,
        approver="alice",
        aws="arn:aws:iam::1:user/alice",
        group="model-approvers",
        reason="it is better",
        decided_at="2026-11-29T00:00:00Z",
        replaced_version=replaced,
    )
    return Decision(f"approvals/{MODEL}/{version}/1.json", "b" * 64, approval)


def approving(**parts: Any) -> Approving:
    """An approval of version 1 whose services are the given fakes."""
    made = Approving.__new__(Approving)
    given = SimpleNamespace(alias="champion", revoke=False, reason="it is better")
    for name, part in ({"given": given, "model": MODEL, "version": 1} | parts).items():
        setattr(made, f"_{name}", part)
    return made


class Growing:
    """Decisions of a version that others make all the time."""

    def __init__(self, step: int) -> None:
        self.step, self.asked = step, 0

    def of(self, model: UcName, version: int) -> list[Decision]:
        self.asked += 1
        return [decision("approve", 1)] * (self.asked * self.step)


def _conflict(*_: Any) -> Decision:
    raise Conflict("somebody was faster")


def test_who_always_comes_second_gives_up_after_some_tries() -> None:
    decisions = Growing(1)
    with pytest.raises(Conflict, match="is decided about all the time"):
        approving(decisions=decisions)._decided(None, _conflict)  # type: ignore[arg-type]
    assert decisions.asked == 10  # five tries, each of which looks again


def test_a_conflict_without_another_decision_is_reported_as_it_is() -> None:
    decisions = Growing(0)
    with pytest.raises(Conflict, match="somebody was faster"):
        approving(decisions=decisions)._decided(None, _conflict)  # type: ignore[arg-type]
    assert decisions.asked == 2


def test_a_decision_that_a_later_one_replaced_names_it() -> None:
    history = SimpleNamespace(settled=lambda entry, place: (2, decision("approve", 2, 1)))
    registry = SimpleNamespace(aliased=lambda alias: None)
    with pytest.raises(Conflict, match="was superseded before it took effect") as refused:
        approving(history=history, registry=registry)._take_effect(
            decision("approve", 1),
            None,  # type: ignore[arg-type]
        )
    assert "approve of version 2 by alice" in str(refused.value)


def test_a_revocation_does_not_move_an_alias_that_is_elsewhere() -> None:
    history = SimpleNamespace(settled=lambda entry, place: (place, None))
    registry = SimpleNamespace(aliased=lambda alias: 5)
    with pytest.raises(Conflict, match=r"alias champion of edgar\.models\.analyst has moved on"):
        approving(history=history, registry=registry)._take_effect(
            decision("revoke", 1),
            None,  # type: ignore[arg-type]
        )


def workspace(answer: Any) -> Any:
    client = SimpleNamespace(
        api_client=SimpleNamespace(do=lambda *_, **__: answer),
        current_user=SimpleNamespace(me=lambda: answer),
    )
    return SimpleNamespace(principal="alice", client=client)


def test_a_caller_without_a_name_is_a_malformed_answer() -> None:
    with pytest.raises(MalformedAnswer, match="read who is calling"):
        identified(workspace(SimpleNamespace(user_name=None)), "us-east-1", "model-approvers")


@pytest.mark.parametrize(
    "answer", [[], "x", {}, {"model_version": 3}, {"model_version": {"tags": [{"value": "x"}]}}]
)
def test_a_version_that_is_none_is_a_malformed_answer(answer: Any) -> None:
    with pytest.raises(MalformedAnswer, match="look up version 1"):
        Registry(workspace(answer), MODEL).tags(1)


@pytest.mark.parametrize(
    "answer",
    [[], {}, {"registered_model": {"aliases": [{"alias": "champion"}]}},
     {"registered_model": {"aliases": [{"alias": "champion", "version": "one"}]}}],
)  # fmt: skip
def test_a_model_that_is_none_is_a_malformed_answer(answer: Any) -> None:
    with pytest.raises(MalformedAnswer, match="look up the aliases"):
        Registry(workspace(answer), MODEL).aliased("champion")


def test_one_message_names_every_argument_that_cannot_be_used() -> None:
    words = ["--model=a.b.c@0", "--alias=a b", "--reason=\x07", "--region=x y", "--what"]
    with pytest.raises(UsageError, match="nothing was approved or revoked") as refused:
        parse(words)
    message = str(refused.value)
    for name in (
        "model",
        "alias",
        "reason",
        "region",
        "evidence-uri",
        "approvers-group",
        "run-aliases",
        "what",
    ):
        assert f"--{name}" in message
