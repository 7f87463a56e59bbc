"""The training state on disk: complete or skipped, and of this very configuration or refused.

    store = Checkpoints(paths.checkpoints, fingerprint)
    resume = store.latest()                    # None: start anew
    with store.writing(step):                  # all files of checkpoint-<step>, or none
        …
        store.seal(step, history)
    store.prune(keep={best, newest})

    checkpoints/checkpoint-50/   adapter_model.safetensors, optimizer.pt, …   as Trainer writes and reads them
                                 history.json                                 what the run has done so far
                                 complete.json                                last: step, fingerprint, sha256 of each file
                                 evaluation.json                              after it, once the state was evaluated

SageMaker copies the folder to S3 as it changes and back before it starts the job again, file by file and in no order: a
folder without `complete.json`, or with a file that differs from it, is skipped, and the one before it is used. A folder
that is complete but of another configuration is refused: going on from it would give a model that no record describes.
Trainer loads its files with `weights_only`: no pickled code.
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
from steps.train.fine_tuning.history import History, Measured
from steps.train.tracking import metric_lines

_COMPLETE, _HISTORY, _EVALUATION = "complete.json", "history.json", "evaluation.json"
_NAME = re.compile(r"checkpoint-([0-9]{1,10})")
_SCHEMA = "governed-finetune/checkpoint/1"
# What SageMaker lays beside each file while and after it copies it, and takes away again; seen in AWS's own
# sagemaker-xgboost-container (checkpointing.py), which waits for them.
_MARKERS = (".sagemaker-uploading", ".sagemaker-uploaded")

_EVALUATION_JSON = TypeAdapter(Evaluation)

Fingerprint = Mapping[str, str | int | float]


@dataclass(frozen=True)
class Checkpoint:
    """A complete state: after which step, and where."""

    step: int
    folder: Path

    def history(self) -> History:
        """What the run had done by then, with the evaluation of this state if it was made."""
        history = History.from_json((self.folder / _HISTORY).read_bytes())
        written = self.folder / _EVALUATION
        if written.exists() and not history.evaluated(self.step):
            history.evaluations.append(
                Measured(self.step, _EVALUATION_JSON.validate_json(written.read_bytes()))
            )
        return history


class Checkpoints:
    """The folder of one job's checkpoints."""

    def __init__(self, folder: Path, fingerprint: Fingerprint) -> None:
        self.folder = folder
        self._fingerprint = dict(fingerprint)
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, step: int) -> Path:
        """Where the state after `step` lies; Trainer's own naming."""
        return self.folder / f"checkpoint-{step}"

    def latest(self) -> Checkpoint | None:
        """The newest complete state; what is incomplete is said and skipped.

        Raises:
            Conflict: it is of another configuration.
        """
        for step in sorted(self._steps(), reverse=True):
            fault = self._fault(step)
            if fault is None:
                self._check_configuration(step)
                return Checkpoint(step, self.path(step))
            metric_lines.say(f"checkpoint-{step} is skipped: {fault}")
        return None

    @contextmanager
    def writing(self, step: int, *, leader: bool = True) -> Iterator[None]:
        """Write the files of the state after `step`. What fails on the way leaves no folder: nothing half-made."""
        folder = self.path(step)
        if leader:
            (folder / _COMPLETE).unlink(
                missing_ok=True
            )  # a state about to be overwritten is not complete any more
            (folder / _EVALUATION).unlink(missing_ok=True)
        try:
            yield
        except BaseException:
            if leader:
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def seal(self, step: int, history: History) -> None:
        """Say that the state after `step` is complete: every file with its sha256, written last and durably."""
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

    def write_evaluation(self, measured: Measured) -> None:
        """The evaluation of a complete state."""
        _write_durably(
            self.path(measured.step) / _EVALUATION, _EVALUATION_JSON.dump_json(measured.evaluation)
        )

    def prune(self, *, keep: set[int]) -> None:
        """Remove every other state."""
        for step in self._steps() - keep:
            (self.path(step) / _COMPLETE).unlink(
                missing_ok=True
            )  # first: a half-removed folder must not look whole
            shutil.rmtree(
                self.path(step), ignore_errors=True
            )  # SageMaker's markers come and go; the rest goes next time

    def _steps(self) -> set[int]:
        return {
            int(match[1]) for path in self.folder.iterdir() if (match := _NAME.fullmatch(path.name))
        }

    def _fault(self, step: int) -> str | None:
        folder = self.path(step)
        try:
            document = json.loads((folder / _COMPLETE).read_bytes())
            listed = document["files"]
            if document["schema"] != _SCHEMA or document["step"] != step:
                return f"{_COMPLETE} is of another kind"
            differing = [
                name for name, digest in listed.items() if sha256_of(folder / name) != digest
            ]
        except FileNotFoundError as error:
            return f"{Path(error.filename).name} is missing"
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"{_COMPLETE} is damaged"
        return (
            f"{', '.join(sorted(differing)[:3])} differs from what was written"
            if differing
            else None
        )

    def _check_configuration(self, step: int) -> None:
        theirs = json.loads((self.path(step) / _COMPLETE).read_bytes())["configuration"]
        if theirs != self._fingerprint:
            names = sorted(
                n
                for n in theirs.keys() | self._fingerprint
                if theirs.get(n) != self._fingerprint.get(n)
            )
            raise Conflict(
                f"checkpoint-{step} is of another configuration",
                expected=", ".join(f"{name} {self._fingerprint.get(name)}" for name in names),
                got=", ".join(f"{name} {theirs.get(name)}" for name in names),
                do="start a new execution; the checkpoints of one are never used for another",
            )


def _files(folder: Path) -> list[str]:
    """Every file of ours below the folder but those that are written after it is complete."""
    paths = (path for path in folder.rglob("*") if path.suffix not in _MARKERS and path.is_file())
    names = {path.relative_to(folder).as_posix() for path in paths}
    return sorted(names - {_COMPLETE, _EVALUATION})


def _write_durably(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
