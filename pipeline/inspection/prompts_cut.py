"""How many training prompts a SequenceLength cuts, and the length that would fit them all.

    found = prompts_cut.of(documents, length=512, ran=256)
    found.warning       # "413 of 611 training prompts (68 %) are cut at …", or "" where few are

Train's report has the lengths before any cut, so the share of another length is known too. Where
the report was not read, Train's manifest has the number that was cut at its own length.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.configuration.config import Config
from pipeline.errors import Refused
from pipeline.execution.outcome import Outcome
from pipeline.inspection import documents
from pipeline.inspection.documents import Documents

MOST_SHARE = 0.2  # of the prompts; above it the model seldom sees the end of what it is asked
# A larger archive takes seconds to read for one sentence; then the manifest has to do
MOST_ARCHIVE_BYTES = 64 * 2**20
_LENGTHS = (256, 512, 1024, 2048, 4096, 8192)  # the parameter's choices


@dataclass(frozen=True)
class Cut:
    """Prompts that are cut at a length, of how many, and the least length that cuts none or 0."""

    length: int
    prompts: int
    examples: int
    fits: int

    @property
    def share(self) -> float:
        """The share of the prompts that are cut."""
        return self.prompts / self.examples if self.examples else 0.0

    @property
    def warning(self) -> str:
        """One sentence where more than a fifth is cut; empty where not."""
        if self.share <= MOST_SHARE:
            return ""
        text = (
            f"{self.prompts:,} of {self.examples:,} training prompts ({self.share:.0%}) are cut at "
            f"SequenceLength={self.length}"
        )
        return f"{text}; SequenceLength={self.fits} fits all" if self.fits else text


def of(found: Documents, *, length: int, ran: int) -> Cut | None:
    """Return what `length` cuts of the examples of an execution that ran with the length `ran`;
    None where it is not known."""
    lengths = (found.report or {}).get("lengths", {}).get("train", {})
    if histogram := lengths.get("histogram_before_cut"):
        longer = sum(count for name, count in histogram.items() if _edge(name) > length)
        longest = int(lengths.get("longest_before_cut", 0))
        fits = next((each for each in _LENGTHS if each >= longest), 0)
        return Cut(length, int(longer), int(sum(histogram.values())), fits)
    data = (found.trained or {}).get("data", {})
    affected = data.get("affected")
    if affected is None or ran != length:
        return None
    cut = affected.get("train", {}).get("prompt_cut", 0)
    return Cut(length, cut, data.get("examples_train", 0), 0)


def warning(config: Config, s3: Callable[[], Any], ended: Outcome) -> str:
    """Return the warning of an execution that has ended; empty where few prompts are cut.

    The execution does not depend on it, so what cannot be read is named and is not a fault of it.
    """
    length = ended.sequence_length
    if not length or not any(step.archive for step in ended.steps):
        return ""
    try:
        found = documents.read(config, s3(), ended, most_archive_bytes=MOST_ARCHIVE_BYTES)
    except Refused as error:
        return f"whether prompts are cut is not known: {str(error).splitlines()[0]}"
    cut = of(found, length=length, ran=length)
    return cut.warning if cut else ""


def _edge(name: str) -> float:
    """Return the upper edge of a class of the histogram, such as `<= 512` or `longer`."""
    return float(name.removeprefix("<= ")) if name.startswith("<= ") else float("inf")
