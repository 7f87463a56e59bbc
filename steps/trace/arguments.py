"""The arguments of trace: the evidence, one question, and the form of the answer.

    arguments = parse(["--evidence-uri", "s3://…/executions", "--filing", "0000320193-24-000123"])
    arguments.kind, arguments.text      # ("filing", "0000320193-24-000123")

One error names all faults.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steps.governance import argument_types as types
from steps.governance.argument_types import Argument
from steps.governance.errors import UsageError

FORMATS = (
    "slsa",
    "openlineage",
    "cyclonedx",
    "cyclonedx-1.6",
    "croissant",
    "training-summary",
)
_NAME = r"[A-Za-z0-9_]{1,255}(?:\.[A-Za-z0-9_]{1,255}){2}"
_SETTINGS = {
    "evidence_uri": Argument(
        types.matching(r"s3://[^/\s]+/executions/?|(?!s3:).+", "s3://<bucket>/executions"),
        "the executions in the evidence bucket, or a folder that holds a copy of the bucket",
    ),
    "region": Argument(types.REGION, "the region of bucket and secret", default="us-east-1"),
}
_REGISTRY = {
    "databricks_host": Argument(types.HOST, "the workspace, for the aliases of now"),
    "databricks_secret_id": Argument(types.SECRET_ID, "the secret of a principal that reads it"),
}
_PACKAGES = {
    "model_package_group": Argument(types.PACKAGE_GROUP, "whose packages repeat the versions")
}
_QUESTIONS = {
    "model": Argument(
        types.matching(_NAME + r"@[A-Za-z0-9_]{1,64}", "NAME@VERSION or NAME@ALIAS"),
        "a model version, by number or alias: catalog.schema.name@3 or …@champion",
    ),
    "execution": Argument(
        types.matching(r"[^\s]{1,400}", "an execution's id or ARN"), "an execution, by id or ARN"
    ),
    "table": Argument(types.matching(_NAME, "catalog.schema.name"), "a raw or curated table"),
    "filing": Argument(
        types.matching(r"[^\x00-\x1f\x7f]{1,400}", "a filing's id"),
        "a filing: <cik>/<accession number>, or the accession number alone",
    ),
    "principal": Argument(
        types.matching(r"[^\x00-\x1f\x7f]{1,2048}", "a principal's id"),
        "an application id, a role or session, a Studio profile, an approver or a group",
    ),
}
_VERSION = Argument(types.whole(0, 2**53 - 1), "one Delta version of --table")


@dataclass(frozen=True)
class Arguments:
    """The arguments of trace, checked. `kind` is the question's option without its dashes."""

    evidence_uri: str
    region: str
    databricks_host: str | None
    databricks_secret_id: str | None
    index: Path
    rebuild: bool
    offline: bool
    kind: str
    text: str
    version: int | None
    json: bool
    drawing: bool
    html: Path | None
    format: str | None
    signed: bool
    model_package_group: str | None = None


def parse(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: every missing, unknown or malformed argument, in one message.
    """
    given, rest = _parser().parse_known_args(list(argv))
    words = vars(given)
    values, faults = types.read(_SETTINGS, words, shown=types.option)
    chosen = [name for name in _QUESTIONS if words[name] is not None]
    wanted = {name: _QUESTIONS[name] for name in chosen}
    wanted |= {
        name: kind for name, kind in {**_REGISTRY, **_PACKAGES}.items() if words[name] is not None
    }
    wanted |= {"version": _VERSION} if words["version"] is not None else {}
    read, more = types.read(wanted, words, shown=types.option)
    faults += [*more, *_conflicts(words, chosen), *(f"{word[:60]}: unknown" for word in rest)]
    if faults:
        raise UsageError(
            "trace was not started", got="; ".join(faults), do="correct the arguments named above"
        )
    return Arguments(
        **values,
        databricks_host=read.get("databricks_host"),
        databricks_secret_id=read.get("databricks_secret_id"),
        index=given.index or default_index(),
        rebuild=given.rebuild,
        offline=given.offline,
        kind=chosen[0],
        text=read[chosen[0]],
        version=read.get("version"),
        json=given.json,
        drawing=given.drawing,
        html=given.html,
        format=given.format,
        signed=given.signed,
        model_package_group=read.get("model_package_group"),
    )


def default_index() -> Path:
    """Return the folder of indexes in the user's cache (XDG base directory specification)."""
    cache = os.environ.get("XDG_CACHE_HOME") or ""
    root = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    return root / "governed-finetune" / "trace"


def _conflicts(words: dict[str, object], chosen: list[str]) -> list[str]:
    options = ", ".join(map(types.option, _QUESTIONS))
    faults = [] if len(chosen) == 1 else [f"one of {options} was expected, got {len(chosen)}"]
    if words["version"] is not None and words["table"] is None:
        faults.append("--version: it belongs to --table")
    if words["rebuild"] and words["offline"]:
        faults.append("--rebuild: it reads the evidence, and --offline does not")
    forms = [name for name in ("json", "html", "format") if words[name]]
    if len(forms) > 1:
        faults.append("one of --json, --html, --format was expected, got several")
    if words["format"] and words["model"] is None and words["execution"] is None:
        faults.append("--format: it is of one record; give --model or --execution")
    if words["format"] not in (None, *FORMATS):
        faults.append(f"--format: one of {', '.join(FORMATS)} was expected")
    if words["format"] and words["offline"]:
        faults.append("--format: it reads the record, and --offline does not")
    if words["signed"] and words["format"] != "slsa":
        faults.append("--signed: it belongs to --format slsa")
    if words["drawing"] and not words["json"]:
        faults.append("--drawing: it belongs to --json")
    pair = [name for name in _REGISTRY if words[name] is not None]
    if len(pair) == 1:
        faults.append("--databricks-host and --databricks-secret-id go together")
    return faults


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steps.trace",
        description="Answers who and what made a model, and where a table's or a filing's data "
        "went, from the stored evidence.",
        epilog="exit codes: 0 done · 1 refused, failed, or evidence that could not be read · "
        "2 bad usage, or an object that the evidence does not have",
        allow_abbrev=False,
    )
    for name, argument in (
        _SETTINGS | _REGISTRY | _PACKAGES | _QUESTIONS | {"version": _VERSION}
    ).items():
        default = f" (default {argument.default})" if argument.default else ""
        text = f"{argument.meaning}{default}"
        parser.add_argument(types.option(name), metavar=name.split("_")[-1].upper(), help=text)
    parser.add_argument("--index", type=Path, metavar="DIR", help="default: in the user's cache")
    parser.add_argument("--rebuild", action="store_true", help="read all evidence again")
    parser.add_argument(
        "--offline", action="store_true", help="answer from the index alone; no network call"
    )
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.add_argument("--drawing", action="store_true", help="with --json: the graph as SVG too")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page")
    parser.add_argument("--format", metavar="NAME", help=f"print: {', '.join(FORMATS)}")
    parser.add_argument(
        "--signed", action="store_true", help="with --format slsa: the stored envelope"
    )
    return parser
