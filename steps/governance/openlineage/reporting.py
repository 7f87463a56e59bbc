"""Report one step's run live: START, and COMPLETE, FAIL or ABORT at its end.

    with Reporting(target, region).run(step, Content(inputs=[…])) as run:
        …
        run.content = Content(inputs=[…], outputs=[…])    # what is known at the end

An error is reported by its class. Its text stays in the log.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from steps.governance.openlineage.events import Content, Kind, Step, event
from steps.governance.openlineage.sending import send
from steps.governance.openlineage.target import Target


@dataclass
class Run:
    """A run that is being reported. `content` is what its last event will contain."""

    step: Step
    content: Content


@dataclass(frozen=True)
class Reporting:
    """Where events go. Without a target, nothing is sent."""

    target: Target | None
    region: str
    stops: tuple[type[Exception], ...] = ()  # exceptions that mean a stop and not a failure

    @contextmanager
    def run(self, step: Step, content: Content) -> Iterator[Run]:
        """Report the run of the block. Its exceptions pass unchanged."""
        run = Run(step, content)
        self._send(run, "START")
        try:
            yield run
        except self.stops:
            self._send(run, "ABORT")
            raise
        except Exception as error:
            run.content = replace(run.content, error=type(error).__name__)
            self._send(run, "FAIL")
            raise
        except BaseException:  # a signal
            self._send(run, "ABORT")
            raise
        self._send(run, "COMPLETE")

    def _send(self, run: Run, kind: Kind) -> None:
        if self.target is None:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        send(self.target, event(run.step, kind, now, run.content), region=self.region)
