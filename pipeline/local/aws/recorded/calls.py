"""Which role asked IAM for what: each distinct decision is a line of a file.

    GOVERNED_FINETUNE_CALLS=/tmp/calls.jsonl .venv/bin/python -m pipeline.local run
    {"role": "governed-finetune-local-train", "action": "s3:GetObject", "resource": "arn:…",
     "keys": {}, "allowed": true}

So a policy can be compared with what is used, as with CloudTrail in an account. It is off without
the variable. Callers that are not in a role (root, a user) are not recorded.
"""

import inspect
import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

VARIABLE = "GOVERNED_FINETUNE_CALLS"
_ROLE = ":assumed-role/"


class Calls:
    """The file of one account; lines that are in it already are not written twice."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._seen = set(path.read_text().splitlines()) if path.exists() else set()

    def around(
        self, enforce: Callable[..., Any], caller: Callable[[str], str]
    ) -> Callable[..., Any]:
        """Return ministack's `enforce` that also writes what it was asked and what it decided.

        `caller` returns the ARN of who has an access key: a service asks outside of any request.
        """
        asked = inspect.signature(enforce)

        def recorded(*words: Any, **more: Any) -> Any:
            verdict = enforce(*words, **more)
            given = asked.bind(*words, **more).arguments
            request = (given["iam_action"], given.get("resource_arn", "*"))
            keys = given.get("service_context") or {}
            who = caller(str(given["access_key_id"] or ""))
            self.write(who, request, keys, allowed=verdict is None)
            return verdict

        return recorded

    def write(
        self, caller: str, asked: tuple[str, str], keys: Mapping[str, Any], *, allowed: bool
    ) -> None:
        """Add a decision about a role's session: `asked` is the action and the resource."""
        if _ROLE not in caller:
            return
        found = {
            "role": caller.split(_ROLE, 1)[1].partition("/")[0],
            "action": asked[0],
            "resource": asked[1],
            "keys": {name: value for name, value in keys.items() if value is not None},
            "allowed": allowed,
        }
        line = json.dumps(found, sort_keys=True, default=str)
        with self._lock:
            if line not in self._seen:
                self._seen.add(line)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")


def wanted() -> Calls | None:
    """Return the record that the environment asks for, or None."""
    return Calls(Path(os.environ[VARIABLE])) if os.environ.get(VARIABLE) else None


def arn_of(access_key_id: str) -> str:
    """Return the ARN of a session's role, or of the caller of the request that is being served."""
    from ministack.core import iam_evaluator
    from ministack.services import sts

    session = sts._sessions.get(access_key_id)
    return str(session["Arn"] if session else iam_evaluator.caller_arn())
