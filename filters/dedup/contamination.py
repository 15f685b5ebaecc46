"""Questions of a benchmark must not be trained on.

Benchmarks come as manifests of hashes, never of images or texts. Images decide: an image of a benchmark is
refused whatever is asked about it. Text decides alone only where it can: templated questions ("What is the
man holding?") are asked of thousands of different images, so a question with images is refused for its text
only if an image is also close to that of the same entry. Where the manifest has no image to compare with,
the whole text has to be equal and long.

A question without images is also refused if a benchmark's question stands somewhere in it, and a solution that
a source brought along if one stands in that.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from filters.dedup.clusters import ImageHashes
from filters.rule import Rule
from pipeline.identity import Identity, normalise_question
from pipeline.records import Decision

VERSION = 2

Reason = Literal["benchmark_image", "benchmark_text", "benchmark_in_solution"]

_RULE: Rule[Reason] = Rule("contamination", VERSION)

NGRAM = 8
"""Tokens. Benchmarks of long texts use 10 to 13; short visual questions rarely have as many."""
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
    ngram_share: float = Field(default=0.5, gt=0, le=1)
    """Share of a question's n-grams that an entry holds. A single one is no evidence: "answer the question
    using a single word or phrase" is one, and ends half of all visual questions."""
    specific_tokens: int = Field(default=13, ge=1)
    """Tokens from which an equal text is taken for the same question without an image to compare; 13 is the
    n-gram length of lm-evaluation-harness."""
    quoted_share: float = Field(default=0.8, gt=0, le=1)
    """Share of an entry's n-grams that a longer text holds if it quotes that question. One changed word of 50 takes
    a fifth of them. Entries below `specific_tokens` are never looked for: a long text holds any short phrase."""


class BenchmarkEntry(Identity):
    """One question and image of a benchmark, as hashes."""

    text: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """sha256 of the normalised question; None if only the image is protected."""
    ngrams: tuple[str, ...] = ()
    """Hashes of its 8-grams, sorted; empty if it has fewer tokens."""
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
    entries: tuple[BenchmarkEntry, ...]


@dataclass(frozen=True)
class _Entry:
    benchmark: str
    ngrams: frozenset[str]
    text: str | None
    phash: int | None
    dhash: int | None


@dataclass(frozen=True)
class BenchmarkIndex:
    """Entries of all benchmarks, to be looked up by image, text and n-gram. Made by `index_benchmarks`."""

    recipe: str | None
    entries: tuple[_Entry, ...]
    by_band: dict[tuple[int, int], tuple[int, ...]]
    by_text: dict[str, tuple[int, ...]]
    by_ngram: dict[str, tuple[int, ...]]
    bands: int


def benchmark_entry(text: str | None, phash: int | None, dhash: int | None) -> BenchmarkEntry:
    """Return the manifest entry of a question and one of its images."""
    tokens = normalise_question(text).split() if text else []
    return BenchmarkEntry(
        text=_text_hash(tokens) if tokens else None,
        ngrams=tuple(sorted(_ngrams(tokens))),
        phash=None if phash is None else f"{phash:016x}",
        dhash=None if dhash is None else f"{dhash:016x}",
    )


def index_benchmarks(benchmarks: Sequence[Benchmark], settings: ContaminationSettings) -> BenchmarkIndex:
    """Return the index of all entries.

    Raises:
        ValueError: the benchmarks were hashed by different recipes.
    """
    recipes = {benchmark.hash_recipe for benchmark in benchmarks}
    if len(recipes) > 1:
        raise ValueError(f"benchmarks are hashed by different recipes: {', '.join(sorted(recipes))}")
    ordered = sorted(benchmarks, key=lambda benchmark: benchmark.key)
    entries = tuple(_entry(benchmark.key, entry) for benchmark in ordered for entry in benchmark.entries)
    # Two hashes within r bits agree in at least one of r + 1 bands.
    bands = min(64, max(settings.radius, settings.text_radius) + 1)
    by_band: dict[tuple[int, int], list[int]] = defaultdict(list)
    by_text: dict[str, list[int]] = defaultdict(list)
    by_ngram: dict[str, list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        if entry.phash is not None:
            for band in _bands(entry.phash, bands):
                by_band[band].append(number)
        if entry.text is not None:
            by_text[entry.text].append(number)
        for ngram in entry.ngrams:
            by_ngram[ngram].append(number)
    return BenchmarkIndex(
        recipe=min(recipes, default=None),
        entries=entries,
        by_band={key: tuple(numbers) for key, numbers in by_band.items()},
        by_text={key: tuple(numbers) for key, numbers in by_text.items()},
        by_ngram={key: tuple(numbers) for key, numbers in by_ngram.items()},
        bands=bands,
    )


def contaminated(
    question_id: str,
    text: str,
    images: Sequence[ImageHashes],
    index: BenchmarkIndex,
    settings: ContaminationSettings,
    *,
    solution: str = "",
) -> Decision:
    """Reject a question of a benchmark. The score is the distance in bits for an image, the share for a text.

    `solution` is what the source brought along to be learnt, if anything; it may quote another question than its own.

    Raises:
        ValueError: the images were hashed by another recipe than the benchmarks.
    """
    other = {image.recipe for image in images} - {index.recipe}
    if other and index.entries:
        raise ValueError(f"questions are hashed by {min(other)}, benchmarks by {index.recipe}; hash one of them again")
    near = _near(images, index)
    distance = _image_distance(images, near, index, settings)
    if distance is not None:
        return _RULE.reject(question_id, "benchmark_image", float(distance))
    share = _text_share(text, images, near, index, settings)
    if share is not None:
        return _RULE.reject(question_id, "benchmark_text", share)
    quoted = _quoted_share(solution, index, settings)
    if quoted is not None:
        return _RULE.reject(question_id, "benchmark_in_solution", quoted)
    return _RULE.keep(question_id)


def _image_distance(
    images: Sequence[ImageHashes], near: set[int], index: BenchmarkIndex, settings: ContaminationSettings
) -> int | None:
    """Return the phash distance of the nearest benchmark image that dhash confirms."""
    distances = [
        _distance(image.phash, entry.phash)
        for image in images
        for entry in (index.entries[number] for number in near)
        if _distance(image.dhash, entry.dhash) <= settings.max_dhash
    ]
    best = min(distances, default=64)
    return best if best <= settings.radius else None


def _text_share(
    text: str, images: Sequence[ImageHashes], near: set[int], index: BenchmarkIndex, settings: ContaminationSettings
) -> float | None:
    """Return how much of the text an entry holds, if that is enough to decide."""
    tokens = normalise_question(text).split()
    if not tokens:
        return None
    same = set(index.by_text.get(_text_hash(tokens), ()))
    shares = dict.fromkeys(same, 1.0)
    ngrams = _ngrams(tokens)
    for ngram in ngrams:
        for number in index.by_ngram.get(ngram, ()):
            if number not in shares:
                shares[number] = len(ngrams & index.entries[number].ngrams) / len(ngrams)
    enough = [
        share
        for number, share in shares.items()
        if share >= settings.ngram_share
        and (
            not images
            or (number in near and _closest(images, index.entries[number]) <= settings.text_radius)
            or (number in same and index.entries[number].phash is None and len(tokens) >= settings.specific_tokens)
        )
    ]
    quoted = None if images else _quoted_share(text, index, settings)
    return max((*enough, *(() if quoted is None else (quoted,))), default=None)


def _quoted_share(text: str, index: BenchmarkIndex, settings: ContaminationSettings) -> float | None:
    """Return how much of the entry that a text quotes most it holds, if that is enough to decide."""
    held = Counter(
        number
        for ngram in _ngrams(normalise_question(text).split())
        for number in index.by_ngram.get(ngram, ())
        if len(index.entries[number].ngrams) > settings.specific_tokens - NGRAM
    )
    best = max((count / len(index.entries[number].ngrams) for number, count in held.items()), default=0.0)
    return best if best >= settings.quoted_share else None


def _near(images: Sequence[ImageHashes], index: BenchmarkIndex) -> set[int]:
    """Return the entries that share a band with an image: all that may be near it."""
    return {
        number
        for image in images
        for band in _bands(image.phash, index.bands)
        for number in index.by_band.get(band, ())
    }


def _closest(images: Sequence[ImageHashes], entry: _Entry) -> int:
    return min(_distance(image.phash, entry.phash) for image in images)


def _distance(ours: int, theirs: int | None) -> int:
    return 64 if theirs is None else (ours ^ theirs).bit_count()


def _bands(value: int, count: int) -> Iterator[tuple[int, int]]:
    for number in range(count):
        low, high = 64 * number // count, 64 * (number + 1) // count
        yield number, value >> low & ((1 << high - low) - 1)


def _entry(benchmark: str, entry: BenchmarkEntry) -> _Entry:
    return _Entry(
        benchmark=benchmark,
        ngrams=frozenset(entry.ngrams),
        text=entry.text,
        phash=None if entry.phash is None else int(entry.phash, 16),
        dhash=None if entry.dhash is None else int(entry.dhash, 16),
    )


def _text_hash(tokens: Sequence[str]) -> str:
    return hashlib.sha256(" ".join(tokens).encode()).hexdigest()


def _ngrams(tokens: Sequence[str]) -> frozenset[str]:
    return frozenset(
        _text_hash(tokens[start : start + NGRAM])[:_NGRAM_DIGITS] for start in range(len(tokens) - NGRAM + 1)
    )
