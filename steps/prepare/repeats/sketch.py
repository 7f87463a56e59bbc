"""Sketches of texts: what near duplicates and families are found by, without the texts.

    found = sketched(words, companies, headings)     # Sketches, one row a text
    found.bands                                      # fixed-size binary: 33 bucket keys of 8 bytes

A shingle is five successive words. Its hash is that of the bytes, computed for all shingles of many
texts at once from the prefix sums of one polynomial, so no shingle is ever a Python object. The
sketch is one-permutation MinHash: each of 64 groups of hashes gives its least one, and an empty
group takes another group's (densification by a fixed walk). Texts that share a key are candidates
(`candidates`), and their sorted shingles decide (`likeness`).

For two texts with the Jaccard similarity J a key of `r` groups is equal with probability about J^r:

* 16 keys of 4 groups, for near duplicates of all companies: 0.9998 for J = 0.8;
* 16 keys of 2 groups, within a company, for families: 0.95 for J = 0.42, that is 10 % edited words;
* one key of the heading's words, within a company.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Words64 = npt.NDArray[np.uint64]

SHINGLE = 5  # words
# Words of an n-gram by which an overlap of two sets is measured (Brown et al. 2020,
# arXiv:2005.14165, appendix C), and the share of them that is kept: one of 16, by hash.
GRAM, GRAM_BITS = 13, 4
NEAR_KEYS, NEAR_GROUPS = 16, 4
FAMILY_KEYS, FAMILY_GROUPS = 16, 2
KEYS = NEAR_KEYS + FAMILY_KEYS + 1
_GROUPS, _GROUP_SHIFT = 64, 26  # a group is the hash's first 6 of 32 bits
_EMPTY = np.uint32(0xFFFFFFFF)
_CHUNK = 1 << 18  # bytes of text at once, so that all arrays of a chunk stay in a core's cache
_POINT = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_SPREAD = 0xD6E8FEB86659FD93  # odd: the first bits of a product depend on all bits
_SEPARATORS = b" \n"


class Sketches(NamedTuple):
    """Columns of a batch, null for a text that is None or has fewer than five words.

    `shingles` are sorted uint32, `grams` uint64; both as bytes of the machine, little-endian.
    """

    bands: pa.Array
    shingles: pa.Array
    grams: pa.Array


def sketched(
    texts: Sequence[bytes | None], companies: Sequence[int], headings: Sequence[int]
) -> Sketches:
    """Return the sketches of texts: words in small letters with one space between them.

    Args:
        texts: None for a row that gets no sketch.
        companies: a number of each text's company, below 2^63.
        headings: a number for the words of its heading, below 2^63.
    """
    distinct = [text for text in dict.fromkeys(texts) if text]
    parts = [_sets(distinct[chunk.start : chunk.stop]) for chunk in _chunks(distinct)]
    sets = dict(zip(distinct, (one for part in parts for one in part.shingles), strict=True))
    grams = dict(zip(distinct, (one for part in parts for one in part.grams), strict=True))
    # A text that is repeated has one set, but the keys of each company and heading
    having = (text for text, found in sets.items() if found)
    places: dict[bytes | None, int] = {text: place for place, text in enumerate(having)}
    rows = [row for row, text in enumerate(texts) if text in places]
    bands: list[bytes | None] = [None] * len(texts)
    if rows:
        minima = np.concatenate([part.minima for part in parts])
        keys = _keys(
            minima[[places[texts[row]] for row in rows]],
            np.array([companies[row] for row in rows], np.uint64),
            np.array([headings[row] for row in rows], np.uint64),
        )
        for row, found in zip(rows, keys, strict=True):
            bands[row] = found.tobytes()
    columns = (bands, *([found.get(text or b"") for text in texts] for found in (sets, grams)))
    return Sketches(*(pa.array(column, pa.binary()) for column in columns))


def _chunks(texts: Sequence[bytes]) -> Iterator[range]:
    start, size = 0, 0
    for row, text in enumerate(texts):
        size += len(text) + 1
        if size >= _CHUNK:
            yield range(start, row + 1)
            start, size = row + 1, 0
    if start < len(texts):
        yield range(start, len(texts))


class _Hashed:
    """The words of some lines: of each its line, and hashes of the n-grams that begin with it."""

    def __init__(self, content: bytes) -> None:
        found = np.frombuffer(content, np.uint8)
        blank = (found == _SEPARATORS[0]) | (found == _SEPARATORS[1])
        before = np.concatenate([[True], blank[:-1]])
        self._starts = np.flatnonzero(~blank & before)
        self._ends = np.flatnonzero(blank & ~before)
        ends_of_lines = np.flatnonzero(found == _SEPARATORS[1])
        self.line = np.searchsorted(ends_of_lines, self._starts)
        powers, self._inverses = _powers(1 << max(len(content) - 1, 1).bit_length())
        self._sums = np.zeros(len(content) + 1, np.uint64)
        np.multiply(np.take(_codes(), found), powers[: len(content)], out=self._sums[1:])
        np.cumsum(self._sums[1:], out=self._sums[1:])

    def grams(self, words: int) -> tuple[npt.NDArray[np.int64], Words64]:
        """Return the line and the hash of each n-gram."""
        last = len(self._starts) - words + 1
        if last <= 0:
            return np.empty(0, np.int64), np.empty(0, np.uint64)
        whole = np.flatnonzero(self.line[:last] == self.line[words - 1 :])
        starts, ends = self._starts[whole], self._ends[whole + words - 1]
        sums = (self._sums[ends] - self._sums[starts]) * self._inverses[starts]
        return self.line[whole], sums * np.uint64(_SPREAD)


class _Sets(NamedTuple):
    """Of some texts the sets, None for a text without; the minima of those with shingles."""

    shingles: list[bytes | None]
    grams: list[bytes | None]
    minima: npt.NDArray[np.uint32]


def _sets(texts: Sequence[bytes]) -> _Sets:
    hashes = _Hashed(b"".join(text + b"\n" for text in texts))
    rows, shingles = _distinct(*hashes.grams(SHINGLE), count=len(texts))
    ends = np.searchsorted(rows, np.arange(len(texts)), side="right")
    filled = np.flatnonzero(np.diff(ends, prepend=0))
    minima = _minima(shingles, np.searchsorted(filled, rows), len(filled))
    lines, values = hashes.grams(GRAM)
    kept = np.flatnonzero((values >> np.uint64(64 - GRAM_BITS)) == 0)
    of_grams = np.searchsorted(lines[kept], np.arange(len(texts)), side="right")
    return _Sets(_cut(shingles, ends), _cut(mixed(values[kept]), of_grams), minima)


def _distinct(
    rows: npt.NDArray[np.int64], values: Words64, *, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """Return the rows and 32 bits of the hashes, sorted within each row and each hash once."""
    found = (mixed(values) >> np.uint64(32)).astype(np.uint32)
    ends = np.searchsorted(rows, np.arange(count), side="right").tolist()
    for begin, end in zip([0, *ends], ends, strict=False):
        found[begin:end].sort()  # many short sorts are five times as fast as one of all
    once = np.ones(len(found), bool)
    once[1:] = (found[1:] != found[:-1]) | (rows[1:] != rows[:-1])
    return rows[once], found[once]


def _cut(values: npt.NDArray[Any], ends: npt.NDArray[np.int64]) -> list[bytes | None]:
    """Return the bytes of each row's values; None for a row without any."""
    content, size = values.tobytes(), values.itemsize
    bounds = (ends * size).tolist()
    return [content[begin:end] or None for begin, end in zip([0, *bounds], bounds, strict=False)]


def _minima(
    shingles: npt.NDArray[np.uint32], rows: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.uint32]:
    """Return the least hash of each group, (count, 64); the hashes are sorted within a row."""
    groups = rows * _GROUPS + (shingles >> np.uint32(_GROUP_SHIFT))
    first = np.flatnonzero(np.diff(groups, prepend=-1))
    flat = np.full(count * _GROUPS, _EMPTY, np.uint32)
    flat[groups[first]] = shingles[first]
    found: npt.NDArray[np.uint32] = flat.reshape(count, _GROUPS)
    given, step = found.copy(), 0
    walk = np.arange(_GROUPS), (2 * mixed(np.arange(_GROUPS, dtype=np.uint64)) + np.uint64(1))
    while (found == _EMPTY).any() and step < _GROUPS:
        step += 1
        donor = (walk[0] + (walk[1] % np.uint64(_GROUPS)).astype(np.int64) * step) % _GROUPS
        found = np.where(found == _EMPTY, given[:, donor], found)
    return found


def _keys(minima: npt.NDArray[np.uint32], companies: Words64, headings: Words64) -> Words64:
    """Return the bucket keys, (count, KEYS)."""
    wide = minima.astype(np.uint64)
    near = _combined(wide.reshape(-1, NEAR_KEYS, NEAR_GROUPS), first=0)
    half = wide[:, : FAMILY_KEYS * FAMILY_GROUPS].reshape(-1, FAMILY_KEYS, FAMILY_GROUPS)
    own = mixed(companies + np.uint64(_POINT))[:, None]
    family = mixed(_combined(half, first=NEAR_KEYS) + own)
    heading = mixed(mixed(headings)[:, None] + own * np.uint64(KEYS))
    return np.concatenate([near, family, heading], axis=1)


def _combined(groups: npt.NDArray[np.uint64], *, first: int) -> Words64:
    """Return one number for each run of groups and its position, (count, keys)."""
    salts = mixed(np.arange(first, first + groups.shape[1], dtype=np.uint64) + np.uint64(1))
    found = np.broadcast_to(salts, groups.shape[:2]).copy()
    for position in range(groups.shape[2]):
        found = mixed(found * np.uint64(_POINT) + groups[:, :, position])
    return found


def mixed(values: Words64) -> Words64:
    """Return numbers whose bits all depend on all bits of the given ones (splitmix64's finish)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@lru_cache(maxsize=2)
def _powers(size: int) -> tuple[Words64, Words64]:
    """Return the powers 0 … size - 1 of the polynomial's point, and of its inverse."""
    inverse = pow(_POINT, -1, 1 << 64)
    made = []
    for point in (_POINT, inverse):
        powers = np.full(size, point, np.uint64)
        powers[0] = 1
        made.append(np.multiply.accumulate(powers))
    return made[0], made[1]


@lru_cache(maxsize=1)
def _codes() -> Words64:
    """Return a number for each byte, so that near bytes are not near numbers."""
    return mixed(np.arange(1, 257, dtype=np.uint64) * np.uint64(_POINT))
