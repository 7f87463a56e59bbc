"""Notices on stderr while a command of the embedded environment runs, as they arrive.

    bulletin = Bulletin(running)
    show = bulletin.along(show)         # around the `show` of `follow`
    bulletin.follow()                   # until Ctrl-C

A mailbox that cannot be read does not end the command: one note has the reason, and nothing more is
asked.
"""

from pipeline.command import note
from pipeline.errors import PipelineError
from pipeline.execution.outcome import Progress
from pipeline.execution.progress import Show
from pipeline.local.notifications.mailbox import Mailbox, opened
from pipeline.local.notifications.notice import Notice
from pipeline.local.started import Started

_WAIT_SECONDS = 2  # of one long poll
_LAST = 5  # notices of earlier commands that `status` shows


class Bulletin:
    """Shows what arrives in a mailbox, and remembers what it has shown."""

    def __init__(self, running: Started, *, brief: bool = False) -> None:
        """Open the mailbox; `brief` is for a command that shows its execution's result itself."""
        self.shown: list[Notice] = []
        self._brief = brief
        self.fails = False
        try:
            self._box: Mailbox = opened(running)
        except PipelineError as error:
            self._give_up(error)

    def show(self, *, ended: str = "", wait_seconds: int = 0) -> None:
        """Show the notices that have arrived, up to that of an execution's end if it is given."""
        if self.fails:
            return
        try:
            found = (
                self._box.until_ended(ended) if ended else self._box.new(wait_seconds=wait_seconds)
            )
        except PipelineError as error:
            self._give_up(error)
            return
        for notice in found:
            note(notice.line if self._brief else notice.lines)
        self.shown += found

    def along(self, show: Show) -> Show:
        """Return `show` extended: what has arrived is shown first."""

        def shown(progress: Progress) -> None:
            self.show()
            show(progress)

        return shown

    def follow(self) -> None:
        """Show what arrives until Ctrl-C, or until the mailbox cannot be read."""
        while not self.fails:
            self.show(wait_seconds=_WAIT_SECONDS)

    def last(self) -> list[Notice]:
        """Return the newest notices, which are then not shown again."""
        if self.fails:
            return []
        try:
            self._box.new()
        except PipelineError as error:
            self._give_up(error)
        return self._box.last(_LAST)

    def _give_up(self, error: PipelineError) -> None:
        self.fails = True
        note(f"notifications are not known: {error}")
