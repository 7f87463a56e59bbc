"""What the examples ask for: templates with versions, and the share of the risk factors of each.

    mix = parse("heading-among-four/1=0.3,risk-factor-heading/2=0.7")
    mix.drawn("0000001001/0000001001-21-000001", 4, seed=17)      # "risk-factor-heading/2"
    mix.name                                                       # the manifest's `template`

The draw is a hash of seed, filing and position, so every engine, repetition and order of rows draws
the same. A risk factor for which the drawn template has no answer gets `HEADING`: the answers are
text of the filing, and none is invented. Whether `COMPARE` has one is known only when the
families are (`steps.prepare.verdict.compared`). `steps.prepare.filings.tasks` has the words.
"""

import hashlib
import math
import re
from dataclasses import dataclass

HEADING = "risk-factor-heading/2"
AMONG_FOUR = "heading-among-four/1"
GROUP = "risk-factor-group/1"
COMPARE = "compare-two-years/1"
TEMPLATES = (HEADING, AMONG_FOUR, GROUP, COMPARE)

EXPECTED = (
    f"shares that add up to 1, {HEADING} among them: {HEADING}=0.7,{AMONG_FOUR}=0.3, "
    f"out of {', '.join(TEMPLATES)}"
)
_SHARE = re.compile(r"[01](\.[0-9]{1,6})?")
_HEX_DIGITS = 13  # 52 bits, which a float holds exactly


@dataclass(frozen=True)
class Mix:
    """Templates and their shares, in the order of their names."""

    shares: tuple[tuple[str, float], ...]

    @property
    def compares(self) -> bool:
        """Whether some examples compare two years."""
        return any(template == COMPARE for template, _ in self.shares)

    @property
    def name(self) -> str:
        """The name of the only template, or all of them with their shares."""
        if len(self.shares) == 1:
            return self.shares[0][0]
        return ",".join(f"{template}={share:g}" for template, share in self.shares)

    def drawn(self, filing_id: str, position: int, *, seed: int) -> str:
        """Return the template of one risk factor."""
        if len(self.shares) == 1:
            return self.shares[0][0]
        digest = hashlib.sha256(f"{seed}\x1f{filing_id}\x1f{position}".encode()).hexdigest()
        point, edge = int(digest[:_HEX_DIGITS], 16) / 16**_HEX_DIGITS, 0.0
        for template, share in self.shares:
            edge += share
            if point < edge:
                return template
        return self.shares[-1][0]


ONLY_HEADINGS = Mix(((HEADING, 1.0),))


def parse(text: str) -> Mix:
    """Read `template=share,…`.

    Raises:
        ValueError: an unknown template, one that is there twice, or shares that do not add up.
    """
    pairs = [word.partition("=") for word in text.split(",")]
    shares = {
        name: float(share)
        for name, _, share in pairs
        if name in TEMPLATES and _SHARE.fullmatch(share) and float(share) > 0
    }
    whole = math.isclose(sum(shares.values()), 1.0, abs_tol=1e-9)
    if len(shares) != len(pairs) or not whole or HEADING not in shares:
        raise ValueError(EXPECTED)
    return Mix(tuple(sorted(shares.items())))
