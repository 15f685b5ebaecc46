"""Which questions of one cluster of pictures and key are repeats: those whose answers agree.

| answers           | pictures equal pixel by pixel, or none | pictures near                  |
|-------------------|----------------------------------------|--------------------------------|
| agree (`right`)   | the first is kept                      | the first is kept              |
| contradict        | neither is kept; both are for review   | both are kept                  |
| cannot be decided | the first is kept; both are for review | both are kept                  |

A question that is asked with options is another one beside other options, unless the same one is right: beside other
wrong ones it teaches the same. So only equal options can contradict, be they asked with or only offered by the source.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from filters.dedup.answers import answer_of, compare_answers, options_of
from filters.dedup.clusters import (
    VERSION,
    DedupSettings,
    ImageHashes,
    QuestionRow,
    are_near,
    keyed,
    near_images,
    picture_stars,
    require_comparable,
    star_clusters,
)
from filters.dedup.near_text import near_texts
from filters.rule import Rule
from pipeline.identity import digest
from pipeline.records import AnswerConflict, Cluster, Decision, Made, NearText

if TYPE_CHECKING:
    from filters.dedup.hamming import Spread

_NAME = 32
"""Bytes of a sha256."""

Reason = Literal["duplicate", "contradicting_answers", "near_text"]

RULE: Rule[Reason] = Rule("dedup", VERSION)

_MOST = 30
"""Different answers within one cluster that each is graded against; beyond them only answers of equal tokens agree, so
that of a layout with thousands of answers a few rows may be kept twice. A thousand answers take some seconds."""


class Conflict(NamedTuple):
    """An `AnswerConflict` in a tenth of its bytes."""

    question_id: str
    other: str
    verdict: Literal["contradicting", "undecided"]


class Deduplicated(NamedTuple):
    """What dedup finds out; each part is sorted by question id."""

    clusters: Sequence[Cluster]
    reasons: Sequence[Reason | None]
    """Why each question is rejected; None where it is kept."""
    conflicts: Sequence[AnswerConflict]
    """Pairs of equal questions over equal pictures whose answers do not agree, each from both sides."""
    near_texts: Sequence[NearText]
    """Pairs of questions that are kept, or were up to this, and read nearly alike."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Return what becomes of every question."""
        ids = (cluster.question_id for cluster in self.clusters)
        found = zip(ids, self.reasons, strict=True)
        return tuple(RULE.keep(name) if reason is None else RULE.reject(name, reason) for name, reason in found)


def deduplicate(
    questions: Iterable[QuestionRow],
    facts: Mapping[str, ImageHashes],
    settings: DedupSettings,
    *,
    spread: Spread = map,
) -> Deduplicated:
    """Return cluster and decision of every question; `facts` is keyed by image sha256, `spread` as in `near_pairs`.

    Raises:
        ValueError: an image has no facts, the facts mix hash recipes, or a question id occurs twice.
    """
    rows = keyed(questions)
    require_comparable(rows, facts)
    near = near_images((image for row in rows for image in row.images), facts, settings, spread)
    tied = tied_pictures(rows, near)
    ids = [row.question_id for row in rows]
    pictures = [tied[row.images[0]] if row.images else "" for row in rows]
    # By place: 40 bytes a question, where its record takes a thousand.
    names, centres = bytearray(_NAME * len(rows)), array("q", range(len(rows)))
    conflicts: list[Conflict] = []
    refused: set[int] = set()
    for star in picture_stars(rows, facts, near):
        name = bytes.fromhex(digest({"text": rows[star[0]].text, "representative": ids[star[0]]}))
        for place in star:
            names[_NAME * place : _NAME * (place + 1)] = name
        if len(star) > 1:
            places = {rows[place]: place for place in star}
            found, against, standing = _agreed([*places], facts, near)
            conflicts += found
            refused.update(places[row] for row in against)
            for row, centre in standing.items():
                centres[places[row]] = places[centre]
    kept = [place for place, centre in enumerate(centres) if place == centre and place not in refused]
    texts = near_texts(rows, kept, facts, near, pictures=pictures, settings=settings)
    conflicts.sort()
    reasons: list[Reason | None] = [None if place == centre else "duplicate" for place, centre in enumerate(centres)]
    if settings.near_text == "drop":
        gone = {text.question_id for text in texts if text.dropped}
        reasons = ["near_text" if name in gone else reason for name, reason in zip(ids, reasons, strict=True)]
    for place in refused:
        reasons[place] = "contradicting_answers"

    def clusters(begin: int, end: int) -> Mapping[str, Any]:
        return {
            "question_id": ids[begin:end],
            "cluster_id": [names[_NAME * place : _NAME * (place + 1)].hex() for place in range(begin, end)],
            "representative": [ids[centre] for centre in centres[begin:end]],
            "pictures": pictures[begin:end],
        }

    def told(begin: int, end: int) -> Mapping[str, Any]:
        return {name: [getattr(one, name) for one in conflicts[begin:end]] for name in Conflict._fields}

    made = Made(Cluster, len(ids), clusters)
    return Deduplicated(made, reasons, Made(AnswerConflict, len(conflicts), told), texts)


def tied_pictures(questions: Iterable[QuestionRow], near: Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
    """Return for each picture the name of all that are tied to it.

    Tied are pictures of one question, and two that count as one picture; and whatever is tied to them. So two questions
    of different names have no picture in common, which stars would not give.
    """
    parent = {image: image for image in near}

    def root(image: str) -> str:
        while parent[image] != image:
            parent[image] = image = parent[parent[image]]
        return image

    def tie(one: str, other: str) -> None:
        first, second = sorted((root(one), root(other)))
        parent[second] = first

    for image, others in near.items():
        for other in others:
            tie(image, other)
    for row in questions:
        for image in row.images[1:]:
            tie(row.images[0], image)
    return {image: root(image) for image in near}


def _agreed(
    members: Sequence[QuestionRow], facts: Mapping[str, ImageHashes], near: Mapping[str, tuple[str, ...]]
) -> tuple[list[Conflict], set[QuestionRow], Mapping[QuestionRow, QuestionRow]]:
    """Return the conflicts of a cluster, those contradicted, and who stands for each."""
    same = _same_pictures(members, facts)
    found = _of_all([*same.values(), *_asked_both_ways(same)])
    names = {conflict.question_id for conflict in found if conflict.verdict == "contradicting"}
    against = {row for row in members if row.question_id in names}
    return found, against, _repeats(members, [*same.values()], against, near)


def _same_pictures(
    members: Iterable[QuestionRow], facts: Mapping[str, ImageHashes]
) -> dict[tuple[object, ...], list[QuestionRow]]:
    """Return the members in groups of equal pixels, and of equal options where they are asked with options.

    A key is the options, None without, and the pixels of each image.
    """
    groups: dict[tuple[object, ...], list[QuestionRow]] = defaultdict(list)
    for row in members:
        pixels = (facts[image].pixels or image for image in row.images)
        groups[options_of(row) if row.choices else None, *pixels].append(row)
    return groups


def _asked_both_ways(groups: Mapping[tuple[object, ...], list[QuestionRow]]) -> Iterator[list[QuestionRow]]:
    """Yield those over equal pixels with equal options that some are asked with, and some without.

    In which way is decided by what is right, so two that contradict may differ in it.
    """
    for (options, *pixels), asked in groups.items():
        if options is not None:
            opened = [row for row in groups.get((None, *pixels), ()) if row.offered and options_of(row) == options]
            yield from ([[*opened, *asked]] if opened else [])


def _of_all(groups: Iterable[Sequence[QuestionRow]]) -> list[Conflict]:
    """Return the conflicts of all groups, one for each question: a contradiction, where it has one."""
    found: dict[str, Conflict] = {}
    for conflict in (conflict for group in groups for conflict in _conflicts(group)):
        before = found.get(conflict.question_id)
        if before is None or conflict.verdict == "contradicting" != before.verdict:
            found[conflict.question_id] = conflict
    return [*found.values()]


def _conflicts(group: Sequence[QuestionRow]) -> Iterator[Conflict]:
    """Yield for each question over the same pictures one that its answers contradict, else one they may not agree with.

    From both sides: a contradiction is one for either.
    """
    by_answer = _by_answer(group)
    against: dict[tuple[object, ...], tuple[QuestionRow, Literal["contradicting", "undecided"]]] = {}
    for place, (answer, (one, *_)) in enumerate(by_answer.items()):
        others = [some[0] for other, some in by_answer.items() if other != answer]
        # Those before it first, nearest the front; most different answers contradict the first that they are held to.
        for other in (*others[:place], *others[place:])[:_MOST]:
            verdict = compare_answers(one, other)
            if verdict == "contradict":
                against[answer] = (other, "contradicting")
                against[answer_of(other)] = (one, "contradicting")
                break
            if verdict == "undecided":
                against.setdefault(answer, (other, "undecided"))
                against.setdefault(answer_of(other), (one, "undecided"))
    for answer, (other, said) in against.items():
        for row in by_answer[answer]:
            yield Conflict(row.question_id, other.question_id, said)


def _repeats(
    members: Sequence[QuestionRow],
    same: Sequence[Sequence[QuestionRow]],
    against: set[QuestionRow],
    near: Mapping[str, tuple[str, ...]],
) -> Mapping[QuestionRow, QuestionRow]:
    """Return the member that stands for each: itself, or the one that is kept in its place."""
    centres = {row: row for row in members}
    left = [row for row in members if row not in against]
    for group in same:
        # What is over equal pictures and does not contradict is one question.
        standing = [row for row in group if row not in against]
        centres.update(dict.fromkeys(standing, standing[0]) if standing else {})
    firsts = [row for row in left if centres[row] == row]
    by_answer = _by_answer(firsts)
    held_to = [some[0] for some in by_answer.values()][:_MOST]
    agreeing: dict[tuple[object, ...], list[tuple[object, ...]]] = {answer: [answer] for answer in by_answer}
    for answer, (one, *_) in by_answer.items():
        for other in held_to:
            if answer_of(other) != answer and compare_answers(one, other) == "agree":
                # Either way, also where only one of them was held to the other.
                agreeing[answer].append(answer_of(other))
                agreeing[answer_of(other)].append(answer)

    def neighbours(row: QuestionRow) -> Iterator[QuestionRow]:
        for answer in agreeing[answer_of(row)]:
            yield from (other for other in by_answer[answer] if are_near(row, other, near))

    stars = star_clusters(firsts, neighbours)
    return {row: stars.get(centre, centre) for row, centre in centres.items()}


def _by_answer(rows: Iterable[QuestionRow]) -> dict[tuple[object, ...], list[QuestionRow]]:
    groups: dict[tuple[object, ...], list[QuestionRow]] = defaultdict(list)
    for row in rows:
        groups[answer_of(row)].append(row)
    return groups
