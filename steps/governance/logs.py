"""One line format for every step, as text or as JSON lines on stderr.

    logs.configure("train", job="pipelines-…-Train-…")    # as $GOVERNED_FINETUNE_LOGGING sets it
    logs.set_execution("4x7k2m9p1q0z")          # of every later line of this process
    with logs.message():                        # in the worker: of the lines of one message
        logs.set_execution("4x7k2m9p1q0z")

The variable is `<format>:<level>`, for example `json:DEBUG`; conf's section `logging` sets it. The
level is that of the steps' own lines. Libraries stay at INFO, and at WARNING where they log
requests with secrets. docs/architecture.md, "Log lines", has the format.
"""

import contextvars
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType

from steps.governance.errors import UsageError

VARIABLE = "GOVERNED_FINETUNE_LOGGING"
TEXT, JSON = "text", "json"
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_DEFAULT = "text:INFO"
_OURS = "steps"
# databricks-sdk logs OAuth secrets and vended keys in clear at DEBUG; botocore and urllib3 log
# headers and bodies.
_LOUD = ("databricks.sdk", "botocore", "boto3", "urllib3", "requests", "httpx", "azure")
# Libraries that write lines in a format of theirs.
_WITH_HANDLERS = ("transformers", "torch")

# The execution of one message. A thread does not inherit it (`thread`).
_of_message: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar(
    "execution", default=None
)


@dataclass
class _Place:
    """Where the lines of this process come from."""

    step: str = ""
    job: str = ""
    execution: str = ""
    format: str = TEXT


_place = _Place()


class Lines(logging.Formatter):
    """Formats a record as one line: an event of several lines is one JSON object too."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, in this process's format."""
        fields = _fields(record)
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if _place.format == JSON:
            more = {"alert": getattr(record, "alert", ""), "exception": trace}
            return json.dumps(fields | {name: text for name, text in more.items() if text})
        *where, name, text = (value or "-" for value in fields.values())
        return f"{' '.join(where)} {name}: {text}" + (f"\n{trace}" if trace else "")


def configure(step: str, *, job: str = "") -> None:
    """Log this step's events to stderr, as $GOVERNED_FINETUNE_LOGGING sets format and level.

    Raises:
        UsageError: the variable has another value. The default format and level are in use then.
    """
    global _place
    _place = _Place(step=step, job=job)
    _listen(logging.INFO)
    word = os.environ.get(VARIABLE) or _DEFAULT
    chosen, _, level = word.partition(":")
    if chosen not in (TEXT, JSON) or level not in _LEVELS:
        raise UsageError(
            f"{VARIABLE} cannot be used",
            expected=f"text or json, a colon and one of {', '.join(_LEVELS)}",
            got=repr(word[:100]),
            do="correct the section logging of the configuration",
        )
    _place.format = chosen
    _listen(logging.getLevelNamesMapping()[level])


def worker_name() -> str:
    """Return what distinguishes this worker from others: its Lambda log stream, or host and pid."""
    stream = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
    return stream or f"{socket.gethostname()}-{os.getpid()}"


def set_execution(name: str) -> None:
    """Name the execution in every later line: of this message, or else of this process."""
    message = _of_message.get()
    if message is None:
        _place.execution = name
    else:
        message[:] = [name]


@contextmanager
def message() -> Iterator[None]:
    """A block whose lines are about one message; its execution is not known at first."""
    token = _of_message.set([])
    try:
        yield
    finally:
        _of_message.reset(token)


def thread(run: Callable[[], None], *, name: str) -> threading.Thread:
    """Return a daemon thread whose lines have the execution of the message that is handled."""
    return threading.Thread(
        target=contextvars.copy_context().run, args=(run,), name=name, daemon=True
    )


def line(logger: str, text: str) -> str:
    """Return one line at INFO, for a caller that writes it in any case (`metric_lines`)."""
    return Lines().format(logging.LogRecord(logger, logging.INFO, "", 0, text, None, None))


def hold_back_secrets() -> None:
    """Keep libraries that log requests and responses at WARNING or above, below any root level."""
    for name in _LOUD:
        loud = logging.getLogger(name)
        loud.setLevel(max(loud.level, logging.WARNING))


def adopt_libraries() -> None:
    """Replace the handlers of imported libraries by this format."""
    for name in _WITH_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _fields(record: logging.LogRecord) -> dict[str, str]:
    message = _of_message.get()
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return {
        "time": at.replace("+00:00", "Z"),
        "level": record.levelname,
        "step": _place.step,
        "execution": _place.execution if message is None else "".join(message),
        "job": _place.job,
        "logger": record.name,
        "message": record.getMessage(),
    }


def _listen(level: int) -> None:
    """One handler on stderr. DEBUG is for our own lines: those of libraries may have secrets."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    handler.addFilter(_is_shown)
    logging.basicConfig(level=max(level, logging.INFO), handlers=[handler], force=True)
    logging.getLogger(_OURS).setLevel(level)
    logging.captureWarnings(True)
    for name in _LOUD:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    os.environ["MLFLOW_CONFIGURE_LOGGING"] = "false"  # else mlflow adds a handler of its format
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _unforeseen
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _unforeseen_in_thread


def _is_shown(record: logging.LogRecord) -> bool:
    """Whether a record is shown; a library that sets its own level shows no DEBUG either."""
    if record.name.partition(".")[0] == _OURS:
        return True
    loud = any(record.name == name or record.name.startswith(f"{name}.") for name in _LOUD)
    return record.levelno >= (logging.WARNING if loud else logging.INFO)


def _unforeseen(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger(_OURS).critical("not foreseen", exc_info=(kind, error, trace))


def _unforeseen_in_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None:
        _unforeseen(found.exc_type, found.exc_value, found.exc_traceback)
