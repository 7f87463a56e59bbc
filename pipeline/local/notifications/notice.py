"""What a message of the topic of the layer watch means, in a line: registered, rejected, …

    found = of(body, running)      # body: as SNS puts it into a queue
    found.line                     # notice      Registered: models:/edgar.models.risk_analyst/1 …

SageMaker's event has a status and no reason, so the execution is read with the data scientist's
role: it has the version, the reason, and whether Gate rejected it.
"""

import json
import re
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pipeline import command
from pipeline.errors import PipelineError
from pipeline.execution.outcome import Outcome, outcome
from pipeline.execution.watch import observe
from pipeline.local import untaken
from pipeline.local.started import Started

WAITS, WAITS_NO_MORE = "Register waits", "Register waits no more"
_EXECUTION = re.compile(r"arn:[^ ]+:pipeline/[^ ]+/execution/[a-z0-9]+")
_WAITING_ALARM = "-register-waits"
_MOST = 200  # letters of a notice's line
_STATES = {"ALARM": WAITS, "OK": WAITS_NO_MORE}


@dataclass(frozen=True)
class Notice:
    """One notification; `id` and `time` are SNS's."""

    id: str
    time: str
    kind: str  # Registered, Rejected, Failed, Stopped, Register waits, Register waits no more, …
    text: str
    execution: str = ""  # the ARN, where it is about one
    look: str = ""  # the command that shows more

    @property
    def line(self) -> str:
        """The notice as people read it while the command shows its result.

        A reason of several hundred letters is cut: the result and the page have it whole.
        """
        text = self.text if len(self.text) <= _MOST else f"{self.text[:_MOST].rstrip()} …"
        return f"notice      {self.kind}: {text}"

    @property
    def lines(self) -> str:
        """The notice with the command that shows more."""
        return f"{self.line}\n            {self.look}" if self.look else self.line


def of(body: str, running: Started) -> Notice | None:
    """Return the notice of one message of the queue; None if nothing has changed.

    CloudWatch reports an alarm that has data for the first time as OK.
    """
    envelope = json.loads(body)
    message, id, time = envelope["Message"], envelope["MessageId"], envelope["Timestamp"]
    content = _content(message)
    if isinstance(content, dict) and "AlarmName" in content:
        if (content["OldStateValue"], content["NewStateValue"]) == ("INSUFFICIENT_DATA", "OK"):
            return None
        kind, text = _alarm(content, running)
        return Notice(id, time, kind, text)
    found = _EXECUTION.search(message)
    if found is None:
        return Notice(id, time, "Message", str(content))
    try:
        kind, text = _ended(_outcome(running, found[0]))
    except PipelineError as error:  # the notice is shown, with what is known
        kind, text = "Message", f"{content} ({error})"
    look = command.line("pipeline.report", "local", f"--execution {found[0].rpartition('/')[2]}")
    return Notice(id, time, kind, text, found[0], look)


def _content(message: str) -> Any:
    """The rules send a JSON text, an alarm sends a JSON object, others may send plain text."""
    try:
        return json.loads(message)
    except ValueError:
        return message


def _outcome(running: Started, arn: str) -> Outcome:
    with closing(running.scientist_client("sagemaker")) as client:
        return outcome(observe(running.config, client, arn, planned=()), {})


def _ended(ended: Outcome) -> tuple[str, str]:
    if ended.succeeded:
        return "Registered", f"{ended.model_uri}, by execution {ended.id}"
    kind = "Rejected" if ended.rejected else ended.status
    reason = (ended.failure.splitlines() or ["no reason was given"])[0]
    reason = reason.removeprefix(f"{kind}: ")  # the step is called as the kind
    return kind, f"execution {ended.id}: {reason}"


def _alarm(content: dict[str, Any], running: Started) -> tuple[str, str]:
    name, state = content["AlarmName"], content["NewStateValue"]
    about = f"{content['AlarmDescription']}: {content['NewStateReason']}"
    if not name.endswith(_WAITING_ALARM) or state not in _STATES:
        return f"Alarm {name} {state}", about
    waiting = untaken.lines(running) if state == "ALARM" else []
    return _STATES[state], "; ".join([content["AlarmDescription"], *waiting])
