"""Which questions over one picture, or without any, read nearly alike: reported, dropped if a recipe says so.

"Left of" and "right of" are near. So is nothing a repeat for its words alone: a question is dropped, if at all, for one
whose answer agrees with its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from filters.dedup.answers import compare_answers
from filters.dedup.clusters import DedupSettings, ImageHashes, QuestionRow, are_near, priority
from filters.dedup.key import question_key
from pipeline.records import NearText

_NGRAM = 4
"""Characters, so that scripts without spaces are compared alike."""
_ALL_PAIRS = 64
"""Questions up to which each is compared with each: 2,016 pairs."""
_BANDS, _ROWS = 25, 4
"""Of MinHash: of texts that share 0.6 of their n-grams 97 % become candidates, of 0.7 99.9 %, of 0.3 18 %."""
_MOST = 30
"""Questions of a bucket that each is compared with, as in `filters.dedup.agreement`: of thousands that a template made
each is shown beside some, and not beside all."""
_BATCH = 10_000
"""Texts whose n-grams are in memory at once: some 50 MB."""


def near_texts(
    rows: Sequence[QuestionRow],
    facts: Mapping[str, ImageHashes],
    near: Mapping[str, tuple[str, ...]],
    pictures: Mapping[str, str],
    settings: DedupSettings,
) -> tuple[NearText, ...]:
    """Return the pairs that read nearly alike: the one that would go first, the one that would stay second.

    Args:
        rows: that are kept up to here; what is dropped is dropped for one of them.
        facts: by image sha256.
        near: of `near_images`.
        pictures: of `picture_clusters`.
        settings: which say from where on texts are near, and whether some go.
    """
    blocks: dict[Hashable, list[QuestionRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: priority(row, facts)):
        blocks[pictures[row.question_id], len(row.images)].append(row)
    found = []
    for block in blocks.values():
        gone: set[str] = set()
        texts = [question_key(row.text) for row in block]
        for first, second in _candidates(texts):
            stays, goes = block[first], block[second]
            share = _jaccard(texts[first], texts[second])
            if share < settings.near_share or not are_near(stays, goes, near):
                continue
            answers = compare_answers(stays, goes)
            dropped = settings.near_text == "drop" and answers == "agree" and not gone & {stays.question_id}
            gone |= {goes.question_id} if dropped else set()
            found.append(
                NearText(
                    question_id=goes.question_id, other=stays.question_id, share=share, answers=answers, dropped=dropped
                )
            )
    return tuple(sorted(found, key=lambda text: (text.question_id, text.other)))


def _candidates(texts: Sequence[str]) -> Iterable[tuple[int, int]]:
    """Yield the pairs that are worth a look, the one that would go second, in its order."""
    if len(texts) <= _ALL_PAIRS:
        return ((first, second) for second in range(len(texts)) for first in range(second))
    return sorted(set(_by_minhash(texts)), key=lambda pair: pair[::-1])


def _by_minhash(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the pairs that share a band of their MinHash; each is compared with the first of its bucket only."""
    from rensa import RMinHash

    buckets: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for start in range(0, len(texts), _BATCH):
        grams = [sorted(_ngrams(text)) for text in texts[start : start + _BATCH]]
        for place, digest in enumerate(RMinHash.digests_from_token_sets(grams, num_perm=_BANDS * _ROWS, seed=0), start):
            for band in range(_BANDS):
                bucket = buckets[band, *digest[band * _ROWS : (band + 1) * _ROWS]]
                yield from ((other, place) for other in bucket)
                if len(bucket) < _MOST:
                    bucket.append(place)


def _ngrams(text: str) -> frozenset[str]:
    return frozenset(text[start : start + _NGRAM] for start in range(max(1, len(text) - _NGRAM + 1)))


@lru_cache(maxsize=1 << 14)  # of a source, the same questions are asked of many pictures
def _jaccard(one: str, other: str) -> float:
    ours, theirs = _ngrams(one), _ngrams(other)
    return len(ours & theirs) / len(ours | theirs)
