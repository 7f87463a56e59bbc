"""Answers to Callback steps: a token is answered once; repeating the same answer changes nothing.

open ── Success ──> succeeded        a repeated call with its ClientRequestToken: no change
  └──── Failure ──> failed           any other answer to an answered token: ConflictException
"""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.local.aws.account import Account, Caller
from pipeline.local.aws.errors import Conflict, Invalid, NotFound
from pipeline.local.aws.pipelines import definition
from pipeline.local.aws.store import Document


class Callbacks:
    """SendPipelineExecutionStepSuccess and SendPipelineExecutionStepFailure."""

    def __init__(self, account: Account) -> None:
        self._store = account.store
        self.operations: Mapping[str, Callable[[Caller, Document], Document]] = {
            "SendPipelineExecutionStepSuccess": self.succeed,
            "SendPipelineExecutionStepFailure": self.fail,
        }

    def recover(self) -> None:
        """Close the tokens of executions that have ended."""
        for execution in self._store.all("execution"):
            self._close(execution)

    def succeed(self, caller: Caller, request: Document) -> Document:
        """Record that the step succeeded, with its declared outputs."""
        token = request["CallbackToken"]
        given = {item["Name"]: item["Value"] for item in request.get("OutputParameters") or []}
        declared = self._callback(token)["outputs"]
        values = _outputs(given, declared)
        return self._answer(request, {"state": "succeeded", "text": given, "values": values})

    def fail(self, caller: Caller, request: Document) -> Document:
        """Record that the step failed, with a reason."""
        reason = request.get("FailureReason") or "The callback step was failed without a reason."
        return self._answer(request, {"state": "failed", "reason": reason})

    def _answer(self, request: Document, answer: Document) -> Document:
        token = request["CallbackToken"]
        self._callback(token)
        with self._store.edit("callback", token) as callback:
            if callback["state"] == "open":
                callback |= answer | {"answered_by": request.get("ClientRequestToken")}
            elif callback["state"] != answer["state"] or not self._repeated(callback, request):
                raise Conflict(
                    f"Callback token {token} was answered already: the step {callback['state']}."
                )
            return {"PipelineExecutionArn": callback["execution"]}

    @staticmethod
    def _repeated(callback: Document, request: Document) -> bool:
        return callback.get("answered_by") is not None and callback["answered_by"] == request.get(
            "ClientRequestToken"
        )

    def _callback(self, token: str) -> Document:
        callback = self._store.get("callback", token)
        if callback is None:
            raise NotFound(f"Callback token {token} does not exist.")
        return callback

    def _close(self, execution: Document) -> None:
        for step in execution["_steps"].values():
            token = step["Metadata"].get("Callback", {}).get("CallbackToken")
            if token and (self._store.get("callback", token) or {}).get("state") == "open":
                with self._store.edit("callback", token) as callback:
                    callback |= {
                        "state": "expired",
                        "reason": "the execution ended before the answer",
                    }


def _outputs(given: Mapping[str, str], declared: Mapping[str, str]) -> dict[str, Any]:
    if given.keys() != declared.keys():
        raise Invalid(
            f"OutputParameters: expected {', '.join(sorted(declared)) or 'none'}, got "
            f"{', '.join(sorted(given)) or 'none'}"
        )
    try:
        return {
            name: definition.typed_value(value, declared[name], f"output parameter {name}")
            for name, value in given.items()
        }
    except definition.DefinitionError as error:
        raise Invalid(str(error)) from None
