"""Write the SBOM of an image, a CycloneDX document of the Python packages that its lock installs.

    python -m scripts.sbom train --base python@sha256:… --commit 0123… --date 2026-11-30T00:00:00Z

It prints the document's sha256, which `scripts/images` gives the image as a label: so the image's
digest, which every record has, covers it. The same lock, base and commit give the same bytes. What
apt and the base image install is not listed. docs/decisions/069-before-the-first-job.md has why.
"""

import argparse
import hashlib
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.markers import default_environment
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = REPOSITORY / "build" / "sbom"
STEPS = ("prepare", "train", "register", "evidence")
# What the images are: the lock is for them, this script may run elsewhere.
_IN_THE_IMAGE = {
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "os_name": "posix",
    "python_version": "3.11",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}
_PIN = re.compile(
    r"^(?P<pin>[A-Za-z0-9][^\\\n]*==[^\\\n]*?)(?: \\)?\n(?P<rest>(?:    .*\n)*)", re.M
)
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
_TORCH = re.compile(r"^ARG TORCH=(\S+)$", re.MULTILINE)


def main() -> int:
    """Write one document and print its sha256."""
    given = _parser().parse_args()
    text = document(given.image, base=given.base, commit=given.commit, date=given.date)
    given.folder.mkdir(parents=True, exist_ok=True)
    (given.folder / f"{given.image}.cdx.json").write_text(text, encoding="utf-8")
    print(hashlib.sha256(text.encode()).hexdigest())
    return 0


def document(image: str, *, base: str, commit: str, date: datetime) -> str:
    """Return the CycloneDX 1.6 document of an image, as JSON."""
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    made = _bom(image, base=base, commit=commit, date=date)
    written = make_outputter(made, OutputFormat.JSON, SchemaVersion.V1_6)
    return written.output_as_string(indent=2) + "\n"


def packages(image: str) -> Iterator[tuple[Requirement, list[str]]]:
    """Yield each package that the image's lock installs, with the hashes of files that fit it.

    Train's lock leaves torch to the Dockerfile, which has no hash of it.
    """
    folder = REPOSITORY / "containers" / image
    environment = {key: str(value) for key, value in default_environment().items()} | _IN_THE_IMAGE
    for found in _PIN.finditer((folder / "requirements.txt").read_text(encoding="utf-8")):
        pinned = Requirement(found["pin"])
        if pinned.marker is None or pinned.marker.evaluate(environment):
            yield pinned, _HASH.findall(found["rest"])
    if torch := _TORCH.search((folder / "Dockerfile").read_text(encoding="utf-8")):
        yield Requirement(torch[1]), []


def _bom(image: str, *, base: str, commit: str, date: datetime) -> "Bom":
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType

    lock = (REPOSITORY / "containers" / image / "requirements.txt").read_bytes()
    stated = {
        "git_commit": commit,
        "lock_sha256": hashlib.sha256(lock).hexdigest(),
        "not listed": "what apt and the base image install",
    }
    root = Component(
        name=f"governed-finetune/{image}",
        version=commit,
        type=ComponentType.CONTAINER,
        bom_ref=image,
        properties=[Property(name=name, value=value) for name, value in stated.items()],
    )
    name, _, digest = base.partition("@")
    below = Component(name=name, version=digest, type=ComponentType.CONTAINER, bom_ref="base-image")
    parts = [_component(pinned, hashes) for pinned, hashes in packages(image)]
    identity = "\n".join([image, base, commit, stated["lock_sha256"], date.isoformat()])
    made = Bom(
        components=[below, *parts],
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, identity),
        metadata=BomMetaData(component=root, timestamp=date),
    )
    made.register_dependency(root, [below, *parts])
    return made


def _component(pinned: Requirement, hashes: list[str]) -> "Component":
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import LicenseExpression
    from packageurl import PackageURL

    (version,) = (one.version for one in pinned.specifier)
    known = _licence(pinned.name, version)
    purl = PackageURL("pypi", name=pinned.name, version=version)
    return Component(
        name=pinned.name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=[LicenseExpression(known)] if known else [],
        # one of these files is installed: pip checks, and the lock has those of every platform
        properties=[Property(name="lock hash", value=one) for one in hashes],
    )


def _licence(name: str, version: str) -> str | None:
    """Return the SPDX expression that this version states, if it is installed here."""
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if found["Version"] != version or "License-Expression" not in found:
        return None
    return found["License-Expression"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.sbom", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("image", choices=STEPS)
    parser.add_argument("--base", required=True, metavar="NAME@sha256:…", help="its base image")
    parser.add_argument("--commit", required=True, metavar="HEX", help="of the code in it")
    parser.add_argument(
        "--date", required=True, type=datetime.fromisoformat, help="of the commit: the document's"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="default build/sbom")
    return parser


if __name__ == "__main__":
    sys.exit(main())
