"""The audit log: one JSON line per call, as Unity Catalog's system table has one row.

A line has principal, action, securable and decision, and no body, header, token or key.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

from pipeline.local.workspace.api import Call, timestamp


class Audit:
    """Appends to one file; a line is written before its answer is sent."""

    def __init__(self, file: Path):
        self._stream = file.open("a", buffering=1, encoding="utf-8")
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def write(self, call: Call, action: str, *, status: int, error: str = "") -> None:
        """Append the line of one call. 401 and 403 are `denied`, other errors `failed`."""
        decision = "allowed" if status < 400 else "denied" if status in (401, 403) else "failed"
        line = {
            "time": timestamp(),
            "request_id": call.request_id,
            "principal": call.principal,
            "action": action,
            "securable": call.about,
            "decision": decision,
            "status": status,
        }
        with self._lock:
            self._stream.write(json.dumps(line | ({"error": error} if error else {})) + "\n")
