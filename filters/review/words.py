"""What a person may say of a row: on the pages of annotators and in the viewer."""

from __future__ import annotations

from typing import NamedTuple


class MarkKind(NamedTuple):
    """A mark that can be given."""

    key: str
    """Which chooses it."""
    word: str
    """In files of marks: `good`, `cannot_tell`, or a defect."""
    label: str
    meaning: str


MARK_KINDS = (
    MarkKind("g", "good", "good", "worth learning from as it stands"),
    MarkKind("1", "wrong_answer", "wrong answer", "the model's answer is wrong, whatever is stored"),
    MarkKind(
        *("2", "bad_question", "bad question"),
        "it cannot be answered, has several answers, or its stored answer is wrong",
    ),
    MarkKind("3", "useless_tool", "useless tool", "a call shows nothing that is used"),
    MarkKind(
        *("4", "unfaithful_thought", "unfaithful thought"),
        "it says what was not seen, or the answer does not follow from it",
    ),
    MarkKind("5", "bad_picture", "bad picture", "the question's picture is broken, or not the one that is asked about"),
    MarkKind("6", "other", "other defect", "say which in the comment"),
    MarkKind("c", "cannot_tell", "cannot tell", "you would need to know or see more"),
)
