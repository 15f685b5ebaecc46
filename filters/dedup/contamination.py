"""Questions of a benchmark must not be trained on.

Benchmarks come as manifests of hashes, never of images or texts. Images decide: an image of a benchmark is
refused whatever is asked about it. Text decides alone only where it can: templated questions ("What is the
man holding?") are asked of thousands of different images, so a question with images is refused for its text
only if an image is also close to that of the same entry. Where the manifest has no image to compare with,
the whole text has to be equal and long.

Texts are compared by the key of deduplication (`filters.dedup.key`), instructions taken off. A text is refused as well
if a benchmark's question stands somewhere in it, or it somewhere in a benchmark's question; and so is a solution that a
source brought along if one stands in that. A long quotation may have a changed word, but no other number, sign or
negation: that is another question.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from filters.dedup.clusters import ImageHashes
from filters.dedup.key import KEY_RECIPE, Token, key_tokens, question_tokens
from filters.rule import Rule
from pipeline.identity import Identity
from pipeline.records import BenchmarkHit, Decision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION = 4

Reason = Literal["benchmark_image", "benchmark_text", "benchmark_in_solution"]

RULE: Rule[Reason] = Rule("contamination", VERSION)

HitBy = Literal["picture", "mirrored_picture", "text", "solution", "near_picture_and_text"]
_REASONS: dict[str, Reason] = {
    "picture": "benchmark_image",
    "mirrored_picture": "benchmark_image",
    "text": "benchmark_text",
    "solution": "benchmark_in_solution",
}

NGRAM = 8
"""Tokens: words, signs, characters of scripts without spaces. Benchmarks of long texts use 10 to 13; short visual
questions rarely have as many."""
_NGRAM_DIGITS = 16
"""Hex digits kept of an n-gram's hash: among 10^8 of them some chance pair in 3,000 manifests is equal."""

Hex64 = Field(default=None, pattern=r"^[0-9a-f]{16}$")


class ContaminationSettings(Identity):
    """How near is too near. The radii are first guesses, to be tuned on real benchmarks."""

    VERSION: ClassVar[int] = VERSION

    radius: int = Field(default=4, ge=0, le=64)
    """Bits of phash within which an image is a benchmark's, if dhash agrees. Half the radius of deduplication:
    here nothing else, such as the question, has to agree."""
    max_dhash: int = Field(default=8, ge=0, le=64)
    """Bits of dhash, the second signal; as in `DedupSettings`, where it was measured."""
    text_radius: int = Field(default=10, ge=0, le=64)
    """Bits of phash within which an image is close enough for equal text to decide."""
    review_radius: int = Field(default=14, ge=0, le=64)
    """Bits of phash within which an image is close enough for a similar text to be shown to a person; 64 bits of two
    unrelated pictures differ in so few once in 10^5."""
    review_share: float = Field(default=0.5, gt=0, le=1)
    """Jaccard index of the n-grams of two texts from which they are similar; short ones have to be equal."""
    ngram_share: float = Field(default=0.5, gt=0, le=1)
    """Share of a question's n-grams that an entry holds whose image is close."""
    specific_tokens: int = Field(default=13, ge=1)
    """Tokens from which a text is taken for the same question without an image to compare, or within a longer one; 13
    is the n-gram length of lm-evaluation-harness. Within a question shorter ones are found as well, down to 8, if they
    are sentences of their own there; a solution holds any short phrase."""
    tokens_per_change: int = Field(default=25, ge=NGRAM + 1)
    """Tokens of an entry for each changed word that a quotation of it may have. Shorter ones have to be whole: of
    questions that differ in one word of ten, most are different questions."""


class BenchmarkEntry(Identity):
    """One question and image of a benchmark, as hashes."""

    text: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """sha256 of the question's key; None if only the image is protected."""
    ngrams: tuple[str, ...] = ()
    """Hashes of its 8-grams, in order; empty if it has fewer tokens."""
    signs: str = Field(default="", pattern=r"^([0-9a-f]{16})?$")
    """Hash of its numbers, signs and decisive words; empty if it has no 8-gram."""
    opens: tuple[int, ...] = ()
    """Tokens with which its sentences begin, but the first: what is cut out between them may be a question."""
    phash: str | None = Hex64
    dhash: str | None = Hex64
    """Both or neither; a question with several images is several entries."""

    @model_validator(mode="after")
    def _both_hashes(self) -> Self:
        if (self.phash is None) != (self.dhash is None):
            raise ValueError(f"phash is {self.phash} and dhash is {self.dhash}; give both or neither")
        return self


class Benchmark(Identity):
    """What a manifest of `manifests/benchmarks` holds."""

    key: str
    hash_recipe: str
    """Of phash and dhash; must be that of the questions."""
    text_key: str = ""
    """Of texts and n-grams: `filters.dedup.key.KEY_RECIPE` of whoever made it; empty before keys had a name."""
    entries: tuple[BenchmarkEntry, ...]


@dataclass(frozen=True)
class _Entry:
    benchmark: str
    ngrams: tuple[str, ...]
    signs: str
    opens: tuple[int, ...]
    text: str | None
    phash: int | None
    dhash: int | None

    def long(self, tokens: Sequence[Token], settings: ContaminationSettings) -> bool:
        """Return whether entry and text are long enough to be compared without an image."""
        return min(len(self.ngrams) + NGRAM - 1, len(tokens)) >= settings.specific_tokens


@dataclass(frozen=True)
class BenchmarkIndex:
    """Entries of all benchmarks, to be looked up by image, text and n-gram. Made by `index_benchmarks`."""

    recipe: str | None
    entries: tuple[_Entry, ...]
    pictured: Sequence[int]
    """Entries with a picture, in order, and their hashes."""
    phashes: NDArray[np.uint64] | None
    by_text: Mapping[str, Sequence[int]]
    by_ngram: Mapping[str, Sequence[tuple[int, int]]]
    """Entry and place in it."""


def benchmark_entry(text: str | None, phash: int | None, dhash: int | None) -> BenchmarkEntry:
    """Return the manifest entry of a question and one of its images."""
    tokens = question_tokens(text) if text else ()
    ngrams = _ngrams(tokens)
    return BenchmarkEntry(
        text=_text_hash(tokens) if tokens else None,
        ngrams=ngrams,
        signs=_signs(tokens) if ngrams else "",
        opens=tuple(place for place, token in enumerate(tokens) if token.opens and place) if ngrams else (),
        phash=None if phash is None else f"{phash:016x}",
        dhash=None if dhash is None else f"{dhash:016x}",
    )


def index_benchmarks(benchmarks: Sequence[Benchmark]) -> BenchmarkIndex:
    """Return the index of all entries.

    Raises:
        ValueError: the benchmarks were hashed by different recipes, or their texts by another than this.
    """
    others = {benchmark.text_key for benchmark in benchmarks} - {KEY_RECIPE}
    if others:
        raise ValueError(f"benchmarks hold texts under {min(others)}, questions are compared by {KEY_RECIPE}")
    recipes = {benchmark.hash_recipe for benchmark in benchmarks}
    if len(recipes) > 1:
        raise ValueError(f"benchmarks are hashed by different recipes: {', '.join(sorted(recipes))}")
    ordered = sorted(benchmarks, key=lambda benchmark: benchmark.key)
    entries = tuple(_entry(benchmark.key, entry) for benchmark in ordered for entry in benchmark.entries)
    by_text: dict[str, list[int]] = defaultdict(list)
    by_ngram: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, entry in enumerate(entries):
        if entry.text is not None:
            by_text[entry.text].append(number)
        for place, ngram in enumerate(entry.ngrams):
            by_ngram[ngram].append((number, place))
    pictures = {number: entry.phash for number, entry in enumerate(entries) if entry.phash is not None}
    return BenchmarkIndex(
        recipe=min(recipes, default=None),
        entries=entries,
        pictured=tuple(pictures),
        phashes=_array(pictures.values()) if pictures else None,
        by_text=dict(by_text),
        by_ngram=dict(by_ngram),
    )


def decision_on(question_id: str, hit: BenchmarkHit | None) -> Decision:
    """Return what follows from what was found."""
    if hit is None or not hit.stopped:
        return RULE.keep(question_id)
    reason = _REASONS[hit.by]
    score = hit.bits if reason == "benchmark_image" else hit.share
    return RULE.reject(question_id, reason, None if score is None else float(score))


def benchmark_hit(
    question_id: str,
    text: str,
    images: Sequence[ImageHashes],
    index: BenchmarkIndex,
    settings: ContaminationSettings,
    *,
    solution: str = "",
) -> BenchmarkHit | None:
    """Return what of a benchmark a question is: by picture, else text, else solution; else what is only similar.

    `solution` is what the source brought along to be learnt, if anything; it may quote another question than its own.

    Raises:
        ValueError: the images were hashed by another recipe than the benchmarks.
    """
    if not index.entries:
        return None
    other = {image.recipe for image in images} - {index.recipe}
    if other:
        raise ValueError(f"questions are hashed by {min(other)}, benchmarks by {index.recipe}; hash one of them again")
    seen = _seen(images, index, max(settings.radius, settings.text_radius, settings.review_radius))

    def hit(
        number: int, by: HitBy, *, bits: int | None = None, share: float | None = None, stopped: bool = True
    ) -> BenchmarkHit:
        benchmark = index.entries[number].benchmark
        return BenchmarkHit(
            question_id=question_id, benchmark=benchmark, by=by, bits=bits, share=share, stopped=stopped
        )

    if confirmed := _confirmed(seen, settings):
        nearest = min(confirmed, key=lambda one: (one.bits, one.mirrored, one.number))
        return hit(nearest.number, "mirrored_picture" if nearest.mirrored else "picture", bits=nearest.bits)
    near = {one.number: one.bits for one in sorted(seen, key=lambda one: -one.bits)}
    tokens = question_tokens(text)
    if shares := _text_shares(tokens, bool(images), near, index, settings):
        number = _most(shares)
        return hit(number, "text", bits=near.get(number), share=shares[number])
    if quoted := _contained(key_tokens(solution), index, settings, whole=False):
        return hit(_most(quoted), "solution", share=quoted[_most(quoted)])
    if similar := _similar(tokens, near, index, settings):
        number = _most(similar)
        return hit(number, "near_picture_and_text", bits=near[number], share=similar[number], stopped=False)
    return None


def kept_out(benchmark: Benchmark, settings: ContaminationSettings) -> str:
    """Return how a benchmark is kept out, in a sentence for who uses the data."""
    pictures = sum(entry.phash is not None for entry in benchmark.entries)
    texts = sum(entry.text is not None for entry in benchmark.entries)
    return (
        f"{texts} questions and {pictures} pictures. Pictures, also mirrored: within {settings.radius} bits of phash "
        f"and {settings.max_dhash} of dhash ({benchmark.hash_recipe}). Questions ({benchmark.text_key}): equal, or "
        f"quoted from {settings.specific_tokens} tokens on; over pictures within {settings.text_radius} bits "
        f"{settings.ngram_share:.0%} of the {NGRAM}-grams. Not looked for: crops, paraphrases, translations."
    )


class _Seen(NamedTuple):
    """A benchmark's picture near one of a question's."""

    number: int
    bits: int
    confirmed: int
    """Bits of dhash."""
    mirrored: bool


def _seen(images: Sequence[ImageHashes], index: BenchmarkIndex, radius: int) -> list[_Seen]:
    """Return the entries whose picture is within a radius of an image, or of its mirror image."""
    if index.phashes is None:
        return []
    import numpy as np

    found = []
    for image in images:
        for mirrored, pair in ((False, (image.phash, image.dhash)), (True, image.mirrored)):
            if pair is None:
                continue
            bits = np.bitwise_count(index.phashes ^ np.uint64(pair[0]))
            for place in np.flatnonzero(bits <= radius).tolist():
                number = index.pictured[place]
                dhash = _distance(pair[1], index.entries[number].dhash)
                found.append(_Seen(number, int(bits[place]), dhash, mirrored))
    return found


def _confirmed(seen: Sequence[_Seen], settings: ContaminationSettings) -> list[_Seen]:
    return [one for one in seen if one.bits <= settings.radius and one.confirmed <= settings.max_dhash]


def _most(shares: Mapping[int, float]) -> int:
    return max(shares, key=lambda number: (shares[number], -number))


def _similar(
    tokens: Sequence[Token], near: Mapping[int, int], index: BenchmarkIndex, settings: ContaminationSettings
) -> dict[int, float]:
    """Return the entries over a near picture whose text is similar, with the Jaccard index of the n-grams."""
    radius, least = settings.review_radius, settings.review_share
    if not tokens:
        return {}
    ours, name = set(_ngrams(tokens)), _text_hash(tokens)
    found = {}
    for number, bits in near.items():
        entry = index.entries[number]
        both = ours | set(entry.ngrams)
        share = 1.0 if entry.text == name else len(ours.intersection(entry.ngrams)) / len(both) if both else 0.0
        if bits <= radius and share >= least:
            found[number] = share
    return found


def _text_shares(
    tokens: Sequence[Token],
    pictured: bool,
    near: Mapping[int, int],
    index: BenchmarkIndex,
    settings: ContaminationSettings,
) -> dict[int, float]:
    """Return the entries that decide, with how much of the text each holds, or of the entry the text.

    `near` are the entries with a near picture, and how near. Over another picture a text is a template, unless the
    entry has none and it is long.
    """
    if not tokens:
        return {}
    same = set(index.by_text.get(_text_hash(tokens), ()))
    unpictured = {
        number: share
        for number, share in (dict.fromkeys(same, 1.0) | _contained(tokens, index, settings, whole=True)).items()
        if not pictured or (index.entries[number].phash is None and index.entries[number].long(tokens, settings))
    }
    over_near = {
        number: share
        for number, share in (_shares(tokens, index) | dict.fromkeys(same, 1.0)).items()
        if share >= settings.ngram_share and near.get(number, 64) <= settings.text_radius
    }
    return {
        number: max(unpictured.get(number, 0.0), over_near.get(number, 0.0)) for number in unpictured.keys() | over_near
    }


def _shares(tokens: Sequence[Token], index: BenchmarkIndex) -> dict[int, float]:
    """Return the entries that have n-grams of a text, with the share of its n-grams that they hold."""
    ngrams = frozenset(_ngrams(tokens))
    found = {number for ngram in ngrams for number, _ in index.by_ngram.get(ngram, ())}
    return {number: len(ngrams.intersection(index.entries[number].ngrams)) / len(ngrams) for number in found}


class _Hit(NamedTuple):
    """An n-gram of a text that an entry has as well."""

    ours: int
    theirs: int


def _contained(
    tokens: Sequence[Token], index: BenchmarkIndex, settings: ContaminationSettings, *, whole: bool
) -> dict[int, float]:
    """Return the entries that stand within a text, or within which it stands, and how much of them it holds.

    `whole`: the text is a question. Then it may also stand within an entry, and an entry that is short is found where
    it is sentences of their own.
    """
    ngrams, per_change = _ngrams(tokens), settings.tokens_per_change
    hits: dict[int, list[_Hit]] = defaultdict(list)
    for ours, ngram in enumerate(ngrams):
        for number, theirs in index.by_ngram.get(ngram, ()):
            hits[number].append(_Hit(ours, theirs))
    found: dict[int, float] = {}
    for number, some in hits.items():
        entry = index.entries[number]
        within = whole and _stands_within(some, len(ngrams), entry, settings)
        allowed = (len(entry.ngrams) + NGRAM - 1) // per_change
        if within or _quotes(tokens, some, entry, allowed, settings.specific_tokens, whole=whole):
            found[number] = min(1.0, len({hit.theirs for hit in some}) / len(entry.ngrams))
    return found


def _stands_within(hits: Sequence[_Hit], count: int, entry: _Entry, settings: ContaminationSettings) -> bool:
    """Return whether all `count` n-grams of a text follow each other in an entry, and are long or sentences there."""
    ((start, times),) = Counter(hit.theirs - hit.ours for hit in hits).most_common(1)
    size = count + NGRAM - 1
    bounds = {0, *entry.opens, len(entry.ngrams) + NGRAM - 1}
    return times >= count and (size >= settings.specific_tokens or {start, start + size} <= bounds)


def _quotes(
    tokens: Sequence[Token], hits: Sequence[_Hit], entry: _Entry, allowed: int, specific: int, *, whole: bool
) -> bool:
    """Return whether a text holds all of an entry, or all but the `allowed` words of a long one.

    Where most n-grams lie is where the entry would begin; what changed are the tokens there that no n-gram covers.
    """
    size = len(entry.ngrams) + NGRAM - 1
    ((offset, _),) = Counter(hit.ours - hit.theirs for hit in hits).most_common(1)
    around = [hit for hit in hits if abs(hit.ours - hit.theirs - offset) <= allowed]
    first, last = min(around, key=lambda hit: hit.theirs), max(around, key=lambda hit: hit.theirs)
    start, end = first.ours - first.theirs, last.ours - last.theirs + size
    if not 0 <= start < end <= len(tokens):
        return False
    covered = {place for hit in around for place in range(hit.ours, hit.ours + NGRAM)}
    missing = len({hit.theirs for hit in around}) < len(entry.ngrams)
    changes = max(sum(place not in covered for place in range(start, end)), abs(end - start - size), int(missing))
    if changes > allowed or (changes and _signs(tokens[start:end]) != entry.signs):
        return False
    alone = tokens[start].opens and (end == len(tokens) or tokens[end].opens)
    return size >= specific or (whole and alone)


def _distance(ours: int, theirs: int | None) -> int:
    return 64 if theirs is None else (ours ^ theirs).bit_count()


def _array(values: Iterable[int]) -> NDArray[np.uint64]:
    import numpy as np

    return np.fromiter(values, np.uint64)


def _entry(benchmark: str, entry: BenchmarkEntry) -> _Entry:
    return _Entry(
        benchmark=benchmark,
        ngrams=entry.ngrams,
        signs=entry.signs,
        opens=entry.opens,
        text=entry.text,
        phash=None if entry.phash is None else int(entry.phash, 16),
        dhash=None if entry.dhash is None else int(entry.dhash, 16),
    )


def _text_hash(tokens: Sequence[Token]) -> str:
    return hashlib.sha256(" ".join(token.text for token in tokens).encode()).hexdigest()


def _ngrams(tokens: Sequence[Token]) -> tuple[str, ...]:
    """Return the hashes of all n-grams in order; scripts without spaces have a token for each character."""
    return tuple(_text_hash(tokens[start : start + NGRAM])[:_NGRAM_DIGITS] for start in range(len(tokens) - NGRAM + 1))


# fmt: off
_DECISIVE = frozenset({
    "not", "no", "non", "never", "without", "except", "left", "right", "more", "less", "fewer", "most",
    "least", "before", "after", "above", "below", "first", "last", "one", "two", "three", "four", "five",
    "six", "seven", "eight", "nine", "ten", "nicht", "kein", "keine", "ohne", "links", "rechts", "mehr",
    "weniger", "vor", "nach", "ne", "pas", "sans", "gauche", "droite", "plus", "moins", "avant", "après",
    "sin", "izquierda", "derecha", "más", "menos", "antes", "después", "não", "sem", "esquerda", "direita",
    "mais", "depois", "नहीं", "बिना", "बाएँ", "दाएँ", "अधिक", "कम", "पहले", "बाद", "不", "没", "无", "非", "左",
    "右", "多", "少", "前", "后", "後", "上", "下", "一", "二", "三", "四", "五", "六", "七", "八", "九", "十",
})
# fmt: on
"""Words with which a question is another one although nearly all of it is the same; others in other languages are seen
as any word is."""


def _signs(tokens: Sequence[Token]) -> str:
    """Return a hash of what may not change where a word may: numbers, signs, single letters, words that decide."""
    signs = [
        token.text
        for token in tokens
        if token.text in _DECISIVE or not token.text.isalpha() or (len(token.text) == 1 and token.text.isascii())
    ]
    return hashlib.sha256(" ".join(signs).encode()).hexdigest()[:_NGRAM_DIGITS]
