"""A labelled sample of personal data: sentences with items of each kind, and others without.

    for text, items in sample(2_000, seed=1): …      # items: (kind, its words), in order

All names, numbers and addresses are invented.
"""

import random
from collections.abc import Callable, Iterator

Item = tuple[str, str]

_FIRST = ("John", "Mary", "Wei", "Aisha", "José", "Anne-Marie", "Patrick", "Li")
_LAST = ("Smith", "O'Neil", "Garcia", "van Dyke", "Nguyen", "Müller", "Baker", "Stone")
_STREETS = (
    "Main",
    "Oak Hill",
    "Sand Hill",
    "First",
    "42nd",
    "Park",
    "Innovation",
    "Old Mill Creek",
)
_TOWNS = (
    "Austin, Texas 78758", "Palo Alto, CA 94303", "New York, New York 10153", "Boise, ID",
    "St. Paul, MN 55101-1234", "Salt Lake City, UT 84101",
)  # fmt: skip


def _digits(random_: random.Random, count: int, first: str = "23456789") -> str:
    return random_.choice(first) + "".join(random_.choices("0123456789", k=count - 1))


def _email(r: random.Random) -> str:
    first, last = r.choice(_FIRST[:4]).lower(), _LAST[0].lower()
    user = r.choice(
        (
            f"{first}.{last}",
            "ir",
            "j_doe+x",
            "info-99",
        )
    )
    return f"{user}@{r.choice(('example.com', 'mail.example.co.uk', 'sub-1.example.org'))}"


def _phone(r: random.Random) -> str:
    area, office, line = _digits(r, 3), _digits(r, 3), _digits(r, 4, "0123456789")
    return r.choice(
        (
            f"({area}) {office}-{line}", f"{area}-{office}-{line}", f"{area}.{office}.{line}",
            f"+1 {area} {office} {line}", f"1-{area}-{office}-{line}",
            f"({area}){office}-{line} ext. 12",
            f"{area}–{office}–{line}", "+44 20 7946 0958", "+49 30 123456", "+86-10-5555-1234",
        )
    )  # fmt: skip


def _street_address(r: random.Random) -> str:
    number, street = _digits(r, r.randint(1, 5), "13456789"), r.choice(_STREETS)
    town = r.choice(_TOWNS)
    return r.choice(
        (
            f"{number} {street} Street, {town}", f"{number} {street} Avenue",
            f"{number} {street} Blvd., Suite 200, {town}", f"P.O. Box {number}, {town}",
            f"{number} North {street} Road, {town}", f"{number} {street} Drive, {town}",
            f"One {street} Way, {town}", f"{number} W. {street} Parkway, 5th Floor, {town}",
        )
    )  # fmt: skip


def _signature(r: random.Random) -> str:
    last = r.choice(_LAST).replace("van ", "Van ")
    return f"/s/ {r.choice(_FIRST)} {r.choice(('', 'A. ', 'Q. '))}{last}"


def _social_security(r: random.Random) -> str:
    return f"{r.randint(100, 665)}-{r.randint(10, 99)}-{r.randint(1000, 9999)}"


def _employer_id(r: random.Random) -> str:
    return f"{r.randint(10, 99)}-{r.randint(1000000, 9999999)}"


KINDS: dict[str, Callable[[random.Random], str]] = {
    "email": _email,
    "phone": _phone,
    "social_security": _social_security,
    "employer_id": _employer_id,
    "street_address": _street_address,
    "signature": _signature,
}
# What filings have that is not personal; # is any digit but 0.
NEGATIVES = (
    "on 1#/2#/201#", "on 20##-0#-1#", "of $3##,4##,5###", "of $ 3##.4## million",
    "of 2##.3## to 1.4### per share", "under Section 1#(b)(#)-2#", "under Rule 10b5-#",
    "under Regulation S-K Item 4##", "on the NYSE, Nasdaq and OTC: ABCD, XYZ.A, BRK-B",
    "with CUSIP 03####B10", "with CUSIP 78####10#", "in file number 333-2#####",
    "in file number 001-3####", "in accession number 0000######-2#-######",
    "to Wall Street estimates", "to the # Wall Street analysts", "in 201# Main Street businesses",
    "in 19## Park Avenue fell", "under Chapter 11 of the Code by the Bankruptcy Court",
    "under Section 3# Court decisions", "for 201#-202# and pages 1##-2##",
    "in U.S. Patent No. #,###,###", "in Release No. 33-8### and 34-5####", "at 1:3# p.m.",
    "and/or the Seller/s Agent, with the handle @example", "with ISO 9001-201#",
    "with version 4.1##.2#", "for the 10 Best Places", "with 1,2## Drive units",
    "at LIBOR + 2##", "with an EBITDA of (2##) 3##,4###",
)  # fmt: skip


def _negative(r: random.Random) -> str:
    return "".join(r.choice("123456789") if sign == "#" else sign for sign in r.choice(NEGATIVES))


_SENTENCES = (
    "Our business depends on suppliers, as we stated {}, and delays could harm us.",
    "We learned {} that demand may decline.",
    "If our estimates {} are wrong, results could suffer: see {}.",
    "{} is one of the reasons for which our costs may rise.",
)


def sample(count: int, *, seed: int) -> Iterator[tuple[str, list[Item]]]:
    """Yield texts, half of them with one or two items, and the items in their order."""
    r = random.Random(seed)  # noqa: S311 - a sample, not a secret
    for _ in range(count):
        sentence, items = r.choice(_SENTENCES), list[Item]()
        for _ in range(sentence.count("{}")):
            if r.random() < 0.5:
                kind = r.choice(list(KINDS))
                words = KINDS[kind](r)
                items.append((kind, words))
            else:
                words = _negative(r)
            sentence = sentence.replace("{}", words, 1)
        yield sentence, items
