"""Which questions are one for training: near-equal images, the same key (`filters.dedup.key`) and answers that agree.

Questions of equal key are grouped first; inside a group, a question is the neighbour of another if their
images are near one by one. Groups are then cut into stars: the best unassigned question becomes the
representative and takes its unassigned neighbours. Every member is therefore near its representative,
which single linkage does not give, and two representatives are never neighbours, so that a second pass
changes nothing. Questions without images are one cluster per key.

Such a cluster of pictures and key holds whatever answers its questions have: SFT and RL never share one. Inside it,
`filters.dedup.agreement` decides which are repeats: forms and charts of one layout differ in small print only, which
hashes of pictures do not see, and answers do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, pairwise
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeVar

from pydantic import Field

from filters.dedup.hamming import near_pairs
from filters.dedup.key import question_key
from pipeline.identity import Identity
from pipeline.records import AnswerType, PictureKey

if TYPE_CHECKING:
    from filters.dedup.hamming import Spread

VERSION = 5
"""Of all that dedup decides; `filters.dedup.key` and `filters.dedup.agreement` are part of it."""

Node = TypeVar("Node", bound=Hashable)


class DedupSettings(Identity):
    """When two images count as one. A phash alone merges pictures that share only their layout."""

    VERSION: ClassVar[int] = VERSION

    radius: int = Field(default=8, ge=0, le=64)
    """Bits of phash. Almost all hashes have 32 bits set, so distances are even and 9 would add nothing."""
    max_dhash: int = Field(default=8, ge=0, le=64)
    """Bits of dhash, the second signal. Measured on 23 sheets of the demo: JPEG of quality 60 and 90 and half
    the size move a sheet by at most 6 bits of phash and 8 of dhash; different sheets differ by 14 and 9 or more."""
    max_aspect_change: float = Field(default=0.02, ge=0)
    """Relative. Rounding of a thumbnail to whole pixels stays below it down to a short side of 50."""
    near_text: Literal["report", "drop"] = "report"
    """What becomes of a question that reads nearly as another over the same picture, or without any: it is reported, or
    dropped if the answers agree as well."""
    near_share: float = Field(default=0.6, gt=0, le=1)
    """Jaccard index of their n-grams of four characters from which texts are near: one word of eight is another."""


class ImageHashes(NamedTuple):
    """What is needed of one image."""

    phash: int
    dhash: int
    width: int
    height: int
    recipe: str
    """Hashes of different recipes must not be compared."""
    pixels: str = ""
    """sha256 of mode, size and pixels; empty where it was not measured."""
    mirrored: tuple[int, int] | None = None
    """phash and dhash of the mirror image; None where they were not measured."""


class QuestionRow(NamedTuple):
    """The columns of a question that are needed."""

    question_id: str
    text: str
    """As stored; of rows that are `keyed`, its key."""
    images: tuple[str, ...]
    """sha256 of each image, in order."""
    answers: tuple[str, ...] = ()
    """What is right, in words: the text of an option, not its letter."""
    answer_type: AnswerType = "text"
    tolerance: float | None = None
    choices: tuple[str, ...] = ()
    """The options it is asked with."""
    offered: tuple[str, ...] = ()
    """Those that its source offers, where it is asked without them."""


def hashes_of(pictures: Iterable[PictureKey]) -> dict[str, ImageHashes]:
    """Return the hashes of pictures by sha256."""
    return {
        key.sha256: ImageHashes(
            key.phash,
            key.dhash,
            key.width,
            key.height,
            key.hash_recipe,
            key.pixels or "",
            None
            if key.mirrored_phash is None or key.mirrored_dhash is None
            else (key.mirrored_phash, key.mirrored_dhash),
        )
        for key in pictures
    }


def confirmed(a: ImageHashes, b: ImageHashes, *, max_dhash: int, max_aspect_change: float) -> bool:
    """Return whether dhash and aspect ratio agree that two images with near phashes are one."""
    # Cross-multiplied, so that it is symmetric: w_a / h_a against w_b / h_b.
    low, high = sorted((a.width * b.height, b.width * a.height))
    return (a.dhash ^ b.dhash).bit_count() <= max_dhash and high - low <= max_aspect_change * low


def star_clusters(order: Iterable[Node], neighbours: Callable[[Node], Iterable[Node]]) -> dict[Node, Node]:
    """Return the representative of every node of `order`.

    Walks `order`; a node without a representative becomes one and takes all its unassigned neighbours.
    The result depends on `order` alone, so give one that does not depend on the order of the input.
    """
    representative: dict[Node, Node] = {}
    for node in order:
        if node in representative:
            continue
        for member in chain((node,), neighbours(node)):
            representative.setdefault(member, node)
    return representative


def picture_stars(
    rows: Sequence[QuestionRow], facts: Mapping[str, ImageHashes], near: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[int, ...]]:
    """Yield the clusters of pictures and key: the places of their rows, best first.

    That is, the largest images (in pixels, summed), then the lowest id.

    Args:
        rows: their texts are keys (`keyed`).
        facts: by image sha256.
        near: of `near_images`.
    """
    for _, some in groupby(sorted(range(len(rows)), key=lambda place: rows[place].text), lambda at: rows[at].text):
        alike: dict[int, dict[QuestionRow, int]] = defaultdict(dict)
        for place in some:
            alike[len(rows[place].images)][rows[place]] = place
        for places in alike.values():
            members: dict[QuestionRow, list[QuestionRow]] = defaultdict(list)
            for member, centre in _stars([*places], facts, near).items():
                members[centre].append(member)
            for centre, group in members.items():
                # Ranked only where there is something to rank.
                rest = (row for row in group if row is not centre)
                yield (places[centre], *(places[row] for row in sorted(rest, key=lambda row: priority(row, facts))))


def keyed(questions: Iterable[QuestionRow]) -> list[QuestionRow]:
    """Return the questions in the order of their ids, their texts replaced by their keys, each made once."""
    return sorted((row._replace(text=question_key(row.text)) for row in questions), key=lambda row: row.question_id)


def require_comparable(rows: Sequence[QuestionRow], facts: Mapping[str, ImageHashes]) -> None:
    """Check that all questions, which are in the order of their ids, can be compared.

    Raises:
        ValueError: an image has no facts, the facts mix hash recipes, or a question id occurs twice.
    """
    if any(one.question_id == next_one.question_id for one, next_one in pairwise(rows)):
        raise ValueError("a question id occurs twice")
    missing = {image for row in rows for image in row.images if image not in facts}
    if missing:
        raise ValueError(f"{len(missing)} images have no facts, such as {min(missing)}")
    recipes = {hashes.recipe for hashes in facts.values()}
    if len(recipes) > 1:
        raise ValueError(f"hashes of several recipes cannot be compared: {', '.join(sorted(recipes))}")


def near_images(
    images: Iterable[str], facts: Mapping[str, ImageHashes], settings: DedupSettings, spread: Spread = map
) -> dict[str, tuple[str, ...]]:
    """Return for each image those that count as the same, itself included; `spread` as in `near_pairs`."""
    import numpy as np

    names = sorted(set(images))
    near: dict[str, list[str]] = {name: [name] for name in names}
    phashes = np.array([facts[name].phash for name in names], dtype=np.uint64)
    first, second, _ = near_pairs(phashes, settings.radius, spread=spread)
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        a, b = names[i], names[j]
        if confirmed(facts[a], facts[b], max_dhash=settings.max_dhash, max_aspect_change=settings.max_aspect_change):
            near[a].append(b)
            near[b].append(a)
    return {name: tuple(others) for name, others in near.items()}


def _stars(
    group: Sequence[QuestionRow], facts: Mapping[str, ImageHashes], near: Mapping[str, tuple[str, ...]]
) -> dict[QuestionRow, QuestionRow]:
    """Cut a group of equal key and equal number of images into stars."""
    if len(group) == 1:
        return {group[0]: group[0]}
    by_first: dict[str | None, list[QuestionRow]] = defaultdict(list)
    for question in group:
        by_first[question.images[0] if question.images else None].append(question)

    def neighbours(question: QuestionRow) -> Iterable[QuestionRow]:
        if not question.images:
            return group
        candidates = chain.from_iterable(by_first.get(image, ()) for image in near[question.images[0]])
        return (other for other in candidates if are_near(question, other, near))

    return star_clusters(sorted(group, key=lambda row: priority(row, facts)), neighbours)


def are_near(one: QuestionRow, other: QuestionRow, near: Mapping[str, tuple[str, ...]]) -> bool:
    """Return whether the pictures of two questions with equally many are near one by one."""
    return one.images == other.images or all(
        theirs in near[ours] for ours, theirs in zip(one.images, other.images, strict=True)
    )


def priority(question: QuestionRow, facts: Mapping[str, ImageHashes]) -> tuple[int, str]:
    """Return what the best question has least of: the largest images (in pixels, summed) first, then the lowest id."""
    return -sum(facts[image].width * facts[image].height for image in question.images), question.question_id
