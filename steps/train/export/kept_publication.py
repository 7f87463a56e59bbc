"""What this job publishes, kept beside its checkpoints until it has ended.

The evidence bucket takes a manifest once. SageMaker may take the instance away after that and start the same job again: it
then has to publish the same bytes, but report and manifest tell times. So they are kept before anything is published, and
found again by the next start, if the adapters and everything else are still what the manifest lists.
"""

import shutil
from pathlib import Path

from steps.governance.errors import IntegrityError
from steps.governance.manifest import FileEntry, Trained
from steps.train.export import model_folder
from steps.train.tracking import metric_lines

_FOLDER = "publication"
_KEPT = (
    "report.json",
    "report.html",
    "README.md",
)  # what another start would write with other times


def keep(checkpoints: Path, staged: Path, trained: Trained) -> None:
    """Keep what is about to be published from `staged`, the manifest last."""
    folder = checkpoints / _FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in _KEPT:
        shutil.copyfile(staged / name, folder / name)
    model_folder.write_manifest(folder, trained)


def recall(
    checkpoints: Path, staged: Path, *, training_job: str, merged: list[FileEntry] | None
) -> Trained | None:
    """The manifest that an earlier start of this very job kept, its files put into `staged`; None where there is none, or
    where it lists anything else than what this start made.
    """
    folder = checkpoints / _FOLDER
    try:
        content = (folder / model_folder.MANIFEST).read_bytes()
        trained = Trained.from_bytes(content, origin=f"{_FOLDER}/{model_folder.MANIFEST}")
        if trained.training_job != training_job:
            return None  # SageMaker's retry is another job and has a manifest of its own
        for name in _KEPT:
            shutil.copyfile(folder / name, staged / name)
    except FileNotFoundError:
        return None
    except IntegrityError as error:
        metric_lines.say(f"what an earlier start was about to publish is left aside: {error.what}")
        return None
    if (model_folder.entries(staged), merged) != (trained.files, trained.merged):
        metric_lines.say(
            "what an earlier start was about to publish is left aside: this start made other files"
        )
        return None
    metric_lines.say("publishing what an earlier start of this job was about to publish")
    return trained
