"""Which questions over one picture, or without any, read nearly alike: reported, dropped if a recipe says so.

"Left of" and "right of" are near. So is nothing a repeat for its words alone: a question is dropped, if at all, for one
whose answer agrees with its own.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from filters.dedup.answers import Verdict, compare_answers
from filters.dedup.clusters import DedupSettings, ImageHashes, QuestionRow, are_near, priority
from pipeline.records import Made, NearText

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NGRAM = 4
"""Characters, so that scripts without spaces are compared alike."""
_ALL_PAIRS = 64
"""Questions up to which each is compared with each: 2,016 pairs."""
_BANDS, _ROWS = 25, 4
"""Of MinHash: of texts that share 0.6 of their n-grams 97 % become candidates, of 0.7 99.9 %, of 0.3 18 %."""
_MOST = 30
"""Questions of a bucket that each is compared with, as in `filters.dedup.agreement`: of thousands that a template made
each is shown beside some, and not beside all."""
_TOLD = 3
"""Questions beside which one is shown, the best first: what a template asks of one picture is all near, and would be as
many pairs as the square of it. A recipe that drops looks on for one whose answer agrees."""
_VERDICTS: tuple[Verdict, ...] = ("agree", "contradict", "undecided")
_BATCH = 10_000
"""Texts whose n-grams are in memory at once: some 50 MB."""


# Pairs are held as 26 bytes each: places of rows, and the place of a verdict in `_VERDICTS`.
_PAIR = [("goes", "i8"), ("stays", "i8"), ("share", "f8"), ("answers", "i1"), ("dropped", "?")]


def near_texts(
    rows: Sequence[QuestionRow],
    kept: Iterable[int],
    facts: Mapping[str, ImageHashes],
    near: Mapping[str, tuple[str, ...]],
    *,
    pictures: Sequence[str],
    settings: DedupSettings,
) -> Sequence[NearText]:
    """Return the pairs that read nearly alike: the one that would go first, the one that would stay second.

    Args:
        rows: `keyed`.
        kept: places of those that are kept up to here; what is dropped is dropped for one of them.
        facts: by image sha256.
        near: of `near_images`.
        pictures: for each row the name of all that are tied to its own (`tied_pictures`).
        settings: which say from where on texts are near, and whether some go.
    """
    import numpy as np

    blocks: dict[Hashable, array[int]] = defaultdict(lambda: array("q"))
    for place in kept:
        blocks[pictures[place], len(rows[place].images)].append(place)
    pairs = (pair for block in blocks.values() for pair in _pairs(rows, block, facts, near, settings=settings))
    found = np.fromiter(pairs, dtype=_PAIR)
    found = found[np.lexsort((found["stays"], found["goes"]))]
    ids = [row.question_id for row in rows]

    def columns(begin: int, end: int) -> Mapping[str, Any]:
        some = found[begin:end]
        return {
            "question_id": [ids[place] for place in some["goes"].tolist()],
            "other": [ids[place] for place in some["stays"].tolist()],
            "share": some["share"],
            "answers": [_VERDICTS[number] for number in some["answers"].tolist()],
            "dropped": some["dropped"],
        }

    return Made(NearText, len(found), columns)


def _pairs(
    rows: Sequence[QuestionRow],
    places: Iterable[int],
    facts: Mapping[str, ImageHashes],
    near: Mapping[str, tuple[str, ...]],
    *,
    settings: DedupSettings,
) -> Iterator[tuple[int, int, float, int, bool]]:
    """Yield the pairs of one block, as `_PAIR` has them."""
    block = sorted(places, key=lambda place: priority(rows[place], facts))
    gone: set[int] = set()
    for goes, candidates in zip(block, _candidates([rows[place].text for place in block]), strict=True):
        told = 0
        for stays in map(block.__getitem__, candidates):
            share = _jaccard(rows[stays].text, rows[goes].text, settings.near_share)
            if share < settings.near_share or not are_near(rows[stays], rows[goes], near):
                continue
            answers = compare_answers(rows[stays], rows[goes])
            dropped = settings.near_text == "drop" and answers == "agree" and stays not in gone
            if told < _TOLD or dropped:
                told += 1
                yield goes, stays, share, _VERDICTS.index(answers), dropped
            if dropped:
                gone.add(goes)
            if dropped or (told == _TOLD and settings.near_text == "report"):
                break


def _candidates(texts: Sequence[str]) -> Iterable[Iterable[int]]:
    """Yield, for one after the other, those before it that are worth a look, in their order."""
    return map(range, range(len(texts))) if len(texts) <= _ALL_PAIRS else map(sorted, _by_minhash(texts))


def _by_minhash(texts: Sequence[str]) -> Iterator[set[int]]:
    """Yield for each those that share a band of its MinHash; it is compared with the first of its bucket only.

    Buckets are runs of equal numbers in a sorted band, 17 bytes a text and band. As dictionaries, of which a text
    without a picture fills 25, they took some thousand bytes of each.
    """
    import numpy as np

    bands = _minhashes(texts)
    orders: list[array[int]] = []
    begins, ranks = np.empty(bands.T.shape, np.int32), np.empty(bands.T.shape, np.int8)
    places = np.arange(len(texts), dtype=np.int32)
    for band, begin, rank in zip(bands, begins.T, ranks.T, strict=True):
        order = np.argsort(band, kind="stable")
        orders.append(array("i", order.astype(np.int32).tobytes()))
        another = np.diff(band[order], prepend=~band[order[0]]) != 0
        of_bucket = np.maximum.accumulate(np.where(another, places, 0))
        begin[order], rank[order] = of_bucket, np.minimum(places - of_bucket, _MOST)
    for place in places.tolist():
        found = set[int]()
        if ranks[place].any():
            for bucket, first, count in zip(orders, begins[place].tolist(), ranks[place].tolist(), strict=True):
                if count:
                    found.update(bucket[first : first + count])
        yield found


def _minhashes(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return a number for each band (row) and text (column); those of two unequal bands are equal once in 2^64."""
    import numpy as np
    from rensa import RMinHash

    numbers = np.empty((_BANDS, len(texts)), np.uint64)
    for start in range(0, len(texts), _BATCH):
        grams = [_ngrams(text) for text in texts[start : start + _BATCH]]
        digests = RMinHash.digests_from_token_sets(grams, num_perm=_BANDS * _ROWS, seed=0)
        words = np.array(digests, np.uint64).reshape(len(grams), _BANDS, _ROWS)
        mixed = words[..., 0]
        for row in range(1, _ROWS):
            mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + words[..., row]
        numbers[:, start : start + len(grams)] = mixed.T
    return numbers


@lru_cache(maxsize=1 << 10)  # the first of a block stand beside many
def _ngrams(text: str) -> frozenset[str]:
    return frozenset([text[start : start + _NGRAM] for start in range(max(1, len(text) - _NGRAM + 1))])


@lru_cache(maxsize=1 << 14)  # of a source, the same questions are asked of many pictures
def _jaccard(one: str, other: str, least: float) -> float:
    """Return the Jaccard index of two texts; of those that differ too much in length no more than that it is less."""
    ours, theirs = _ngrams(one), _ngrams(other)
    fewer, more = sorted((len(ours), len(theirs)))
    if fewer / more < least:
        return 0.0
    both = len(ours & theirs)
    return both / (len(ours) + len(theirs) - both)
