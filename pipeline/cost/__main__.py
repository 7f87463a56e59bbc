"""Estimate what an execution costs before it runs, or print what it was billed for afterwards.

    python -m pipeline.cost --env dev --filings 1000
    python -m pipeline.cost --env dev --filings 1000 --set TrainInstanceType=ml.g6e.xlarge
    python -m pipeline.cost --env dev --execution 4x7k2m9p1q0z
    python -m pipeline.cost --env dev --refresh         # writes today's prices to conf/prices.json

The estimate needs no account. It states its arithmetic, and the allowed instance types on which the
same training is cheapest. Speeds are predicted and prices are of the date shown: both are
[unverified] until you have run it. On-demand prices; spot capacity costs less.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipeline import account, command
from pipeline.command import note, output
from pipeline.configuration import config, parameters
from pipeline.configuration.config import Config
from pipeline.cost import billed, estimate, price_list, prices, speed, table
from pipeline.cost.prices import Prices
from pipeline.cost.work import Corpus, plan
from pipeline.errors import UsageError
from pipeline.run import settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(argv)
    configured = config.load(command.environment(given.env))
    known = prices.read(prices.PATH)
    if given.refresh:
        return _refreshed(configured, known)
    if given.filings is None and not given.execution:
        message = "of how many filings? expected --filings N, or --execution ID for a bill"
        raise UsageError(message)
    _note_age(known, configured)
    if given.execution:
        answer: dict[str, Any] = {"billed": billed.lines(configured, given.execution, known)}
    else:
        answer = _estimated(configured, given, known)
    output(json.dumps(_plain(answer), indent=2) if given.json else table.text(answer))
    return 0


def _estimated(configured: Config, given: argparse.Namespace, known: Prices) -> dict[str, Any]:
    if speed.BASE_MODEL not in configured.train.base_model:
        message = (
            f"the speeds are known for {speed.BASE_MODEL} only, "
            f"got train.base_model {configured.train.base_model}; see docs/scaling.md"
        )
        raise UsageError(message)
    values = _values(configured, settings(given.set))
    work = plan(Corpus(given.filings, given.examples), configured, values)
    instance_type = str(values["TrainInstanceType"])
    return {
        "estimate": estimate.lines(work, instance_type, known),
        "standing": estimate.standing(known),
        "training_on": estimate.others(work, configured.limits.instance_types, known),
        "chosen": instance_type,
    }


def _values(configured: Config, given: Mapping[str, str]) -> dict[str, Any]:
    defaults = {**parameters.DEFAULTS, **configured.parameters}
    parameters.check(given, configured.parameters)
    typed, _ = parameters.chosen(given)
    return defaults | typed


def _refreshed(configured: Config, known: Prices) -> int:
    client = account.client("pricing", configured, region=price_list.REGION)
    with account.answering("GetProducts AmazonSageMaker", configured):
        fresh = price_list.fetch(client, known, configured.aws.region)
    prices.write(prices.PATH, fresh)
    note(f"{len(fresh.training_hour)} prices of {fresh.region} written to conf/prices.json")
    return 0


def _note_age(known: Prices, configured: Config) -> None:
    old = "; that is old" if known.age_days() > prices.OLD_DAYS else ""
    note(f"prices of {known.as_of}, {known.region}{old} ({known.source})")
    if known.region != configured.aws.region:
        note(f"this environment is in {configured.aws.region}, whose prices differ: --refresh")


def _plain(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [asdict(each) for each in value] if isinstance(value, list) else value
        for name, value in answer.items()
    }


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 10**9:
        message = f"expected a whole number, 1 … 1000000000, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _parser() -> argparse.ArgumentParser:
    made = command.parser("pipeline.cost", __doc__ or "", command.EXIT_CODES)
    made.add_argument("--filings", type=_count, metavar="N", help="filings that Prepare will read")
    made.add_argument(
        "--examples", type=_count, metavar="N", help="examples that they give, if you know it"
    )
    made.add_argument(
        "--set", action="append", default=[], metavar="Name=value", help="a parameter, as for run"
    )
    made.add_argument("--execution", metavar="ID", help="an execution that has ended: its bill")
    made.add_argument("--refresh", action="store_true", help="fetch today's prices from AWS")
    made.add_argument("--json", action="store_true", help="print one JSON document")
    return made


if __name__ == "__main__":
    sys.exit(command.ended(main))
