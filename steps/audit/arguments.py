"""The settings of an audit: what is audited, and the two public keys that are trusted.

    parse(["--evidence-uri", "s3://…/executions", …, "--model", "edgar.models.analyst@3"])

Standard library only: a refusal must not wait for a heavier import. One error names all faults.
A report that has no folder is one, since a deep audit may take hours before it is written.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steps.governance import argument_types as types
from steps.governance.argument_types import Argument, ArgumentType
from steps.governance.errors import UsageError
from steps.governance.names import UcName, checked_alias


@dataclass(frozen=True)
class Target:
    """The model version to audit: its number, or an alias."""

    model: str
    version: int | None = None
    alias: str | None = None


@dataclass(frozen=True)
class Arguments:
    """The settings of an audit, checked. `target` None means every record."""

    evidence_uri: str
    signing_public_key: str
    approval_public_key: str
    pipeline_name: str
    model_name: str
    databricks_host: str
    databricks_secret_id: str
    region: str
    retention_days: int
    object_lock_days: int
    model_package_group: str | None = None  # of SageMaker's own registry
    target: Target | None = None
    deep: bool = False
    json: bool = False
    quiet: bool = False
    report: Path | None = None


def _target(text: str) -> Target:
    name, separator, which = text.partition("@")
    UcName.parse(name)
    if not separator:
        raise ValueError("no version")
    if which.isascii() and which.isdigit() and which[0] != "0" and len(which) < 18:
        return Target(name, version=int(which))
    return Target(name, alias=checked_alias(which))


_ARGUMENTS = {
    "evidence_uri": Argument(types.S3_URI, "the folder of all executions in the evidence bucket"),
    "signing_public_key": Argument(types.PUBLIC_KEY, "who signs records and registrations"),
    "approval_public_key": Argument(types.PUBLIC_KEY, "who signs approvals"),
    "pipeline_name": Argument(
        types.PIPELINE_NAME,
        "the one pipeline whose executions make models",
    ),
    "model_name": Argument(types.TABLE, "the registered model"),
    "databricks_host": Argument(types.HOST, "the workspace"),
    "databricks_secret_id": Argument(types.SECRET_ID, "the secret of the auditor's principal"),
    "region": Argument(types.REGION, "the region of the buckets and the jobs"),
    "retention_days": Argument(
        types.whole(1, 36500), "days that the files of a raw table's version are kept"
    ),
    "object_lock_days": Argument(
        types.whole(1, 36500), "days that the evidence bucket locks each object"
    ),
}
_PACKAGES = {
    "model_package_group": Argument(types.PACKAGE_GROUP, "whose packages repeat the evidence")
}
_TARGET = Argument(ArgumentType(_target, "NAME@VERSION or NAME@ALIAS"), "one model version")


def parse(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: every missing, unknown or malformed argument, in one message.
    """
    given, unknown = _parser().parse_known_args(list(argv))
    values, faults = types.read(_ARGUMENTS, vars(given), shown=types.option)
    target = None
    if given.model is not None:
        found, more = types.read({"model": _TARGET}, {"model": given.model}, shown=types.option)
        target, faults = found.get("model"), faults + more
        if given.all:
            faults.append("--all: not with --model")
    if given.model_package_group is not None:
        found, more = types.read(_PACKAGES, vars(given), shown=types.option)
        values, faults = values | found, faults + more
    if given.quick and given.deep:
        faults.append("--quick: not with --deep")
    report = Path(given.report) if given.report else None
    if report and (report.is_dir() or not report.parent.is_dir()):
        faults.append(f"--report: a file in a folder that exists was expected, got '{report}'")
    faults += [f"{argument[:60]}: unknown" for argument in unknown]
    if faults:
        raise UsageError(
            "the audit was not started",
            got="; ".join(faults),
            do="correct the arguments named above",
        )
    values["model_name"] = str(values["model_name"])
    return Arguments(
        **values,
        target=target,
        deep=given.deep,
        json=given.json,
        quiet=given.quiet,
        report=report,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steps.audit",
        description="Recomputes what the evidence claims from the stored objects and the services.",
        epilog="exit codes: 0 clean · 1 mismatch · 2 could not check, or bad usage · 3 gone by "
        "declared retention",
        allow_abbrev=False,
    )
    types.add_options(parser, _ARGUMENTS)
    types.add_options(parser, _PACKAGES)
    parser.add_argument("--model", metavar="NAME@VERSION|ALIAS", help="audit one model version")
    parser.add_argument("--all", action="store_true", help="audit every record (the default)")
    parser.add_argument("--quick", action="store_true", help="leave out whole files (the default)")
    parser.add_argument("--deep", action="store_true", help="read every file again")
    parser.add_argument("--json", action="store_true", help="print the lines as one JSON document")
    parser.add_argument("--quiet", action="store_true", help="results and errors only, no progress")
    parser.add_argument("--report", metavar="FILE.html", help="also write one HTML page")
    return parser
