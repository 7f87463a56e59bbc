"""A synthetic corpus in EDGAR-CORPUS form: deterministic, free of rights, and shaped like the real thing.

    python -m pipeline.local.corpus --filings 48 --seed 7 > filings.jsonl

Companies are invented. Each files two years of 10-Ks (some a 10-Q) whose risk factors are a heading sentence and a body.
About one filing in six has a reason to be dropped: no risk-factor section, "smaller reporting company", incorporated by
reference, or the text of another filing. The sentences come from the phrase banks below and a seeded generator.
"""

import argparse
import json
import random
from collections.abc import Iterator

_FIRST = ("Alder", "Birch", "Cobalt", "Dunmore", "Evergreen", "Fairhaven", "Granite", "Harbor", "Ironwood", "Juniper")
_SECOND = ("Analytics", "Bancorp", "Energy Partners", "Foods", "Health Systems", "Instruments", "Insurance Group")
_FORMS = ("Inc.", "Corp.", "Holdings", "Ltd.")

_CAUSES = (
    "changes in interest rates",
    "the loss of a major customer",
    "interruptions of our supply chain",
    "failures of our information systems",
    "new privacy and data protection laws",
    "competition from larger companies",
    "a shortage of skilled employees",
    "litigation and regulatory proceedings",
    "fluctuations in foreign exchange rates",
    "natural disasters and severe weather",
    "defects in our products",
    "a decline in consumer spending",
    "our substantial indebtedness",
    "unsuccessful acquisitions",
    "the expiration of our patents",
    "volatile commodity prices",
)
_EFFECTS = (
    "reduce our revenue and profitability",
    "harm our reputation and results of operations",
    "increase our costs and limit our growth",
    "adversely affect our financial condition",
    "cause us to lose customers",
    "limit our ability to pay dividends",
)
_OPENERS = (
    "We depend on {asset}, and {cause} may affect it in ways that we cannot predict.",
    "Our business is exposed to {cause}.",
    "In recent years {cause} have become more frequent in the {sector} industry.",
    "We have in the past experienced the consequences of {cause}, and we expect them to continue.",
)
_MIDDLES = (
    "If this were to occur, we could be required to make significant expenditures that we have not planned.",
    "Although we maintain insurance and controls, they may not be sufficient to cover every loss.",
    "Approximately {percent}% of our net sales in fiscal {year} came from {asset}.",
    "Our competitors may be able to respond more quickly, and they may have greater financial resources than we do.",
    "Management devotes considerable time to this matter, which diverts attention from other activities.",
    "We cannot assure you that the measures we have taken will be effective.",
)
_CLOSERS = (
    "Any of these events could {effect}.",
    "As a result, our stock price could decline and we could fail to meet our obligations.",
    "These factors could {effect}, particularly in the second half of fiscal {year}.",
)
_HEADINGS = (
    "{Cause} could {effect}.",
    "We are subject to {cause}, which may {effect}.",
    "If we cannot manage {cause}, this could {effect}.",
    "{Cause} may {effect}.",
)
_ASSETS = ("our distribution network", "our two largest plants", "a small number of suppliers", "our online services")
_SECTORS = ("banking", "energy", "food", "health care", "insurance", "software")

_NO_RISK_FACTORS = ("", "Item 1A. Risk Factors\nNot applicable to smaller reporting companies.")
_BY_REFERENCE = (
    "Item 1A. Risk Factors\nThe information required by this item is incorporated by reference to the section "
    '"Risk Factors" of our Annual Report to Shareholders.'
)


def generate(filings: int, seed: int) -> Iterator[dict[str, str]]:
    """Yield `filings` filings of `filings // 2` companies, the same for the same seed."""
    draw = random.Random(seed)  # noqa: S311 - text, not secrets
    previous = ""
    for number in range(filings):
        company_number, year = number // 2, 2023 + number % 2
        filing = _filing(draw, company_number, year)
        drop = number % 12
        if drop in (5, 10):
            filing["item_1A"] = _NO_RISK_FACTORS[drop == 10]
        elif drop == 8:
            filing["item_1A"] = _BY_REFERENCE
        elif number == 3 and previous:
            filing["item_1A"] = previous
        previous = filing["item_1A"]
        yield filing


def _filing(draw: random.Random, company_number: int, year: int) -> dict[str, str]:
    company = f"{_FIRST[company_number % 10]} {_SECOND[company_number // 10 % 7]} {_FORMS[company_number % 4]}"
    cik = str(1_900_000 + company_number * 37)
    filed = f"{year + 1}-02-{10 + company_number % 18}"
    return {
        "cik": cik,
        "company": company.upper(),
        "filing_type": "10-K",
        "filing_date": filed,
        "period_of_report": f"{year}-12-31",
        "sic": str(3000 + company_number),
        "state_of_inc": "DE",
        "filename": f"{cik}_10K_{year}_{int(cik):010d}-{year % 100 + 1:02d}-{company_number:06d}.htm",
        "item_1A": _section(draw, year),
    }


def _section(draw: random.Random, year: int) -> str:
    causes = draw.sample(_CAUSES, k=draw.randint(6, 10))
    factors = [_risk_factor(draw, cause, year) for cause in causes]
    introduction = (
        "You should carefully consider the following risk factors, together with the other information in this report."
    )
    return "\n".join(["ITEM 1A. RISK FACTORS", introduction, *factors])


def _risk_factor(draw: random.Random, cause: str, year: int) -> str:
    words = {
        "cause": cause,
        "Cause": cause[0].upper() + cause[1:],
        "effect": draw.choice(_EFFECTS),
        "asset": draw.choice(_ASSETS),
        "sector": draw.choice(_SECTORS),
        "percent": str(draw.randint(8, 64)),
        "year": str(year),
    }
    body = [draw.choice(_OPENERS), *draw.sample(_MIDDLES, k=draw.randint(2, 4)), draw.choice(_CLOSERS)]
    return "\n".join([draw.choice(_HEADINGS).format(**words), " ".join(body).format(**words)])


def main() -> None:
    """Print the corpus as JSON lines."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.local.corpus", description=__doc__.splitlines()[0])
    parser.add_argument("--filings", type=int, default=48, help="how many filings, two a company (default 48)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same bytes (default 7)")
    arguments = parser.parse_args()
    for filing in generate(arguments.filings, arguments.seed):
        print(json.dumps(filing))  # noqa: T201 - the command's result


if __name__ == "__main__":
    main()
