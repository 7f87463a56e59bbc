"""Write a page where a person asked for it."""

from pathlib import Path

from steps.governance.errors import UsageError


def write(path: Path, text: str) -> None:
    """Write the page.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"the page cannot be written to {path}", got=str(error.strerror), do="name another file"
        ) from None
