"""The types of a step's arguments: how a text becomes a value, and what a correct text looks like.

    arguments = {"seed": Argument(whole(0, 9), "the order"), "region": Argument(REGION, "…")}
    values, faults = read(arguments, {"seed": "10", "region": "eu-west-1"})
    # faults == ["seed: a whole number from 0 to 9 was expected, got '10'"]

Every step reads its arguments with these types, so the same kind of value has the same rule and the
same message in Prepare, Train and Register. All faults are found in one pass.
Standard library only: `--help` and a refusal must not wait for a heavier import
(docs/decisions/015-argument-types.md explains why this is not pydantic).
"""

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from steps.governance.errors import GovernanceError
from steps.governance.names import UcName, checked_alias, execution_id, written_name
from steps.governance.unity_catalog import budgets
from steps.governance.unity_catalog.hosts import without_credentials

_SHOWN_CHARACTERS = 100  # of a refused text, in the message


@dataclass(frozen=True)
class ArgumentType:
    """One type of argument.

    `parse` returns the value of a text, and raises ValueError or GovernanceError if the text is not
    of this type. `expected` describes the texts that are; it completes "… was expected".
    """

    parse: Callable[[str], Any]
    expected: str


@dataclass(frozen=True)
class Argument:
    """One argument of a step: its type, what it means, and its text where none is given."""

    type: ArgumentType
    meaning: str
    default: str | None = None


def read(
    arguments: Mapping[str, Argument],
    texts: Mapping[str, object],
    *,
    shown: Callable[[str], str] = str,
) -> tuple[dict[str, Any], list[str]]:
    """Parse the text of every argument; return the values by name, and one sentence for each fault.

    Args:
        arguments: the arguments to read, by name.
        texts: what was given, by name. None and absent names count as missing.
        shown: how a message spells a name, such as `--seed` for seed.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, argument in arguments.items():
        text = texts.get(name)
        if text is None:
            text = argument.default
        if text is None:
            faults.append(f"{shown(name)} is missing: {argument.type.expected}")
            continue
        try:
            values[name] = _parsed(argument.type, text)
        except (GovernanceError, ValueError) as error:
            expected = _expected_by(error) or argument.type.expected
            got = without_credentials(repr(str(text)[:_SHOWN_CHARACTERS]))
            faults.append(f"{shown(name)}: {expected} was expected, got {got}")
    return values, faults


def option(name: str) -> str:
    """Return the option of an argument: `--evidence-uri` for `evidence_uri`."""
    return "--" + name.replace("_", "-")


def add_options(parser: argparse.ArgumentParser, arguments: Mapping[str, Argument]) -> None:
    """Add one option for each argument. Its help has meaning, type and default."""
    for name, argument in arguments.items():
        default = f" (default {argument.default})" if argument.default else ""
        text = f"{argument.meaning}: {argument.type.expected}{default}"
        parser.add_argument(option(name), metavar="VALUE", help=text)


def _parsed(kind: ArgumentType, text: object) -> Any:
    if not isinstance(text, str):
        raise ValueError("not a string")  # noqa: TRY004 - one more fault of an argument
    return kind.parse(text)


def _expected_by(error: Exception) -> str | None:
    """The `expected` line of our own error: it names the one rule that was broken."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line.split(None, 1)[1] for line in lines if line.startswith("expected ")), None)


def matching(pattern: str, expected: str) -> ArgumentType:
    """Texts that match the whole pattern."""
    compiled = re.compile(pattern)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(expected)
        return text

    return ArgumentType(parse, expected)


def whole(low: int, high: int, expected: str | None = None) -> ArgumentType:
    """Whole numbers from `low` to `high`, in ASCII digits."""
    expected = expected or f"a whole number from {low} to {high}"

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,19}", text) or not low <= int(text) <= high:
            raise ValueError(expected)
        return int(text)

    return ArgumentType(parse, expected)


def cap(most: int, *, no_limit: int = -1) -> ArgumentType:
    """A limit from 1 to `most`, or `no_limit`."""
    expected = f"{no_limit} or a whole number from 1 to {most}"
    number = whole(no_limit, most, expected)

    def parse(text: str) -> int:
        value: int = number.parse(text)
        if value < 1 and value != no_limit:
            raise ValueError(expected)
        return value

    return ArgumentType(parse, expected)


def one_of(*allowed: str | int) -> ArgumentType:
    """One of a few words or numbers, spelled exactly as they are listed."""
    values = {str(value): value for value in allowed}
    expected = "one of " + ", ".join(values)

    def parse(text: str) -> str | int:
        if text not in values:
            raise ValueError(expected)
        return values[text]

    return ArgumentType(parse, expected)


def words(word: Callable[[str], str], expected: str) -> ArgumentType:
    """Words with a comma between them. Each is read by `word`, which raises if it is wrong."""
    return ArgumentType(
        lambda text: tuple(word(each) for each in text.split(",")), f"{expected}, commas between"
    )


def between(pattern: str, most: float, expected: str) -> ArgumentType:
    """Decimal numbers of the form `pattern`, above 0 and at most `most`."""
    digits = matching(pattern, expected)

    def parse(text: str) -> float:
        number = float(digits.parse(text))
        if not 0 < number <= most:
            raise ValueError(expected)
        return number

    return ArgumentType(parse, expected)


def _s3_uri(text: str) -> str:
    """Return the URI without a trailing slash. Empty folder names and `..` are refused."""
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9!_.*'()/=-]+", text):
        raise ValueError("not an S3 URI")
    uri = text.removesuffix("/")
    if {"", ".."} & set(uri.removeprefix("s3://").split("/")):
        raise ValueError("an empty folder name, or ..")
    return uri


def _execution_arn(text: str) -> str:
    execution_id(text)
    return text


S3_URI = ArgumentType(_s3_uri, "s3://bucket/key")
EXECUTION_ARN = ArgumentType(_execution_arn, "a pipeline execution's ARN")
TABLE = ArgumentType(UcName.parse, "catalog.schema.name")
WRITTEN_NAME = ArgumentType(written_name, "catalog.schema.name")  # of a table or model to write
ALIAS = ArgumentType(checked_alias, "a model alias")
ALIASES = words(checked_alias, "model aliases")
SEED = whole(0, 2**31 - 1)
REGION = matching(r"[a-z]{2}(-[a-z]+)+-[0-9]", "an AWS region")
HOST = matching(r"https?://[^\s/@]+/?", "https://<workspace>")
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
SECRET_ID = matching(
    rf"(arn:[a-z0-9:-]+:secret:)?[A-Za-z0-9][A-Za-z0-9/_+=.@-]{{0,499}}|federated:{_UUID}",
    "the name or ARN of a Secrets Manager secret, or federated:<client id> if none is stored",
)
PACKAGE_GROUP = matching(r"[a-z0-9](-*[a-z0-9]){0,62}", "a model package group's name")
PIPELINE_NAME = matching(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,255}", "the name of a SageMaker pipeline")
KMS_KEY = matching(
    r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+",
    "the ARN of a KMS key or of its alias",
)
PUBLIC_KEY = matching(
    r"[A-Za-z0-9+/]{80,400}={0,2}", "base64 of a public key, as kms.GetPublicKey returns it"
)


def _waits(text: str) -> budgets.Waits:
    seconds = [int(each) for each in text.split(",") if re.fullmatch(r"[0-9]{1,5}", each)]
    good = len(seconds) == 2 == text.count(",") + 1
    if not good or not all(1 <= each <= budgets.MOST_SECONDS for each in seconds):
        raise ValueError(text)
    return budgets.Waits(*map(float, seconds))


WAITS = Argument(
    ArgumentType(
        _waits, f"two whole numbers of seconds with a comma between, 1 to {budgets.MOST_SECONDS}"
    ),
    "seconds that a call is repeated: at the start, and later",
    default=f"{budgets.CONNECTING_SECONDS:.0f},{budgets.WORKING_SECONDS:.0f}",
)
