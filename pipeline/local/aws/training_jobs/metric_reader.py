"""Metrics as SageMaker takes them: regular expressions over the log, the last match of each is the
final value.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any


class MetricReader:
    """Reads log lines as they come; `final` is what DescribeTrainingJob calls FinalMetricDataList."""

    def __init__(self, definitions: Sequence[Mapping[str, str]]) -> None:
        self._patterns = [(item["Name"], re.compile(item["Regex"])) for item in definitions]
        self._last: dict[str, tuple[float, float]] = {}

    def read(self, line: str, at_seconds: float) -> None:
        """Look at one log line; a match whose first group is no number is no metric."""
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                try:
                    self._last[name] = (float(match[1]), at_seconds)
                except (ValueError, IndexError):
                    continue

    def final(self) -> list[dict[str, Any]]:
        """The last value of every metric that was seen, in the order of their definitions."""
        return [
            {"MetricName": name, "Value": self._last[name][0], "Timestamp": self._last[name][1]}
            for name, _ in self._patterns
            if name in self._last
        ]
