"""One invented Item 1A in every style that filings use for headings."""

from collections.abc import Callable

TOPICS = (
    "Customers", "Competition", "Intellectual Property", "Data Security", "Key Personnel",
    "Foreign Currency", "Litigation", "Acquisitions", "Dividends", "Natural Disasters",
)  # fmt: skip
SENTENCES = (
    "We depend on three retailers, and the loss of one of them could harm our revenue.",
    "Our markets are crowded, and we may be unable to compete with larger companies.",
    "If we cannot protect our patents, our competitors may copy our products.",
    "A breach of our systems could expose us to claims. Our insurance may not cover them.",
    "We may be unable to attract and retain the engineers whom our business needs.",
    "Changes in exchange rates could reduce our reported results.",
    "We are subject to lawsuits that could be costly and could distract our management.",
    "We may not realize the expected benefits of companies that we acquire.",
    "We do not intend to pay dividends in the foreseeable future.",
    "An earthquake near our only factory could interrupt our operations.",
)
BODIES = (
    (
        "Three retailers bought 61% of our tools last year, and none of them must buy again. "
        "Each can change its orders at short notice, and each negotiates prices every spring.\n"
        "In addition, retailers have merged in recent years. A merged retailer would have "
        "more power over our prices, and our results of operations would be adversely "
        "affected."
    ),
    (
        "The market for hand tools is fragmented and competition in it is intense. Several "
        "companies in our markets spend more on advertising in a month than we spend in a "
        "year, and they sell through more stores. If they lower their prices, our business "
        "could be harmed."
    ),
    (
        "Our patents protect the locks of our tools, and the first of these patents expires "
        "in 2019. Competitors abroad have copied our products before, and the laws of some "
        "countries do not protect patents as the laws of the United States do. Copies would "
        "reduce our sales."
    ),
    (
        "Our systems hold the addresses and the card numbers of people who buy in our online "
        "store. In 2016 a breach at one of our suppliers exposed 4,000 of these records. "
        "Claims, fines and the cost of repairs could have a material adverse effect on our "
        "financial condition."
    ),
    (
        "Our success depends on about thirty engineers in our design center. Engineers with "
        "their skills are scarce in our region, and other employers offer them more than we "
        "can. The loss of several of these engineers would delay our products and harm our "
        "business."
    ),
    (
        "About 40% of our revenue is in euros and yen, while most of our costs are in "
        "dollars. We do not hedge this exposure at present. For example, a stronger dollar "
        "reduced our revenue by $3 million in 2016, and further changes could harm our "
        "results of operations."
    ),
    (
        "Buyers who were injured have sued us in the past, and some of these lawsuits are "
        "pending. Their outcome is uncertain, and defending them takes the time of our "
        "officers:\n"
        "• a court may award damages above the limits of our insurance;\n"
        "• a court may order us to recall a product.\n"
        "Any of these could have a material adverse effect on our financial condition."
    ),
    (
        "We bought two small companies in 2015 and expect to buy more. Integrating a company "
        "takes longer than planned more often than not, its customers may leave, and we may "
        "find debts that we did not know. Write-offs of goodwill could then reduce our "
        "earnings."
    ),
    (
        "We have never declared a cash dividend on our common stock. Our credit agreement "
        "restricts dividends, and our board plans to keep any earnings for the growth of the "
        "business. So investors should expect a return only if the price of our stock rises."
    ),
    (
        "Our factory is less than ten miles from a major fault, and we keep most of our stock "
        "there. An earthquake or a fire could stop our production for months. Our insurance "
        "does not cover all of the losses that would follow, and our business could be "
        "seriously harmed."
    ),
)
INTRODUCTION = (
    "You should carefully consider the risks described below, together with the other "
    "information in this annual report, before you decide to invest in our common stock. "
    "Our business could be harmed by any of these risks."
)
GROUPS = {0: "Risks Related to Our Business", 8: "Risks Related to Our Common Stock"}


def _small(word: str) -> bool:
    return word in {"a", "an", "and", "at", "in", "of", "on", "or", "our", "that", "the", "to"}


def in_title_case(text: str) -> str:
    """Return a text with capital first letters, but for small words."""
    return " ".join(
        word if number and _small(word) else word[0].upper() + word[1:]
        for number, word in enumerate(text.split())
    )


def _alone(make: Callable[[int], str]) -> str:
    return _section(lambda number: f"{make(number)}\n{BODIES[number]}")


def _run_in(make: Callable[[int], str]) -> str:
    return _section(lambda number: f"{make(number)} {BODIES[number]}")


def _section(factor: Callable[[int], str]) -> str:
    parts = [INTRODUCTION]
    for number in range(len(SENTENCES)):
        parts += [GROUPS[number]] if number in GROUPS else []
        parts.append(factor(number))
    return "\n".join(parts)


def _first(number: int) -> str:
    """Return the heading's first sentence: run in, a second one would be body text."""
    return SENTENCES[number].split(". ")[0].rstrip(".") + "."


HEADINGS: dict[str, Callable[[int], str]] = {
    "standing": lambda number: SENTENCES[number],
    "run_in": _first,
    "bare": lambda number: _first(number).rstrip("."),
    "title_case": lambda number: in_title_case(_first(number)),
    "capitals": lambda number: _first(number).rstrip(".").upper(),
    "topic": lambda number: f"{TOPICS[number]}.",
    "topic_run_in": lambda number: f"{TOPICS[number]}.",
    "topic_colon": lambda number: f"{TOPICS[number]}:",
    "topic_capitals": lambda number: TOPICS[number].upper(),
    "numbered": lambda number: f"{number + 1}. {_first(number)}",
    "bulleted": _first,
}
_SHOWN = {"bulleted": lambda number: f"• {_first(number)}"}
_RUN_IN = {"run_in", "topic_run_in", "topic_colon"}


def section(style: str) -> str:
    """Return the section with its headings in this style, two group titles and a list."""
    make = _SHOWN.get(style, HEADINGS[style])
    return _run_in(make) if style in _RUN_IN else _alone(make)
