"""Fit the weights of the heading model, from public filings with their markup.

    python -m scripts.heading_model read --mirrors DIR --sample ITEMS.jsonl --sections FILE
    python -m scripts.heading_model validate --sections FILE [--locked]
    python -m scripts.heading_model fit --sections FILE [--check]

`read` labels the sections of the mirrors (`sources.py` has their commits) by bold, italic and
underlined type, and adds the sections of the sample that a person read. FILE holds text: keep it
outside the repository. `validate` prints the scores of companies left out, in 5 folds; a quarter
of the companies is not among them, and only `--locked` scores it, with weights fitted on the
others. `fit` writes the weights and the manifest; `--check` compares them with the committed ones.

Exit code: 0 done, 2 a wrong command line, 3 the files differ.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> int:
    """Run one step."""
    given = _parse(arguments)
    from scripts.heading_model.stages import done

    return done(given)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.heading_model", description=str(__doc__).splitlines()[0]
    )
    steps = parser.add_subparsers(dest="step", required=True)
    read = steps.add_parser("read", help="label the sections of public filings")
    read.add_argument("--mirrors", type=Path, required=True, help="folder of git mirrors")
    read.add_argument("--sample", type=Path, required=True, help="EDGAR-CRAWLER's JSON Lines")
    validate = steps.add_parser("validate", help="print the scores of companies left out")
    validate.add_argument("--locked", action="store_true", help="score the locked companies")
    fit = steps.add_parser("fit", help="write the weights and the manifest")
    fit.add_argument("--check", action="store_true", help="compare, write nothing")
    for step in (read, validate, fit):
        step.add_argument("--sections", type=Path, required=True, help="the labelled sections")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
