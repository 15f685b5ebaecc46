"""Which questions are one for training: near-equal images and the same normalised question.

Questions of equal text are grouped first; inside a group, a question is the neighbour of another if their
images are near one by one. Groups are then cut into stars: the best unassigned question becomes the
representative and takes its unassigned neighbours. Every member is therefore near its representative,
which single linkage does not give, and two representatives are never neighbours, so that a second pass
changes nothing. Questions without images are one cluster per text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import ClassVar, Literal, NamedTuple, TypeVar

from pydantic import Field

from filters.dedup.hamming import near_pairs
from filters.rule import Rule
from pipeline.identity import Identity, digest, normalise_question
from pipeline.records import Cluster, Decision, ImageFacts, QuestionKey

__all__ = [
    "DedupSettings",
    "ImageHashes",
    "QuestionRow",
    "cluster_questions",
    "confirmed",
    "dedup_decisions",
    "near_pairs",
    "question_key",
    "star_clusters",
]

VERSION = 1

Reason = Literal["duplicate"]

_RULE: Rule[Reason] = Rule("dedup", VERSION)

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


class ImageHashes(NamedTuple):
    """What of `ImageFacts` is needed of one image."""

    phash: int
    dhash: int
    width: int
    height: int
    recipe: str
    """Hashes of different recipes must not be compared."""


class QuestionRow(NamedTuple):
    """The columns of a question that are needed."""

    question_id: str
    text: str
    """As stored; it is normalised here."""
    images: tuple[str, ...]
    """sha256 of each image, in order."""


def hashes_of(facts: Iterable[ImageFacts]) -> dict[str, ImageHashes]:
    """Return the hashes of images by sha256; what did not decode has none."""
    return {
        fact.sha256: ImageHashes(fact.phash, fact.dhash, fact.width, fact.height, fact.hash_recipe)
        for fact in facts
        if fact.phash is not None and fact.dhash is not None
    }


def compared(key: QuestionKey) -> str:
    """Return what two questions have to share to be one: their text, and what is right where they give options.

    "Which of these is shown?" is another question over other options. Only the right one is looked at: beside other
    wrong ones the question teaches the same.
    """
    return "\n".join((key.text, *sorted(key.answers))) if key.answer_type == "choice" else key.text


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


def cluster_questions(
    questions: Sequence[QuestionRow], facts: Mapping[str, ImageHashes], settings: DedupSettings
) -> tuple[Cluster, ...]:
    """Return the cluster of every question, sorted by question id; `facts` is keyed by image sha256.

    The representative has the largest images (in pixels, summed), then the lowest id.

    Raises:
        ValueError: an image has no facts, the facts mix hash recipes, or a question id occurs twice.
    """
    _check(questions, facts)
    near = _near_images({image for question in questions for image in question.images}, facts, settings)
    groups: dict[tuple[tuple[str, str], int], list[QuestionRow]] = defaultdict(list)
    for question in questions:
        groups[question_key(question.text), len(question.images)].append(question)
    clusters = []
    for (text, _), group in groups.items():
        representative = _stars(group, facts, near)
        names = {row: digest({"text": text, "representative": row.question_id}) for row in representative.values()}
        for member, centre in representative.items():
            clusters.append(
                Cluster(question_id=member.question_id, cluster_id=names[centre], representative=centre.question_id)
            )
    return tuple(sorted(clusters, key=lambda cluster: cluster.question_id))


# `normalise_question` drops all of these, but "2 + 2" is not "2 - 2", and "50%" not "50".
_SIGNS = re.compile(r"[+=<>*^\u00d7\u00f7\u00b1\u2264\u2265\u2260\u221a]|(?<=[0-9])\s*[-\u2212/%]|[-\u2212](?=[0-9])")


def question_key(text: str) -> tuple[str, str]:
    """Return what is equal for two spellings of one question: its normalised text, and its signs of arithmetic."""
    return normalise_question(text), "".join("".join(_SIGNS.findall(text)).split()).replace("\u2212", "-")


def dedup_decisions(clusters: Sequence[Cluster]) -> tuple[Decision, ...]:
    """Keep the representative of each cluster and reject its other members."""
    return tuple(
        _RULE.keep(cluster.question_id)
        if cluster.question_id == cluster.representative
        else _RULE.reject(cluster.question_id, "duplicate")
        for cluster in clusters
    )


def _check(questions: Sequence[QuestionRow], facts: Mapping[str, ImageHashes]) -> None:
    if len({question.question_id for question in questions}) != len(questions):
        raise ValueError("a question id occurs twice")
    missing = {image for question in questions for image in question.images} - facts.keys()
    if missing:
        raise ValueError(f"{len(missing)} images have no facts, such as {min(missing)}")
    recipes = {hashes.recipe for hashes in facts.values()}
    if len(recipes) > 1:
        raise ValueError(f"hashes of several recipes cannot be compared: {', '.join(sorted(recipes))}")


def _near_images(
    images: set[str], facts: Mapping[str, ImageHashes], settings: DedupSettings
) -> dict[str, tuple[str, ...]]:
    """Return for each image those that count as the same, itself included."""
    import numpy as np

    names = sorted(images)
    near: dict[str, list[str]] = {name: [name] for name in names}
    phashes = np.array([facts[name].phash for name in names], dtype=np.uint64)
    first, second, _ = near_pairs(phashes, settings.radius)
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        a, b = names[i], names[j]
        if confirmed(facts[a], facts[b], max_dhash=settings.max_dhash, max_aspect_change=settings.max_aspect_change):
            near[a].append(b)
            near[b].append(a)
    return {name: tuple(others) for name, others in near.items()}


def _stars(
    group: Sequence[QuestionRow], facts: Mapping[str, ImageHashes], near: Mapping[str, tuple[str, ...]]
) -> dict[QuestionRow, QuestionRow]:
    """Cut a group of equal text and equal number of images into stars."""
    by_first: dict[str | None, list[QuestionRow]] = defaultdict(list)
    for question in group:
        by_first[question.images[0] if question.images else None].append(question)

    def neighbours(question: QuestionRow) -> Iterable[QuestionRow]:
        if not question.images:
            return group
        candidates = chain.from_iterable(by_first.get(image, ()) for image in near[question.images[0]])
        return (
            other
            for other in candidates
            if all(theirs in near[ours] for ours, theirs in zip(question.images, other.images, strict=True))
        )

    def priority(question: QuestionRow) -> tuple[int, str]:
        return -sum(facts[image].width * facts[image].height for image in question.images), question.question_id

    return star_clusters(sorted(group, key=priority), neighbours)
