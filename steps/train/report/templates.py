"""The Jinja2 environment of the report page and the model card.

    text = environment().get_template("report.html.jinja").render(found=found)

Autoescape is on: every value is HTML-escaped where it is printed, so text from the model or from
the data stays text. A template that names a missing value raises `jinja2.UndefinedError`.
"""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

# HTML allows none of these characters, not even as references: C0 and C1 controls except tab,
# newline and carriage return, lone surrogates, and two noncharacters
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


def environment() -> Environment:
    """Return an environment that loads the templates of this folder."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_without_controls,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _without_controls(value: object) -> object:
    """Replace the characters that HTML forbids with U+FFFD; leave finished markup as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _CONTROLS.sub("\ufffd", value)
    return value
