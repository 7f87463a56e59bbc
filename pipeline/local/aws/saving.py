"""ministack's saves of its state: whether they succeeded, for the person who stops the environment.

    saves = Saves(folder)         # before the server starts: removes the mark of the last end
    saves.run(save)               # one save; failures are kept until the next one succeeds
    saves.confirm()               # at the end: writes the mark, if everything is stored
    is_confirmed(folder)          # `down`, in another process

ministack logs a failed save and continues: a PUT is answered with 200 although its object is in
memory only. So failures are read from its log records. The end of the server leaves a mark if all
is stored. A full disk, a crash and a SIGKILL leave none, so nobody has to report them.
"""

import logging
from collections.abc import Callable
from pathlib import Path

_MARK = "saved"
_STATE, _OBJECTS = "persistence", "s3"  # ministack's loggers
_OBJECT_NOT_STORED = "Failed to persist S3"


class Saves(logging.Handler):
    """The failures of ministack's saves, by its own words."""

    def __init__(self, folder: Path) -> None:
        super().__init__(logging.WARNING)
        self._mark = folder / _MARK
        self._mark.unlink(missing_ok=True)
        self.states: list[str] = []  # of the last save
        self.objects: list[str] = []  # since the start: ministack does not try again
        for name in (_STATE, _OBJECTS):
            logging.getLogger(name).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a failure."""
        text = record.getMessage()
        if record.name == _STATE and record.levelno >= logging.ERROR:
            self.states.append(text)
        elif text.startswith(_OBJECT_NOT_STORED):
            self.objects.append(text)

    def run(self, save: Callable[[], None]) -> None:
        """Save; what failed before is forgotten, because each save writes the whole state."""
        self.states.clear()
        save()

    def confirm(self) -> list[str]:
        """Write the mark if all is stored, and return what is not."""
        failed = [*self.states, *self.objects]
        if not failed:
            try:
                self._mark.write_text("everything is stored\n", encoding="utf-8")
            except OSError as error:
                failed = [f"{self._mark}: {error.strerror}"]
        return failed


def is_confirmed(folder: Path) -> bool:
    """Whether the server of this folder stored everything before it ended."""
    mark = folder / _MARK
    return mark.is_file() and mark.stat().st_size > 0
