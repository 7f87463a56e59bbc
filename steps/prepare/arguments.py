"""The job's command line (docs/architecture.md, "What each step is told"), checked whole before anything is imported or opened.

    arguments = parse(sys.argv[1:])
    arguments.raw_table.schema_name

Standard library only, so that `--help` and a refusal cost no Spark.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from steps.governance.errors import GovernanceError, UsageError
from steps.governance.names import UcName, checked_alias, execution_id, written_name

ENGINES = ("delta-rs", "unity-connector")
LATEST = -1
UNKNOWN = "unknown"  # for --register-principal where the configuration does not name it

_MAX_SEED = 2**31 - 1
_S3_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9!_.*'()/=-]+")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_APPLICATION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|unknown")

Value = TypeVar("Value")


@dataclass(frozen=True)
class Arguments:
    """Everything Prepare is told. `raw_version` -1 means the latest; `eval_fraction` is a share of the companies.

    Model, alias and register principal are Register's: Prepare only asks whether Register will be refused them.
    """

    execution_arn: str
    raw_table: UcName
    raw_version: int
    curated_table: UcName
    curated_root: str
    manifest_uri: str
    eval_fraction: float
    seed: int
    delta_engine: str
    model_name: UcName
    model_alias: str
    register_principal: str
    databricks_host: str
    databricks_secret_id: str
    region: str

    @property
    def execution_id(self) -> str:
        """The execution's short id: the curated table's partition value."""
        return execution_id(self.execution_arn)


def parse(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: naming every argument that is missing, unknown or out of range, not only the first.
    """
    words = vars(_parser().parse_args(argv))
    faults: list[str] = []

    def checked(flag: str, check: Callable[[str], Value]) -> Value | None:
        text = words[flag.lstrip("-").replace("-", "_")]
        if text is None:
            faults.append(f"{flag} is missing")
            return None
        try:
            return check(text)
        except (GovernanceError, ValueError) as error:
            faults.append(f"{flag}: {_short(error)}, got {text[:100]!r}")
            return None

    values = {
        flag.lstrip("-").replace("-", "_"): checked(flag, check)
        for flag, (check, _) in _FLAGS.items()
    }
    if values["raw_table"] is not None and values["raw_table"] == values["curated_table"]:
        faults.append("--curated-table: another table than --raw-table was expected")
    faults += _rejected_table_faults(values["raw_table"], values["curated_table"])
    if faults:
        raise _usage(faults)
    return Arguments(**values)  # type: ignore[arg-type]  # no fault means that every value is there


def _rejected_table_faults(raw: object, curated: object) -> list[str]:
    """What would be noticed only when the rejected rows are written to `<curated table>_rejected`."""
    if not isinstance(curated, UcName):
        return []
    try:
        rejected = curated.sibling("rejected")
    except GovernanceError:
        return [
            f"--curated-table: a name that is still one with _rejected after it was expected, got {str(curated)!r}"
        ]
    return (
        ["--curated-table: a table whose _rejected table is not --raw-table was expected"]
        if rejected == raw
        else []
    )


def _text(text: str) -> str:
    if not text.strip() or len(text) > 500:
        raise ValueError("1 to 500 characters were expected")
    return text


def _matching(pattern: re.Pattern[str], meaning: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not pattern.fullmatch(text) or "/../" in text or "//" in text.removeprefix("s3://"):
            raise ValueError(f"{meaning} was expected")
        return text.rstrip("/")

    return check


def _whole(low: int, high: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,19}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high} was expected")
        return int(text)

    return check


def _fraction(text: str) -> float:
    if not re.fullmatch(r"0?\.[0-9]+", text) or not 0 < float(text) <= 0.5:
        raise ValueError("a fraction above 0 and at most 0.5 was expected")
    return float(text)


def _engine(text: str) -> str:
    if text not in ENGINES:
        raise ValueError(f"one of {', '.join(ENGINES)} was expected")
    return text


def _arn(text: str) -> str:
    execution_id(text)
    return text


_FLAGS: dict[str, tuple[Callable[[str], object], str]] = {
    "--execution-arn": (_arn, "ARN of the pipeline execution this run belongs to"),
    "--raw-table": (UcName.parse, "catalog.schema.table with the filings"),
    "--raw-version": (
        _whole(LATEST, 2**63 - 1),
        "Delta version to read; -1 reads the latest and records which it was",
    ),
    "--curated-table": (written_name, "catalog.schema.table the examples are appended to"),
    "--curated-root": (
        _matching(_S3_URI, "s3://bucket/prefix"),
        "where a curated table is created the first time",
    ),
    "--manifest-uri": (
        _matching(_S3_URI, "s3://bucket/key"),
        "where the manifest is written, once and last",
    ),
    "--eval-fraction": (_fraction, "share of the companies kept for evaluation"),
    "--seed": (_whole(0, _MAX_SEED), "decides which companies these are"),
    "--delta-engine": (_engine, "who reads and commits Delta: delta-rs or unity-connector"),
    "--model-name": (written_name, "catalog.schema.model that Register will give a version"),
    "--model-alias": (checked_alias, "the alias that Register will set"),
    "--register-principal": (
        _matching(_APPLICATION_ID, "an application id or unknown"),
        "application id of the principal that Register acts as; its rights are asked for first",
    ),
    "--databricks-host": (_text, "workspace, https://…"),
    "--databricks-secret-id": (_text, "Secrets Manager secret of this job's service principal"),
    "--region": (_matching(_REGION, "an AWS region"), "AWS region of the secret and the evidence"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _usage([message])


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m steps.prepare",
        description="Turn 10-K and 10-Q filings into instruction examples, under Unity Catalog's eyes.",
        allow_abbrev=False,
    )
    for flag, (_, meaning) in _FLAGS.items():
        parser.add_argument(flag, help=meaning, metavar=flag.rsplit("-", 1)[-1].upper())
    return parser


def _usage(faults: list[str]) -> UsageError:
    return UsageError(
        "Prepare was not started: its arguments cannot be used",
        expected="the arguments that python -m steps.prepare --help lists",
        got="; ".join(faults),
        do="correct the pipeline's configuration or parameters, then run again",
    )


def _short(error: Exception) -> str:
    """The rule that was broken; the value itself is added by the caller."""
    lines = str(error).splitlines()
    return next(
        (line.split(None, 1)[1] for line in lines if line.strip().startswith("expected")), lines[0]
    )
