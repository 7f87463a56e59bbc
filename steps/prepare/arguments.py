"""Prepare's command line (docs/architecture.md lists it).

    arguments = parse(sys.argv[1:])
    arguments.raw_table.schema_name

All arguments are checked before anything is opened. Standard library only, so that `--help` and a
refusal need not wait for Spark.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from steps.governance import argument_types as types
from steps.governance.argument_types import Argument
from steps.governance.errors import NameRefused, UsageError
from steps.governance.names import UcName, execution_id
from steps.governance.openlineage.target import NONE, TARGET, Target
from steps.governance.unity_catalog.budgets import Waits
from steps.prepare import bounds, task_mix
from steps.prepare.bounds import Bounds, Quality, SplitRule
from steps.prepare.task_mix import ONLY_HEADINGS, Mix

ENGINES = ("delta-rs", "unity-connector")
LATEST = -1
NOTHING = "none"  # for --curated-from where the work is done
UNKNOWN = "unknown"  # for --register-principal where the configuration does not name it

_PRINCIPAL = types.matching(
    rf"[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}|{UNKNOWN}",
    f"an application id or {UNKNOWN}",
)


@dataclass(frozen=True)
class Arguments:
    """Prepare's arguments, checked.

    `raw_version` -1 means the latest version. `eval_fraction` is of companies or families.
    `curated_from` is the id of an earlier execution, or `none`.
    Model, alias and register principal are Register's: before it does any work, Prepare checks that
    Register will not be refused them.
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
    openlineage: Target | None = None
    waits: Waits = field(default_factory=Waits)
    scrub: tuple[str, ...] = bounds.KINDS
    quality: Quality = field(default_factory=Quality)
    contract: Bounds = field(default_factory=Bounds)
    sources: tuple[str, ...] = ("*",)
    split: SplitRule = field(default_factory=SplitRule)
    tasks: Mix = ONLY_HEADINGS
    curated_from: str = NOTHING

    @property
    def execution_id(self) -> str:
        """The execution's short id: the curated table's partition value."""
        return execution_id(self.execution_arn)


_ARGUMENTS = {
    "execution_arn": Argument(
        types.EXECUTION_ARN, "ARN of the pipeline execution this run belongs to"
    ),
    "raw_table": Argument(types.TABLE, "catalog.schema.table with the filings"),
    "raw_version": Argument(
        types.whole(LATEST, 2**63 - 1),
        "Delta version to read; -1 reads the latest and records which it was",
    ),
    "curated_table": Argument(
        types.WRITTEN_NAME, "catalog.schema.table the examples are appended to"
    ),
    "curated_from": Argument(
        types.matching(rf"{NOTHING}|[a-z0-9]{{12}}", f"{NOTHING}, or the id of an execution"),
        "the earlier execution whose examples are used again, after they were verified",
        default=NOTHING,
    ),
    "curated_root": Argument(types.S3_URI, "where a curated table is created the first time"),
    "manifest_uri": Argument(types.S3_URI, "where the manifest is written, once and last"),
    "eval_fraction": Argument(
        types.between(r"0?\.[0-9]+", 0.5, "a fraction above 0 and at most 0.5"),
        "share of the companies kept for evaluation",
    ),
    "seed": Argument(types.SEED, "decides which companies these are, and each example's template"),
    "delta_engine": Argument(
        types.one_of(*ENGINES), "who reads and commits Delta: delta-rs or unity-connector"
    ),
    "model_name": Argument(
        types.WRITTEN_NAME, "catalog.schema.model that Register will give a version"
    ),
    "model_alias": Argument(types.ALIAS, "the alias that Register will set"),
    "register_principal": Argument(
        _PRINCIPAL,
        "application id of the principal that Register acts as; its rights are checked first",
    ),
    "databricks_host": Argument(types.HOST, "workspace, https://…"),
    "databricks_secret_id": Argument(
        types.SECRET_ID, "Secrets Manager secret of this job's service principal"
    ),
    "region": Argument(types.REGION, "AWS region of the secret and the evidence"),
    "openlineage": Argument(TARGET, "where run events are sent; none is nowhere", default=NONE),
    "waits": types.WAITS,
    "scrub": Argument(
        bounds.SCRUB,
        "kinds of personal data that placeholders replace",
        default=",".join(bounds.KINDS),
    ),
    "quality": Argument(bounds.QUALITY, "bounds of each example", default=bounds.NONE),
    "contract": Argument(bounds.BOUNDS, "bounds of the whole run", default=bounds.NONE),
    "sources": Argument(bounds.SOURCES, "raw tables that may be read", default="*"),
    "split": Argument(bounds.SPLIT, "what is held out as a whole", default=bounds.BY_COMPANY),
    "tasks": Argument(
        types.ArgumentType(task_mix.parse, task_mix.EXPECTED),
        "what the examples ask for, and the share of the risk factors of each template",
        default=f"{task_mix.HEADING}=1",
    ),
}


def parse(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: naming every argument that is missing or out of range. An unknown argument is
            named alone, since argparse stops there.
    """
    values, faults = types.read(_ARGUMENTS, vars(_parser().parse_args(argv)), shown=types.option)
    raw, curated = values.get("raw_table"), values.get("curated_table")
    if isinstance(curated, UcName):
        faults += _curated_table_faults(raw, curated)
    if faults:
        raise _usage(faults)
    return Arguments(**values)


def _curated_table_faults(raw: UcName | None, curated: UcName) -> list[str]:
    """Faults of the pair of tables, and of `<curated table>_rejected`, where rejected rows go.

    The second kind would otherwise be found only when these rows are written.
    """
    if curated == raw:
        return ["--curated-table: another table than --raw-table was expected"]
    try:
        rejected = curated.sibling("rejected")
    except NameRefused:
        rule = "a name that is still one with _rejected after it"
        return [f"--curated-table: {rule} was expected, got {str(curated)!r}"]
    if rejected == raw:
        return ["--curated-table: a table whose _rejected table is not --raw-table was expected"]
    return []


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _usage([message])


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m steps.prepare",
        description="Turn 10-K and 10-Q filings into instruction examples under Unity Catalog.",
        allow_abbrev=False,
    )
    for name, argument in _ARGUMENTS.items():
        parser.add_argument(
            types.option(name), help=argument.meaning, metavar=name.rsplit("_", 1)[-1].upper()
        )
    return parser


def _usage(faults: list[str]) -> UsageError:
    return UsageError(
        "Prepare was not started: its arguments cannot be used",
        expected="the arguments that python -m steps.prepare --help lists",
        got="; ".join(faults),
        do="correct the pipeline's configuration or parameters, then run again",
    )
