"""The settings of an approval: what is decided, the evidence, the keys and the approvers' group.

    parse(["--model", "edgar.models.analyst@3", "--alias", "champion", "--reason", "…", …])

Standard library only: a refusal must not wait for a heavier import. One error names all faults.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from steps.governance import argument_types as types
from steps.governance.argument_types import Argument, ArgumentType
from steps.governance.errors import UsageError
from steps.governance.names import UcName, checked_alias

_LONGEST_REASON = 1000  # characters, as in `steps.governance.documents.approval`


@dataclass(frozen=True)
class Arguments:
    """The settings, checked. `revoke` takes an approval back.

    `run_aliases` are those that an execution may set (`limits.aliases` of the configuration): the
    next run would move such an alias away from what was approved, so only a revocation has one.
    """

    model: tuple[UcName, int]
    alias: str
    reason: str
    evidence_uri: str
    signing_public_key: str
    approval_key_arn: str
    approval_public_key: str
    approvers_group: str
    approval_tag: str
    run_aliases: tuple[str, ...]
    databricks_host: str
    databricks_secret_id: str
    region: str
    revoke: bool = False
    json: bool = False
    # a group of SageMaker's own registry, and the image that serves its packages; None: none
    model_package_group: str | None = None
    serving_image: str | None = None

    @property
    def bucket_uri(self) -> str:
        """The evidence bucket: `s3://<bucket>`."""
        return self.evidence_uri.rpartition("/")[0]


def _model(text: str) -> tuple[UcName, int]:
    name, _, number = text.partition("@")
    if not (number.isascii() and number.isdigit() and number[0] != "0" and len(number) < 18):
        raise ValueError("no version")
    return UcName.parse(name), int(number)


def _reason(text: str) -> str:
    if not text.strip() or len(text) > _LONGEST_REASON or not text.isprintable():
        raise ValueError("no reason")
    return text.strip()


_ARGUMENTS = {
    "model": Argument(ArgumentType(_model, "NAME@VERSION, such as a.b.c@3"), "the model version"),
    "alias": Argument(
        ArgumentType(checked_alias, "an alias such as champion"), "the alias that it gets"
    ),
    "reason": Argument(
        ArgumentType(_reason, f"one line of at most {_LONGEST_REASON} characters"),
        "why; it is signed and kept",
    ),
    "evidence_uri": Argument(types.S3_URI, "the folder of all executions in the evidence bucket"),
    "signing_public_key": Argument(types.PUBLIC_KEY, "who signs records"),
    "approval_key_arn": Argument(
        types.KMS_KEY,
        "the key that signs approvals",
    ),
    "approval_public_key": Argument(types.PUBLIC_KEY, "the public key of the same key, as pinned"),
    "approvers_group": Argument(
        types.matching(r"[A-Za-z0-9][A-Za-z0-9 _.@-]{0,254}", "a group of the workspace"),
        "only its members approve",
    ),
    "approval_tag": Argument(
        types.matching(r"[A-Za-z0-9_-]{1,127}", "the name of a tag"),
        "the version's tag that a deployment job waits for",
    ),
    "run_aliases": Argument(types.ALIASES, "the aliases that a run may set; none is approved"),
    "databricks_host": Argument(types.HOST, "the workspace"),
    "databricks_secret_id": Argument(types.SECRET_ID, "the secret of the approver's principal"),
    "region": Argument(types.REGION, "the region of the evidence bucket and the key"),
}

_PACKAGES = {  # both or neither
    "model_package_group": Argument(types.PACKAGE_GROUP, "what is approved gets a package there"),
    "serving_image": Argument(
        types.matching(r"\S{1,255}", "an image"), "the image by digest that serves the package"
    ),
}


def parse(argv: Sequence[str]) -> Arguments:
    """Read the command line.

    Raises:
        UsageError: every missing, unknown or malformed argument, in one message.
    """
    given, unknown = _parser().parse_known_args(list(argv))
    values, faults = types.read(_ARGUMENTS, vars(given), shown=types.option)
    if any(getattr(given, name) is not None for name in _PACKAGES):
        packages, more = types.read(_PACKAGES, vars(given), shown=types.option)
        values, faults = values | packages, faults + more
    faults += [f"{argument[:60]}: unknown" for argument in unknown]
    if not given.revoke and values.get("alias") in values.get("run_aliases", ()):
        faults.append(
            f"--alias: an alias that no run may set was expected, got {values['alias']!r}, "
            "which the next run may move (limits.aliases of the configuration)"
        )
    if faults:
        raise UsageError(
            "nothing was approved or revoked",
            got="; ".join(faults),
            do="correct the arguments named above",
        )
    return Arguments(**values, revoke=given.revoke, json=given.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m steps.approve",
        description="Approves that an alias points to a model version, or revokes that.",
        epilog="exit codes: 0 done · 1 refused or failed · 2 bad usage",
        allow_abbrev=False,
    )
    types.add_options(parser, _ARGUMENTS)
    types.add_options(parser, _PACKAGES)
    parser.add_argument("--revoke", action="store_true", help="take the approval back")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser
