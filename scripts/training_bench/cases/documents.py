"""Documents as long as those made from filings, the same ones for every case.

A document is a prompt of log-normal length (a part of a filing and a question) and a short
completion. In the population of 4,000 documents the mean is 364 tokens, the 90th percentile 712 and
the longest 1,024; 19 % of the tokens are completion. A case uses few documents, taken at equal
distances from the shortest to the longest, so that they represent the population.

`filings_like` draws token ids uniformly, since a trainer's cost does not depend on them.
`learnable` draws ids that a model can learn to predict, for loss curves.
"""

import random
from dataclasses import dataclass

POPULATION = 4000
# Tokens. TRL truncates at 1,024 by default: it would train on fewer tokens of longer documents.
LONGEST = 1024
_PROMPT_MEDIAN, _PROMPT_SIGMA = 220, 0.85
_COMPLETION_MEDIAN, _COMPLETION_SIGMA = 60, 0.6
_ORDERS = 200  # random orders among which `in_average_batches` chooses
_FIRST_ORDINARY, _BEGIN, _END = 20, 1, 2  # tekken's first 20 ids are control tokens


@dataclass(frozen=True)
class Text:
    """One tokenized example; the tokens from `prompt_tokens` on are labels."""

    ids: list[int]
    prompt_tokens: int


def filings_like(count: int, *, vocabulary: int, seed: int) -> list[Text]:
    """Return `count` documents in random order, reproducible from `seed`."""
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    lengths = sorted((_lengths(draw) for _ in range(POPULATION)), key=sum)
    picked = [lengths[(2 * number + 1) * POPULATION // (2 * count)] for number in range(count)]
    draw.shuffle(picked)
    return [_text(draw, vocabulary, *each) for each in picked]


def in_average_batches(texts: list[Text], batch: int, *, first: int, seed: int) -> list[Text]:
    """Return the documents in an order whose padding is close to the average.

    Over few batches, chance would favour one side. So this is the order, among random ones, whose
    share of padding after the `first` batches is nearest to that of random batches of the whole
    population.
    """
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    population = [sum(_lengths(draw)) for _ in range(POPULATION)]
    usual = _real_share(population, batch)
    orders = [draw.sample(texts, len(texts)) for _ in range(_ORDERS)]
    return min(
        orders,
        key=lambda order: abs(
            _real_share([len(text.ids) for text in order[first * batch :]], batch) - usual
        ),
    )


def _real_share(lengths: list[int], batch: int) -> float:
    """Return the share of real tokens in padded batches of documents of these lengths."""
    batches = [lengths[at : at + batch] for at in range(0, len(lengths), batch)]
    return sum(lengths) / sum(len(each) * max(each) for each in batches)


def learnable(count: int, *, tokens: tuple[int, int], vocabulary: int, seed: int) -> list[Text]:
    """Return `count` documents of predictable ids.

    Only 64 ids occur, by Zipf's law, and half of the time an id is followed by the same other id.

    Args:
        count: number of documents.
        tokens: least and greatest length.
        vocabulary: size of the vocabulary.
        seed: of the random numbers.
    """
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    alphabet = draw.sample(range(_FIRST_ORDINARY, vocabulary), 64)
    weights = [1 / (rank + 1) for rank in range(len(alphabet))]
    follows = dict(zip(alphabet, draw.choices(alphabet, weights, k=len(alphabet)), strict=True))
    texts = []
    for _ in range(count):
        ids, length = [_BEGIN, draw.choice(alphabet)], draw.randint(*tokens)
        while len(ids) < length - 1:
            ids.append(
                follows[ids[-1]] if draw.random() < 0.5 else draw.choices(alphabet, weights)[0]
            )
        texts.append(Text([*ids, _END], length // 4))
    return texts


def _lengths(draw: random.Random) -> tuple[int, int]:
    """Return the tokens of a prompt and of its completion."""
    prompt = _clipped(draw, _PROMPT_MEDIAN, _PROMPT_SIGMA, 32, LONGEST - 32)
    completion = _clipped(draw, _COMPLETION_MEDIAN, _COMPLETION_SIGMA, 8, 256)
    return min(prompt, LONGEST - completion), completion


def _text(draw: random.Random, vocabulary: int, prompt: int, completion: int) -> Text:
    middle = [draw.randrange(_FIRST_ORDINARY, vocabulary) for _ in range(prompt + completion - 2)]
    return Text([_BEGIN, *middle, _END], prompt)


def _clipped(draw: random.Random, median: float, sigma: float, low: int, high: int) -> int:
    """Return a log-normal number between `low` and `high`."""
    return min(high, max(low, int(median * draw.lognormvariate(0, sigma))))
