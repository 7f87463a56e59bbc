"""A copy of what this job publishes, kept next to its checkpoints until the job has ended.

The evidence bucket accepts a manifest once. SageMaker may take the instance away after that and
start the same job again. The second start has to publish the same bytes, but report and manifest
contain times. So they are kept before anything is published, and the next start reuses them if its
adapters and all other files are those that the kept manifest lists.
"""

import shutil
from pathlib import Path

from steps.governance.documents.document import FileEntry
from steps.governance.documents.manifest import Trained
from steps.governance.errors import IntegrityError
from steps.train.export import model_folder
from steps.train.tracking import metric_lines

_FOLDER = "publication"
# Files that a second start would write with other times
_KEPT = ("report.json", "report.html", "README.md")


def keep(checkpoints: Path, staged: Path, trained: Trained) -> None:
    """Copy what is about to be published from `staged`, the manifest last."""
    folder = checkpoints / _FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in _KEPT:
        shutil.copyfile(staged / name, folder / name)
    model_folder.write_manifest(folder, trained)


def recall(
    checkpoints: Path, staged: Path, *, training_job: str, merged: list[FileEntry] | None
) -> Trained | None:
    """Copy the files that an earlier start of this job kept to `staged`; return their manifest.

    Returns:
        None where nothing was kept, where it is of another job, or where the kept manifest lists
        other files than those that this start made.
    """
    folder = checkpoints / _FOLDER
    try:
        content = (folder / model_folder.MANIFEST).read_bytes()
        trained = Trained.from_bytes(content, origin=f"{_FOLDER}/{model_folder.MANIFEST}")
        if trained.training_job != training_job:
            return None  # SageMaker's retry is another job and has its own manifest
        for name in _KEPT:
            shutil.copyfile(folder / name, staged / name)
    except FileNotFoundError:
        return None
    except IntegrityError as error:
        metric_lines.report_info(f"the publication of an earlier start is not reused: {error.what}")
        return None
    if (model_folder.entries(staged), merged) != (trained.files, trained.merged):
        metric_lines.report_info(
            "the publication of an earlier start is not reused: this start made other files"
        )
        return None
    metric_lines.report_info("publishing what an earlier start of this job was about to publish")
    return trained
