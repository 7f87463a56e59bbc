"""Write the weights as Prepare reads them, and the manifest of what they were fitted on.

    files = made(sections, stored)      # -> the bytes of both files, equal for equal input

The weights name the digest of the manifest, and the manifest has each filing's repository, commit,
path and digest, its company, how many headings its section has, and the digest of the labels. It
has no text.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.heading_model.corpus import Section
from scripts.heading_model.fitting import Stored
from steps.prepare.text.heading_model import WEIGHTS

MANIFEST = Path(__file__).with_name("training_set.json")
_VERSION = 3
_TREES = ("doubtful", "second_sentence")


@dataclass(frozen=True)
class Files:
    """The content of the two files."""

    weights: bytes
    manifest: bytes

    def write(self) -> None:
        """Put both files where this repository has them."""
        WEIGHTS.write_bytes(self.weights)
        MANIFEST.write_bytes(self.manifest)

    def differences(self) -> list[str]:
        """Return the names of the repository's files that are not these bytes."""
        both = ((WEIGHTS, self.weights), (MANIFEST, self.manifest))
        return [path.name for path, content in both if path.read_bytes() != content]


def made(sections: Sequence[Section], stored: Stored) -> Files:
    """Return both files for these sections and the model that was fitted on them."""
    entries = ",\n".join(json.dumps(_entry(one)) for one in sections)
    manifest = f'{{"sections": [\n{entries}\n]}}\n'.encode()
    head = {"version": _VERSION, "training_set": hashlib.sha256(manifest).hexdigest()}
    both = ",\n".join(_text(one) for one in stored["passes"])
    grown = ",\n".join(f'"{name}":{_grown(stored[name])}' for name in _TREES)
    opening = json.dumps(head, separators=(",", ":"))[:-1]
    return Files(f'{opening},"passes":[\n{both}\n],\n{grown}}}\n'.encode(), manifest)


def _entry(section: Section) -> Mapping[str, object]:
    labels = json.dumps([asdict(one) for one in section.lines])
    named = asdict(section)
    del named["lines"]
    return named | {
        "headings": sum(bool(one.heading) for one in section.lines),
        "labels_sha256": hashlib.sha256(labels.encode()).hexdigest(),
    }


def _text(stored: Stored) -> str:
    """Return one pass as JSON with a line for each term."""
    parts = []
    for group in ("terms", "words"):
        rows = ",\n".join(
            f"{json.dumps(name)}:{json.dumps(entries, separators=(',', ':'))}"
            for name, entries in stored[group].items()
        )
        parts.append(f'"{group}":{{\n{rows}\n}}')
    return f'{{"bias":{json.dumps(stored["bias"])},\n' + ",\n".join(parts) + "}"


def _grown(stored: Stored) -> str:
    """Return trees as JSON with a line for each."""
    rows = ",\n".join(json.dumps(tree, separators=(",", ":")) for tree in stored["trees"])
    return f'{{"bias":{stored["bias"]},"trees":[\n{rows}\n]}}'
