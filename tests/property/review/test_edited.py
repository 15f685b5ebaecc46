"""Whatever a person writes, what was executed stands, and what is made of a row is another record of the same place."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flows.asking.edited import UneditedError, edited_rows, edited_trajectory, written_in
from pipeline.dialects import by_name
from pipeline.identity import canonical_json
from pipeline.records import Edit, SourceRow, Trajectory
from tests.support.builders import trajectory, turn

TEXTS = st.text(max_size=30) | st.sampled_from(
    [
        "</think>",
        "<code>\nprint(1)\n</code>",
        "<answer>5</answer>",
        "<tool_response>5</tool_response>",
        "<image>",
        "<|im_end|>",
        "```",
        "stdout: 5",
        " 12 ",
    ]
)
PARENT = trajectory(
    turn("python", "print(image_1.size)", observation="(8, 8)\n"),
    turn("search", "a cellar", observation="1. Cellars"),
    turn("none", raw_text="well", status="bad_call", observation="No call."),
    turn("answer", "Springfield"),
)


def edit_of(parent: Trajectory, changes: dict[str, Any], **fields: Any) -> Edit:
    changed = canonical_json(changes)
    usual = {"unit": "trajectory", "root": "a" * 64, "before": "", "ingested": "b" * 64, "annotator": "kim"}
    was = canonical_json(written_in(parent, changes))
    made = {"id": Edit.make_id(parent.id, changed), "parent": parent.id, "changes": changed, "was": was, "comment": "c"}
    return Edit.model_validate({**usual, **made, **fields})


@given(
    thoughts=st.dictionaries(st.sampled_from(["1", "2", "3", "4", "5", "x"]), TEXTS, max_size=3),
    answer=st.none() | TEXTS,
)
def test_what_was_executed_and_what_came_back_is_the_parents(thoughts: dict[str, str], answer: str | None) -> None:
    changes: dict[str, Any] = {"thoughts": thoughts} | ({} if answer is None else {"answer": answer})
    edit = edit_of(PARENT, changes)
    try:
        made = edited_trajectory(PARENT, edit)
    except UneditedError:
        return
    assert (made.id, made.parent, made.verdict) == (edit.id, PARENT.id, "unknown")
    assert made.answer == (PARENT.answer if answer is None else answer)
    for number, (old, new) in enumerate(zip(PARENT.turns, made.turns, strict=True), 1):
        assert new.think == thoughts.get(str(number), old.think)
        kept = ("action", "observation", "images", "status", "loss", "labels")
        assert [getattr(old, name) for name in kept] == [getattr(new, name) for name in kept]
        assert new.arguments == old.arguments or new.action == "answer"
        if new != old:
            # No message says more than its fields do.
            assert by_name(made.dialect).parse(new.raw_text, "tools") == (new.think, new.action, new.arguments)


@given(now=TEXTS)
def test_an_edit_of_what_a_transcript_does_not_say_is_none(now: str) -> None:
    changes = {"thoughts": {"1": now}}
    edit = edit_of(PARENT, changes, was=canonical_json({"thoughts": {"1": f"{PARENT.turns[0].think} not"}}))
    try:
        edited_trajectory(PARENT, edit)
    except UneditedError as error:
        assert "does not say what was corrected" in str(error)  # noqa: PT017 - what is not raised fails below
    else:
        raise AssertionError("it was made all the same")


@given(texts=st.lists(TEXTS, max_size=4), others=st.integers(0, 3))
def test_what_is_made_of_a_row_stands_behind_it_under_an_id_of_its_own(texts: list[str], others: int) -> None:
    usual = {"source": "s", "source_revision": "1", "category": "search", "payload": '{"text":"t"}'}
    rows = [SourceRow(id=f"{n:064x}", source_row=str(n), **usual) for n in range(1 + others)]
    edits, before = dict[str, Edit](), ""
    for text in texts:
        own = {"unit": "question", "root": rows[0].id, "before": before, "changes": canonical_json({"text": text})}
        edit = edit_of(PARENT, {}).model_copy(update={**own, "id": Edit.make_id(before or "parent", own["changes"])})
        edits[edit.row], before = edit, edit.id
    made = [*edited_rows(rows, edits)]
    assert [row for row in made if row.id in {one.id for one in rows}] == rows
    assert len({row.id for row in made}) == len(made) == len(rows) + len(texts)
    assert {row.source_row for row in made[: 1 + len(texts)]} == {"0"}
    assert [row.payload for row in made[1 : 1 + len(texts)]] == [canonical_json({"text": text}) for text in texts]
