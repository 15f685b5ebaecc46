"""The index of a viewer: what a person filters and searches by, as columns in chunks, each read once.

Words of a closed or small set are codes into a list of their own; a trajectory may bear several words of a facet, such
as tools, so that a code stands for a set of words. How often each word occurs is counted while the index is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flows.report.viewer.groups import Group, Member, fate_of
from flows.report.viewer.scripts import script, write_script
from flows.report.viewer.transcripts import question_of, trajectory_of
from pipeline.identity import parse_json
from pipeline.records import Trajectory
from pipeline.store.blobs import write_atomic

SHORT = 16
"""Digits of an id in the index and in links; among a million ids two share them with a chance below 10⁻⁷."""
CHUNK_ROWS = 4096
CHUNK_BYTES = 1 << 19
"""Of whole transcripts: what is loaded to show one, with all rollouts of its question; a question is never divided."""
TEXT, TAIL = 1000, 200
"""Characters of a question or an answer that are searched and listed, and how many of them are the last ones, which
often hold what is asked; the transcript holds all of it."""


UNASKED = "nobody: stopped before"
"""Who asked a question that no model was asked."""


class Facet(NamedTuple):
    """What trajectories are filtered by."""

    name: str
    title: str
    words: Callable[[Group, Member], Iterable[str]]
    unasked: Callable[[Group], Iterable[str]] = lambda _: ()
    """Of a question that no model was asked."""


def _short(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[: TEXT - TAIL]} … {text[-TAIL:]}"


def _stopped(group: Group) -> Iterable[str]:
    _, reason = fate_of(group.life)
    return (reason,) if reason else ()


def _against(one: Member) -> list[str]:
    return [decision.filter for decision in one.decisions if decision.outcome != "keep"]


def _right(gate: str) -> Callable[[Group, Member], Iterable[str]]:
    return lambda group, _: (str(group.right[gate]),) if gate in group.right else ()


_SEEN = ((1.0, "all of it"), (0.5, "half or more"), (0.1, "a tenth or more"), (0.0, "less than a tenth"))
"""Least share of the pixels at which the question's pictures were seen, and how that is told."""


def seen_share(trajectory: Trajectory) -> float | None:
    """Return the least share of its pixels, up to 1, at which a picture of the question was seen whole.

    None without a picture, or where no size is recorded. The ledger's `trajectories.seen_share` is the same.
    """
    sizes = parse_json(trajectory.view).get("seen") or ()
    shares = [
        min(1.0, width * height / (image.width * image.height))
        for image, (width, height) in zip(trajectory.images, sizes, strict=False)
    ]
    return min(shares, default=None)


def _seen(_: Group, one: Member) -> Iterable[str]:
    share = seen_share(one.trajectory)
    return () if share is None else (next(word for least, word in _SEEN if share >= least),)


FACETS = (
    Facet("stage", "Asked by", lambda _, one: (one.stage,), lambda _: (UNASKED,)),
    Facet(
        "category",
        "Category",
        lambda group, _: (group.question.category,),
        lambda group: (group.question.category,) if group.question.category else (),
    ),
    Facet("source", "Source", lambda group, _: (group.question.source,), lambda group: (group.question.source,)),
    Facet("verdict", "Verdict", lambda _, one: (one.trajectory.verdict,)),
    Facet("fate", "What became of it", lambda _, one: (one.fate,), lambda group: fate_of(group.life)[:1]),
    Facet("reason", "Reason it was stopped", lambda _, one: (one.reason,) if one.reason else (), _stopped),
    Facet("validator", "Validator against it", lambda _, one: set(_against(one))),
    Facet("alone", "Only validator against it", lambda _, one: _against(one) if len(_against(one)) == 1 else ()),
    Facet("tool", "Tool called", lambda _, one: {turn.action for turn in one.trajectory.turns} - {"answer", "none"}),
    Facet(
        "label",
        "Label",
        lambda group, one: {*group.labels, *(label for turn in one.trajectory.turns for label in turn.labels)},
        lambda group: group.labels,
    ),
    Facet("seen", "Pixels of the picture seen", _seen),
    Facet("finish", "Ended by", lambda _, one: (one.trajectory.finish,)),
    Facet("turns", "Turns", lambda _, one: (str(len(one.trajectory.turns)),)),
    Facet("gate1", "Right at gate 1", _right("gate1")),
    Facet("placebo", "Right in the placebo", _right("placebo")),
    Facet("gate2", "Right at gate 2", _right("gate2")),
    Facet("arm", "Arm or lane", lambda _, one: (one.trajectory.arm,)),
    Facet("model", "Model", lambda _, one: (one.trajectory.model,)),
)


_QUESTION = ("id", "text", "gold", "row")
"""Columns of the questions; `row` is the key in the source."""


class Written(NamedTuple):
    """What stands in a data directory."""

    about: Mapping[str, Any]
    """What the page has to know before it reads the chunks."""
    pictures: frozenset[str]
    """sha256 of all pictures that the transcripts show."""


def write_index(directory: Path, groups: Iterable[Group]) -> Written:
    """Write index and transcripts of all rollouts, in the order given; one question and one chunk are in memory."""
    writer = _Writer(directory)
    for group in groups:
        writer.add(group)
    return writer.end()


class _Writer:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pictures: set[str] = set()
        self._codes = {facet.name: _Codes() for facet in FACETS}
        self._systems: dict[str, int] = {}
        self._questions: dict[str, list[Any]] = _columns(*_QUESTION)
        self._rows = self._new_rows()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._chunks, self._index, self._row_count, self._question_count, self._unasked = 0, 0, 0, 0, 0

    def add(self, group: Group) -> None:
        whole: Mapping[str, Any] = {
            "question": question_of(group),
            "trajectories": [self._trajectory(one) for one in group.members],
        }
        self._pictures |= _pictures(whole)
        text = script(f"group-{group.question.id[:SHORT]}", whole)
        if self._held and self._held_bytes + len(text) > CHUNK_BYTES:
            self._end_chunk()
        self._held.append(text)
        self._held_bytes += len(text)
        asked = whole["question"]
        for name, value in zip(
            self._questions,
            (
                group.question.id[:SHORT],
                _short(asked["text"]),
                _short(" · ".join(asked["answers"])),
                group.question.source_row[:TEXT],
            ),
            strict=True,
        ):
            self._questions[name].append(value)
        for one in group.members or (None,):
            self._add_row(group, one)
        self._question_count += 1
        if len(self._rows["id"]) >= CHUNK_ROWS:
            self._end_index()

    def _trajectory(self, one: Member) -> Mapping[str, Any]:
        """Return a trajectory with the place of its system prompt, which thousands have in common."""
        place = self._systems.setdefault(one.trajectory.system, len(self._systems))
        return {**trajectory_of(one), "system": place}

    def _add_row(self, group: Group, one: Member | None) -> None:
        trajectory = one.trajectory if one else None
        values = {
            "id": (trajectory.id if trajectory else group.question.id)[:SHORT],
            "question": self._question_count,
            "chunk": self._chunks,
            "sample": trajectory.sample if trajectory else 0,
            "turns": len(trajectory.turns) if trajectory else 0,
            "tokens": trajectory.tokens.completion if trajectory else 0,
            "answer": _short((trajectory and trajectory.answer) or ""),
        }
        for name, value in values.items():
            self._rows[name].append(value)
        for facet in FACETS:
            words = facet.words(group, one) if one else facet.unasked(group)
            self._rows["codes"][facet.name].append(self._codes[facet.name].code(words))
        self._row_count += 1
        self._unasked += one is None

    def end(self) -> Written:
        self._end_chunk()
        self._end_index()
        write_script(self._directory, "systems", list(self._systems))
        about = {
            "rows": self._row_count,
            "unasked": self._unasked,
            "questions": self._question_count - self._unasked,
            "chunks": self._chunks,
            "index": self._index,
            "facets": [
                {"name": facet.name, "title": facet.title, **self._codes[facet.name].told()} for facet in FACETS
            ],
        }
        return Written(about, frozenset(self._pictures))

    def _end_chunk(self) -> None:
        if self._held:
            write_atomic(self._directory / f"transcripts-{self._chunks}.js", b"".join(self._held))
            self._held, self._held_bytes = [], 0
            self._chunks += 1

    def _end_index(self) -> None:
        if self._rows["id"]:
            chunk = {"questions": self._questions, "rows": self._rows}
            write_script(self._directory, f"index-{self._index}", chunk)
            self._questions, self._rows = _columns(*_QUESTION), self._new_rows()
            self._index += 1

    @staticmethod
    def _new_rows() -> dict[str, Any]:
        names = ("id", "question", "chunk", "sample", "turns", "tokens", "answer")
        return {**_columns(*names), "codes": _columns(*(facet.name for facet in FACETS))}


class _Codes:
    """Sets of words of one facet, numbered as they come."""

    def __init__(self) -> None:
        self._sets: dict[tuple[str, ...], int] = {}
        self._counts: Counter[tuple[str, ...]] = Counter()

    def code(self, words: Iterable[str]) -> int:
        key = tuple(sorted(words))
        self._counts[key] += 1
        return self._sets.setdefault(key, len(self._sets))

    def told(self) -> Mapping[str, Any]:
        """Return the words, how often each occurs, and each code's words by their places.

        The most frequent word stands first; numbers stand in their order.
        """
        counts = Counter[str]()
        for words, n in self._counts.items():
            counts.update(dict.fromkeys(words, n))
        numbers = all(word.isdecimal() for word in counts)
        listed = sorted(counts, key=int if numbers else lambda word: (-counts[word], word))
        places = {word: place for place, word in enumerate(listed)}
        return {
            "words": listed,
            "counts": [counts[word] for word in listed],
            "sets": [[places[word] for word in words] for words in self._sets],
        }


def _columns(*names: str) -> dict[str, list[Any]]:
    return {name: [] for name in names}


def _pictures(whole: Mapping[str, Any]) -> set[str]:
    question = whole["question"]
    shown: list[Sequence[Any]] = [
        *question["images"],
        *(image for one in question["beside"] for image in one["images"]),
    ]
    for trajectory in whole["trajectories"]:
        shown += trajectory["images"]
        shown += [image for turn in trajectory["turns"] for image in turn["images"]]
    return {str(image[0]) for image in shown}
