"""Questions with rollouts by hand for the viewer, as many as wanted, and texts that want to be more than texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from flows.report.viewer.groups import Group, member
from flows.report.viewer.write import write_viewer
from pipeline.identity import canonical_json
from pipeline.records import Category, ImageRef, Outcome, Question, Tokens, Trajectory, Verdict
from tests.support.builders import question, trajectory, turn

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 2</script>",
    "<img src=x onerror='window.hacked = 3'>",
    '"><svg onload="window.hacked = 4">',
    "<!--<script>",
    "javascript:window.hacked = 5",
    "`${window.hacked = 6}`",
    "\u202egnirts lortnoc\u202c and שלום, مرحبا",
    "line\u2028separator\u2029paragraph",
    "\x1b[2J\x07\x01 control",
    "&lt;b&gt;&amp; entities &#60;",
    "__proto__ constructor toString",
    "word" * 5_000,
)
HUGE = "0123456789abcdef" * 65_536
"""A mebibyte without a space."""


def outcome(stage: str, record: Question | Trajectory, reason: str = "") -> Outcome:
    return Outcome(
        stage=stage,
        unit="trajectory" if isinstance(record, Trajectory) else "question",
        record_id=record.id,
        question_id=record.question_id if isinstance(record, Trajectory) else record.id,
        source="hand",
        category="perception",
        outcome="rejected" if reason else "kept",
        route=None if reason else "next",
        reason=reason,
        detail="",
        payload="",
        score=None,
    )


def many(questions: int, rollouts: int) -> Iterator[Group]:
    """Yield questions with as many rollouts each, half of them of a teacher; verdicts, tools and fates of all kinds."""
    categories, verdicts = get_args(Category), get_args(Verdict)
    for number in range(questions):
        asked = question(
            f"How many of the things in scene {number} are green?",
            source=f"source-{number % 20}",
            source_row=str(number),
            category=categories[number % 3],
            answers=(str(number % 97),),
        )
        members = []
        for sample in range(rollouts):
            taught = sample % 2 == 0
            calls = [turn("python", f"print({n})", observation="3") for n in range(sample % 3)]
            made = trajectory(
                *calls,
                turn("answer", str(sample)),
                asked=asked,
                purpose="synthesis" if taught else "gate",
                arm="tools" if taught else "main",
                sample=sample,
                verdict=verdicts[(number + sample) % len(verdicts)],
                answer=str((number * rollouts + sample) % 10_007),
                tokens=Tokens(prompt=100, completion=20 + sample),
            )
            reason = ("", "loop", "not_used")[sample % 3]
            members.append(member(made, [outcome("validate", made, reason)], [outcome("gate1", asked)]))
        yield Group(asked, frozenset({"by_floor"} if number % 7 == 0 else ()), [outcome("gate1", asked)], members)


def hostile(pictures: Sequence[ImageRef] = ()) -> Iterator[Group]:
    """Yield a question for each hostile text, which stands wherever others write."""
    nowhere = ImageRef(sha256="../../../../etc/passwd", mime="image/png", width=9, height=9, nbytes=1)
    for number, text in enumerate((*HOSTILE, HUGE)):
        asked = question(
            text, source=text[:200], source_row=str(number), answers=(text,), choices=(text, "B"), meta={"a": text}
        )
        cell = turn(
            "python", text, think=text, raw_text=text, labels=(text[:200],), images=(nowhere, *pictures)
        ).model_copy(
            update={"observation": f"Code execution result:\nstdout:\n```\n{text}\n```\n\nstderr:\n```\n{text}\n```"}
        )
        search = turn("search", text, think=text, raw_text=text, observation=text)
        broken = turn("none", raw_text=text, observation=text, status="bad_call", loss=False)
        made = trajectory(
            *(cell, search, broken, turn("answer", text, raw_text=text)),
            asked=asked,
            answer=text,
            model=text[:200],
            system=text,
            user=text,
            detail=text,
        )
        told = outcome("validate", made, "loop").model_copy(update={"detail": text})
        yield Group(asked, frozenset({text[:200]}), [], [member(made, [told], [])])


def looking(picture: ImageRef, crop: ImageRef) -> Group:
    """Return a question over a large picture out of which two cells cut."""
    asked = question("Which name is printed on the sign?", images=(picture,))
    cut = turn(
        "python",
        "sign = image_1.crop((100, 50, 300, 250))\ndisplay(sign)",
        observation="Code execution result:\nstdout:\n```\n(200, 200)\n```\n\nstderr:\n```\n\n```\n\nImages:\n<image>",
        images=(crop,),
    )
    again = turn(
        "python", "sign.crop((10, 20, 60, 70)).show()", observation="Error: stopped", status="timeout", loss=False
    )
    seen = [[280, 196], [200, 200]]
    made = trajectory(cut, again, turn("answer", "Springfield"), asked=asked, view=canonical_json({"seen": seen}))
    shipped = outcome("select", made).model_copy(update={"route": "sft"})
    return Group(asked, frozenset(), [], [member(made, [shipped], [])])


def written(out: Path, groups: Iterator[Group], blobs: str = "blobs") -> Path:
    """Write a viewer of such questions, without a run."""
    write_viewer(out, groups, {"run": "by hand", "recipe": "0" * 64, "version": "0.1.0"}, blobs)
    return out
