"""Read metrics from the log as SageMaker does: the last match of each regular expression is the
final value.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any


class MetricReader:
    """Reads log lines as they come; `final` returns DescribeTrainingJob's FinalMetricDataList."""

    def __init__(self, definitions: Sequence[Mapping[str, str]]) -> None:
        self._patterns = [(item["Name"], re.compile(item["Regex"])) for item in definitions]
        self._last: dict[str, tuple[float, float]] = {}

    def read(self, line: str, at_seconds: float) -> None:
        """Read one log line; a match whose first group is not a number is ignored."""
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                try:
                    self._last[name] = (float(match[1]), at_seconds)
                except (ValueError, IndexError):
                    continue

    def final(self) -> list[dict[str, Any]]:
        """Return the last value of every metric that was read, in the order of definition."""
        return [
            {"MetricName": name, "Value": self._last[name][0], "Timestamp": self._last[name][1]}
            for name, _ in self._patterns
            if name in self._last
        ]
