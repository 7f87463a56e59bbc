"""Random choices by a seed, the same on every machine and Python version.

    draw = Draw(7, "company", 12)
    draw.of(("a", "b")), draw.whole(2, 5), draw.chance(0.25), draw.along((20, 89, 150))

Only `random.Random.random` is used: Python guarantees its sequence for a seed, and not that of
`choice` or `sample`.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

Option = TypeVar("Option")


class Draw:
    """One stream of choices; streams of different keys are independent of each other."""

    def __init__(self, *key: object) -> None:
        name = "/".join(map(str, key))
        self.random = random.Random(name).random  # noqa: S311 - text, not secrets

    def of(self, options: Sequence[Option]) -> Option:
        """One of the options, each as likely as the others."""
        return options[int(self.random() * len(options))]

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    def weighted(self, options: Sequence[tuple[Option, float]]) -> Option:
        """One of the options; each weight is its probability, and the weights add up to 1."""
        left = self.random()
        for option, weight in options:
            left -= weight
            if left < 0:
                return option
        return options[-1][0]

    def along(self, quantiles: Sequence[float]) -> float:
        """A number with these quantiles (smallest, …, median, …, largest), evenly spread between
        two of them.
        """
        place = self.random() * (len(quantiles) - 1)
        below = int(place)
        return quantiles[below] + (place - below) * (quantiles[below + 1] - quantiles[below])

    def some(self, options: Sequence[Option], count: int) -> list[Option]:
        """`count` different options in random order."""
        left = list(options)
        return [left.pop(int(self.random() * len(left))) for _ in range(count)]
