"""Documents as long as those that filings give, the same for every case: a prompt of log-normal length (a piece of a
filing and a question), a short completion.

Of a population of 4,000: mean 364 tokens, 90th percentile 712, longest 1,024; 19 % are completion. A case takes few of them,
evenly from the shortest to the longest, so that few are like all. The ids are uniform, which costs a
trainer what any others would. `learnable` draws them so that there is something to learn, for loss curves.
"""

import random
from dataclasses import dataclass

POPULATION = 4000
LONGEST = 1024  # tokens; also TRL's default max_length
_PROMPT_MEDIAN, _PROMPT_SIGMA = 220, 0.85
_COMPLETION_MEDIAN, _COMPLETION_SIGMA = 60, 0.6
_ORDERS = 200  # tried
_FIRST_ORDINARY, _BEGIN, _END = 20, 1, 2  # tekken's first 20 ids are control tokens


@dataclass(frozen=True)
class Text:
    """One tokenized example; labels are asked for from `prompt_tokens` on."""

    ids: list[int]
    prompt_tokens: int


def filings_like(count: int, *, vocabulary: int, seed: int) -> list[Text]:
    """`count` documents, reproducible from `seed`, in random order."""
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    lengths = sorted((_lengths(draw) for _ in range(POPULATION)), key=sum)
    picked = [lengths[(2 * number + 1) * POPULATION // (2 * count)] for number in range(count)]
    draw.shuffle(picked)
    return [_text(draw, vocabulary, *each) for each in picked]


def in_average_batches(texts: list[Text], batch: int, *, first: int, seed: int) -> list[Text]:
    """The documents in the random order whose padding, after the `first` batches, is nearest to what random batches of
    the whole population have: over few batches chance would favour one side.
    """
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    everybody = [sum(_lengths(draw)) for _ in range(POPULATION)]
    usual = _real_share(everybody, batch)
    orders = [draw.sample(texts, len(texts)) for _ in range(_ORDERS)]
    return min(
        orders,
        key=lambda order: abs(
            _real_share([len(text.ids) for text in order[first * batch :]], batch) - usual
        ),
    )


def _real_share(lengths: list[int], batch: int) -> float:
    """Real tokens of all that padded batches hold."""
    batches = [lengths[at : at + batch] for at in range(0, len(lengths), batch)]
    return sum(lengths) / sum(len(each) * max(each) for each in batches)


def learnable(count: int, *, tokens: tuple[int, int], vocabulary: int, seed: int) -> list[Text]:
    """`count` documents of so many tokens, from and to, in which few ids are frequent, and each mostly follows another one."""
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    alphabet = draw.sample(range(_FIRST_ORDINARY, vocabulary), 64)
    weights = [1 / (rank + 1) for rank in range(len(alphabet))]  # Zipf's law
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
    """Tokens of prompt and completion."""
    prompt = _clipped(draw, _PROMPT_MEDIAN, _PROMPT_SIGMA, 32, LONGEST - 32)
    completion = _clipped(draw, _COMPLETION_MEDIAN, _COMPLETION_SIGMA, 8, 256)
    return min(prompt, LONGEST - completion), completion


def _text(draw: random.Random, vocabulary: int, prompt: int, completion: int) -> Text:
    middle = [draw.randrange(_FIRST_ORDINARY, vocabulary) for _ in range(prompt + completion - 2)]
    return Text([_BEGIN, *middle, _END], prompt)


def _clipped(draw: random.Random, median: float, sigma: float, low: int, high: int) -> int:
    return min(high, max(low, int(median * draw.lognormvariate(0, sigma))))
