"""Sketches: the same sets as those of Python, with any texts around them."""

import hashlib
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.prepare.repeats import likeness, sketch
from tests.steps.prepare.support import edited

TEXTS = st.lists(
    st.one_of(
        st.none(),
        st.lists(st.text("abcé1_", min_size=1, max_size=4), max_size=40).map(
            lambda words: " ".join(words).encode()
        ),
    ),
    max_size=8,
)


def sketched(texts: list[bytes | None]) -> sketch.Sketches:
    return sketch.sketched(texts, [7] * len(texts), list(range(len(texts))))


@given(TEXTS)
def test_a_text_has_one_number_for_each_of_its_shingles(texts: list[bytes | None]) -> None:
    found = sketched(texts)
    for text, numbers, bands in zip(texts, found.shingles, found.bands, strict=True):
        sets = edited.shingles((text or b"").decode().split())
        if not sets:
            assert numbers.as_py() is None
            assert bands.as_py() is None
            continue
        values = np.frombuffer(numbers.as_py(), np.uint32)
        assert len(values) == len(sets)
        assert (values[1:] > values[:-1]).all()
        assert len(bands.as_py()) == 8 * sketch.KEYS


@given(TEXTS, st.binary(max_size=0) | st.just(b"other words of another text here"))
def test_a_sketch_does_not_depend_on_the_texts_around_it(
    texts: list[bytes | None], other: bytes
) -> None:
    alone = [sketch.sketched([text], [7], [at]) for at, text in enumerate(texts)]
    together = sketch.sketched([other, *texts], [7] * (len(texts) + 1), [0, *range(len(texts))])
    for name in sketch.Sketches._fields:
        values = [value for one in alone for value in getattr(one, name).to_pylist()]
        assert getattr(together, name).to_pylist()[1:] == values


def test_many_chunks_have_the_sketches_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(3)  # noqa: S311 - test data
    texts: list[bytes | None] = [" ".join(edited.text(draw, 80)).encode() for _ in range(20)]
    whole = sketched(texts)
    monkeypatch.setattr(sketch, "_CHUNK", 1_000)
    assert sketched(texts) == whole


def test_the_similarity_is_that_of_pythons_own_sets() -> None:
    draw = random.Random(5)  # noqa: S311 - test data
    pairs = []
    for share in (0.0, 0.02, 0.1, 0.5, 1.0):
        words = edited.text(draw, 120)
        pairs.append((words, edited.edited(draw, words, share)))
    sides = [
        sketched([" ".join(pair[side]).encode() for pair in pairs]).shingles for side in (0, 1)
    ]
    assert likeness.jaccard(*sides).tolist() == pytest.approx(
        [edited.similarity(*pair) for pair in pairs]
    )


def test_a_companys_keys_are_its_own_and_the_others_cross_companies() -> None:
    text = " ".join(edited.text(random.Random(1), 90)).encode()  # noqa: S311 - test data
    found = sketch.sketched([text] * 3, [7, 7, 8], [1, 1, 1])
    keys = [np.frombuffer(bands, np.int64) for bands in found.bands.to_pylist()]
    assert (keys[0] == keys[1]).all()
    same = keys[0] == keys[2]
    assert same[: sketch.NEAR_KEYS].all()
    assert not same[sketch.NEAR_KEYS :].any()


def test_the_numbers_of_a_text_stay_what_they_are() -> None:
    """Family ids and rows must not change with the machine or the library."""
    text = b"the loss of a customer could harm our revenue and our results"
    found = sketch.sketched([text], [1001], [5])
    digests = [hashlib.sha256(column[0].as_py()).hexdigest()[:16] for column in found[:2]]
    assert digests == ["cacac41ec22334c4", "f6027211c2f3d06e"]
