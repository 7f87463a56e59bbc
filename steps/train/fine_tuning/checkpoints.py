"""Read and write checkpoints: complete or skipped, of this configuration or refused.

    store = Checkpoints(paths.checkpoints, fingerprint)
    resume = store.latest()                    # None: start from the beginning
    with store.writing(step):                  # all files of checkpoint-<step>, or none
        …
        store.seal(step, history)
    store.prune(keep={best, newest})

    checkpoints/checkpoint-50/
        adapter_model.safetensors, optimizer.pt, …     written and read by Trainer
        history.json                                   the run so far
        complete.json                                  last: step, fingerprint, sha256 of each file
        evaluation.json                                added once the state is evaluated

SageMaker copies the folder to S3 as it changes, and back before it restarts the job, file by file
and in no order. A folder without `complete.json`, or with a file that differs from it, is skipped,
and the previous one is used. A folder that is complete but belongs to another configuration is
refused: a model that resumed from it would not match its record. Trainer loads its files with
`weights_only`, so no pickled code is run.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from steps.governance.errors import Conflict
from steps.governance.files import sha256_of
from steps.train.fine_tuning.evaluation import Evaluation
from steps.train.fine_tuning.history import EvaluationAtStep, History
from steps.train.tracking import metric_lines

_COMPLETE, _HISTORY, _EVALUATION = "complete.json", "history.json", "evaluation.json"
_NAME = re.compile(r"checkpoint-([0-9]{1,10})")
_SCHEMA = "governed-finetune/checkpoint/1"
# SageMaker creates these files next to each file while and after it copies it, and removes them
# again. Source: AWS's sagemaker-xgboost-container (checkpointing.py), which waits for them.
_MARKERS = (".sagemaker-uploading", ".sagemaker-uploaded")

_EVALUATION_JSON = TypeAdapter(Evaluation)

Fingerprint = Mapping[str, str | int | float]


@dataclass(frozen=True)
class Checkpoint:
    """A complete state after optimizer step `step`."""

    step: int
    folder: Path

    def history(self) -> History:
        """Return the history up to this step, with the evaluation of this state if there is one."""
        history = History.from_json((self.folder / _HISTORY).read_bytes())
        written = self.folder / _EVALUATION
        if written.exists() and not history.evaluated(self.step):
            evaluation = _EVALUATION_JSON.validate_json(written.read_bytes())
            history.evaluations.append(EvaluationAtStep(self.step, evaluation))
        return history


class Checkpoints:
    """The checkpoint folder of one job."""

    def __init__(self, folder: Path, fingerprint: Fingerprint) -> None:
        self.folder = folder
        self._fingerprint = dict(fingerprint)
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, step: int) -> Path:
        """Return the folder of the state after `step`. Trainer uses the same name."""
        return self.folder / f"checkpoint-{step}"

    def latest(self) -> Checkpoint | None:
        """Return the newest complete state. Incomplete ones are logged and skipped.

        Raises:
            Conflict: it belongs to another configuration.
        """
        for step in sorted(self._steps(), reverse=True):
            fault = self._fault(step)
            if fault is None:
                self._check_configuration(step)
                return Checkpoint(step, self.path(step))
            metric_lines.report_info(f"checkpoint-{step} is skipped: {fault}")
        return None

    @contextmanager
    def writing(self, step: int, *, leader: bool = True) -> Iterator[None]:
        """Write the files of the state after `step` in this block; remove the folder on failure."""
        folder = self.path(step)
        if leader:
            # While it is overwritten, the state is not complete.
            (folder / _COMPLETE).unlink(missing_ok=True)
            (folder / _EVALUATION).unlink(missing_ok=True)
        try:
            yield
        except BaseException:
            if leader:
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def seal(self, step: int, history: History) -> None:
        """Mark the state after `step` as complete: write complete.json last, and durably."""
        folder = self.path(step)
        _write_durably(folder / _HISTORY, history.to_json())
        files = {name: sha256_of(folder / name) for name in _files(folder)}
        document = {
            "schema": _SCHEMA,
            "step": step,
            "configuration": self._fingerprint,
            "files": files,
        }
        _write_durably(folder / _COMPLETE, json.dumps(document, indent=1, sort_keys=True).encode())

    def write_evaluation(self, evaluated: EvaluationAtStep) -> None:
        """Write the evaluation of a complete state."""
        content = _EVALUATION_JSON.dump_json(evaluated.evaluation)
        _write_durably(self.path(evaluated.step) / _EVALUATION, content)

    def prune(self, *, keep: set[int]) -> None:
        """Remove all states except those after the steps in `keep`."""
        for step in self._steps() - keep:
            # First: a folder that is removed in part must not look complete.
            (self.path(step) / _COMPLETE).unlink(missing_ok=True)
            # SageMaker adds and removes its markers meanwhile; what remains is removed next time.
            shutil.rmtree(self.path(step), ignore_errors=True)

    def _steps(self) -> set[int]:
        return {
            int(match[1]) for path in self.folder.iterdir() if (match := _NAME.fullmatch(path.name))
        }

    def _fault(self, step: int) -> str | None:
        """Return why the state is incomplete, or None if it is complete."""
        folder = self.path(step)
        try:
            document = json.loads((folder / _COMPLETE).read_bytes())
            listed = document["files"]
            if document["schema"] != _SCHEMA or document["step"] != step:
                return f"{_COMPLETE} is of another kind"
            differing = sorted(n for n, digest in listed.items() if sha256_of(folder / n) != digest)
        except FileNotFoundError as error:
            return f"{Path(error.filename).name} is missing"
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"{_COMPLETE} is damaged"
        return f"{', '.join(differing[:3])} differs from what was written" if differing else None

    def _check_configuration(self, step: int) -> None:
        ours = self._fingerprint
        theirs = json.loads((self.path(step) / _COMPLETE).read_bytes())["configuration"]
        if theirs != ours:
            names = sorted(n for n in theirs.keys() | ours if theirs.get(n) != ours.get(n))
            raise Conflict(
                f"checkpoint-{step} is of another configuration",
                expected=", ".join(f"{name} {ours.get(name)}" for name in names),
                got=", ".join(f"{name} {theirs.get(name)}" for name in names),
                do="start a new execution; the checkpoints of one are never used for another",
            )


def newest_configuration(folder: Path) -> Fingerprint:
    """Return what the newest sealed checkpoint below `folder` is of; empty without one.

    Whether the checkpoint is whole and of this job is for `Checkpoints.latest` to decide.
    """
    sealed = {}
    for path in folder.glob(f"checkpoint-*/{_COMPLETE}"):
        if match := _NAME.fullmatch(path.parent.name):
            sealed[int(match[1])] = path
    try:
        document = json.loads(sealed[max(sealed)].read_bytes()) if sealed else {}
        return dict(document.get("configuration", {}))
    except (ValueError, AttributeError, TypeError):  # damaged: the checkpoint will be skipped
        return {}


def _files(folder: Path) -> list[str]:
    """Return our files below the folder, except those that are written after it is complete."""
    paths = (path for path in folder.rglob("*") if path.suffix not in _MARKERS and path.is_file())
    names = {path.relative_to(folder).as_posix() for path in paths}
    return sorted(names - {_COMPLETE, _EVALUATION})


def _write_durably(path: Path, content: bytes) -> None:
    """Replace the file atomically, with its content on disk before it gets its name."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
