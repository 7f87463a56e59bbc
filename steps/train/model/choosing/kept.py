"""The choice of `auto`, kept with the checkpoints so that a job that starts again has it.

    kept = Kept(paths.checkpoints, {"device": …, "sequence_length": …}, mode="native_dx")
    kept.recall()                   the choice of an earlier start, or None
    kept.keep(choice)

The mode is part of what a checkpoint is of: a second measurement could refuse the job's own
checkpoints. SageMaker copies the folder as it changes, in no order, so a checkpoint may come back
without this file. `mode`, which that checkpoint has, is then the choice, without figures.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from steps.governance.documents.precision import Choice
from steps.train.tracking import metric_lines

_NAME, _SCHEMA = "auto-mode.json", "governed-finetune/auto-mode/1"


@dataclass(frozen=True)
class Kept:
    """The choice of this job's earlier starts.

    Attributes:
        folder: of the checkpoints.
        valid_for: what was measured; a choice for something else is not used.
        mode: of the newest checkpoint, None without one.
    """

    folder: Path
    valid_for: Mapping[str, str | int]
    mode: str | None

    def recall(self, predicted: str) -> Choice | None:
        """Return the earlier choice; None if this start has to measure."""
        found = self._read()
        if found is not None and self.mode in (None, found.mode):
            return found
        if self.mode is None:
            return None
        return Choice(
            mode=self.mode, predicted=predicted, reason="the newest checkpoint has it", tried=[]
        )

    def keep(self, choice: Choice) -> None:
        """Write the choice durably, before the first checkpoint."""
        document = {
            "schema": _SCHEMA,
            "for": dict(self.valid_for),
            "choice": choice.model_dump(exclude_none=True),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{_NAME}.partial"
        with partial.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.folder / _NAME)

    def _read(self) -> Choice | None:
        try:
            document = json.loads((self.folder / _NAME).read_bytes())
            if (document["schema"], document["for"]) != (_SCHEMA, dict(self.valid_for)):
                return None
            return Choice.model_validate(document["choice"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            metric_lines.report_info(f"{_NAME} is not used: {type(error).__name__}")
            return None
