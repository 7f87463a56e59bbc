"""The three stages of the command: read the sections, validate by them, fit the weights."""

import argparse
import hashlib
from collections.abc import Sequence

from scripts.heading_model import corpus, experiment, fitting, weights_file
from scripts.heading_model.measured import table

_DIFFERS = 3


def done(given: argparse.Namespace) -> int:
    """Do one stage and return the exit code."""
    if given.step == "read":
        found = [*corpus.of_mirrors(given.mirrors), *corpus.of_sample(given.sample)]
        corpus.write(given.sections, found)
        print(f"{len(found)} sections of {len({one.company for one in found})} companies")
        return 0
    sections = corpus.read(given.sections)
    if given.step == "validate":
        print("\n".join(_validated(sections, locked=given.locked)))
        return 0
    return _fit(sections, check=given.check)


def _validated(sections: Sequence[corpus.Section], *, locked: bool) -> list[str]:
    if locked:
        results = experiment.locked(sections)
    else:
        results = experiment.left_out([one for one in sections if not one.locked])
    lines = []
    for style, scored in results.items():
        found = table(scored, companies=style == "own") if scored else []
        lines += [f"set as: {style}", *found]
    return lines


def _fit(sections: Sequence[corpus.Section], *, check: bool) -> int:
    stored = fitting.fitted(experiment.training_frame(sections))
    files = weights_file.made(sections, stored)
    if check:
        different = files.differences()
        print(f"differs: {', '.join(different)}" if different else "the files are the same")
        return _DIFFERS if different else 0
    files.write()
    print(f"heading_model.WEIGHTS_SHA256 = {hashlib.sha256(files.weights).hexdigest()}")
    return 0
