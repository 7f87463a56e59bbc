"""The rows of a comparison: each with its group, its name, and one value for each execution.

rows = differences.rows([(summary, documents), …])
[row for row in rows if row.differs]
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.execution import ran_with
from pipeline.execution.progress import duration
from pipeline.inspection.documents import Document, Documents
from pipeline.inspection.run_summary import Summary

Pair = tuple[Summary, Documents]
ABSENT = "–"


@dataclass(frozen=True)
class Row:
    """One thing that is compared: a text for each execution, `–` where there is not one."""

    group: str
    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether one of the executions has another value than the first."""
        return any(not ran_with.same(self.values[0], value) for value in self.values[1:])

    def document(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {
            "group": self.group,
            "name": self.name,
            "values": list(self.values),
            "differs": self.differs,
        }


def rows(pairs: Sequence[Pair], *, every_parameter: bool = False) -> list[Row]:
    """Return all rows, in the order of reading: run, parameters, data, training, samples."""
    return [
        *_run(pairs),
        *_parameters(pairs, every_parameter=every_parameter),
        *_data(pairs),
        *_training(pairs),
        *_samples(pairs),
    ]


def _run(pairs: Sequence[Pair]) -> list[Row]:
    values: Mapping[str, Callable[[Summary], str]] = {
        "status": lambda run: run.status,
        "who": lambda run: run.who,
        "started": lambda run: f"{run.started:%Y-%m-%d %H:%M:%S}",
        "duration": lambda run: duration(run.seconds),
        "model version": lambda run: run.result.model_version or ABSENT,
    }
    return [
        Row("run", name, tuple(read(summary) for summary, _ in pairs))
        for name, read in values.items()
    ]


def _parameters(pairs: Sequence[Pair], *, every_parameter: bool) -> list[Row]:
    names = dict.fromkeys(name for run, _ in pairs for name in run.ran.values)
    asked = {name for run, _ in pairs for name in run.ran.differing}
    found = [
        Row("parameters", name, tuple(run.ran.values.get(name, ABSENT) for run, _ in pairs))
        for name in sorted(names)
    ]
    return [row for row in found if every_parameter or row.differs or row.name in asked]


def _data(pairs: Sequence[Pair]) -> list[Row]:
    manifests = [found.prepared or {} for _, found in pairs]
    names = {
        "raw table": lambda one: _version(one.get("source")),
        "curated table": lambda one: _version(one.get("target")),
        "examples made by": _made_by,
        "template": lambda one: str(one.get("template", ABSENT)),
    }
    found = [Row("data", name, tuple(map(read, manifests))) for name, read in names.items()]
    counts = [one.get("counts", {}) for one in manifests]
    keys = dict.fromkeys(
        key for each in counts for key, value in each.items() if isinstance(value, int)
    )
    return found + [
        Row("data", key.replace("_", " "), tuple(str(each.get(key, ABSENT)) for each in counts))
        for key in sorted(keys)
    ]


def _made_by(manifest: Document) -> str:
    """Return the id of the execution that made the examples."""
    arn: str = (manifest.get("reused") or manifest).get("execution_arn", ABSENT)
    return arn.rsplit("/", 1)[-1]


def _training(pairs: Sequence[Pair]) -> list[Row]:
    metrics = [_metrics(found) for _, found in pairs]
    names = dict.fromkeys(name for each in metrics for name in each)
    return [
        Row("training", name, tuple(each.get(name, ABSENT) for each in metrics)) for name in names
    ]


def _metrics(found: Documents) -> dict[str, str]:
    report = found.report or {}
    manifest = found.trained or {}
    numbers = {**manifest.get("metrics", {}), **report.get("metrics", {})}
    lengths = report.get("lengths", {}).get("train", {})
    cut = lengths.get("affected_documents", {}).get("prompt_cut")
    precision: Document = manifest.get("fp8", {})
    texts = {
        name.replace("_", " "): written(value)
        for name, value in numbers.items()
        if isinstance(value, int | float)
    }
    texts |= {f"seconds: {name}": written(value) for name, value in _seconds(report).items()}
    texts |= {"prompts cut": f"{cut} of {lengths['documents']}"} if cut is not None else {}
    if precision:
        texts["precision"] = f"{precision['effective']}, {precision['dtype']}"
    return texts


def _seconds(report: Document) -> Mapping[str, float]:
    seconds: Mapping[str, float] = report.get("seconds", {})
    return seconds


def _samples(pairs: Sequence[Pair]) -> list[Row]:
    samples = [(found.report or {}).get("sample", {}) for _, found in pairs]
    if not any(samples):
        return []
    names = {"example": "example_id", "base": "base", "tuned": "tuned"}
    return [
        Row("samples", name, tuple(_one_line(each.get(key, ABSENT)) for each in samples))
        for name, key in names.items()
    ]


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "(empty)"


def _version(table: Document | None) -> str:
    return f"{table['table']}@{table['version']}" if table else ABSENT


def written(value: float) -> str:
    """Return a number with at most five digits that matter."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int) else f"{value:.5g}"
