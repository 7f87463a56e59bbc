"""The section of a report about money: what AWS billed for the jobs of a run, however it ended.

    bill, notes = bill.read(config, run)
    sections = bill.sections(bill)

A rejected, failed or stopped run is billed like one that registered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.configuration.config import Config
from pipeline.cost import billed, prices
from pipeline.cost.estimate import Line, together
from pipeline.errors import ConfigError, Refused
from pipeline.inspection.pages import section, table
from pipeline.inspection.run_summary import Summary

Section = Mapping[str, Any]


@dataclass(frozen=True)
class Bill:
    """The items, and of which day and region the prices are."""

    items: list[Line]
    prices: str


def read(config: Config, run: Summary) -> tuple[Bill | None, tuple[str, ...]]:
    """Return the bill, or why it cannot be read. Before a job has ended AWS states none."""
    if not any(step.job and step.ended for step in run.steps):
        return None, ()
    try:
        known = prices.read(prices.PATH)
        items = billed.lines(config, run.id, known)
    except (Refused, ConfigError) as error:
        return None, (f"the bill: {error}",)
    return Bill(items, f"{known.region}, {known.as_of}"), ()


def sections(found: Bill | None) -> list[Section]:
    """Return the table of what each job cost, and the sum."""
    if found is None:
        return []
    rows = [(item.what, item.arithmetic, _dollars(item.dollars)) for item in found.items]
    rows.append(("together", "", _dollars(together(found.items))))
    text = f"AWS states the use; on-demand prices of {found.prices}, so spot may cost less."
    headings = ("step", "billed for", "US dollars")
    return [section("Bill", table(headings, rows, numbers=[2]), {"kind": "text", "text": text})]


def _dollars(amount: float | None) -> str:
    return "not known" if amount is None else f"{amount:.2f}"
