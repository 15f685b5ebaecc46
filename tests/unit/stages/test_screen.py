"""The screen gives every question one outcome, and what it keeps leaves in the form in which it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from filters.screen.images import ImageSettings
from filters.screen.questions import QuestionSettings
from flows.stages.screen import ScreenSettings, run
from pipeline.engine.units import UnitInput
from pipeline.images import encode_png, put_image
from pipeline.records import ImageFacts, Question
from pipeline.store import Store
from tests.support.builders import question

CITIES = ("Paris", "London", "Rome")
SETTINGS = ScreenSettings(images=ImageSettings().bounds(28, 200), questions=QuestionSettings())


def test_every_question_is_screened_once_and_its_facts_follow_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    image = put_image(store.blobs, encode_png(Image.effect_noise((80, 60), 50).convert("RGB")))

    def ask(row: str, text: str, **fields: Any) -> Question:
        made = {"answers": ("Paris",), "answer_type": "text"} | fields
        return question(text, source_row=row, images=(image,), **made)

    choice = {"choices": CITIES, "answer_type": "choice"}
    questions = (
        ask("as it is", "Which city is this?"),
        ask("open", "Which city is this?", **choice),
        ask("options", "Which of these is shown?", **choice),
        ask("guess", "Which of these are shown?", **choice | {"answers": ("A", "C")}),
        ask("letter", "Which is it?", **choice | {"choices": ()}),
        ask("other", "Which is it?", **choice | {"answers": ("Oslo",)}),
    )
    output = run(UnitInput(questions), SETTINGS, store)
    told = {outcome.record_id: (outcome.outcome, outcome.reason) for outcome in output.outcomes}
    assert [told[question.id] for question in questions] == [
        ("kept", ""),
        ("kept", ""),
        ("kept", ""),
        ("rejected", "guessable"),
        ("rejected", "needs_options"),
        ("rejected", "unverifiable_answer"),
    ]
    kept = {record.source_row: record for record in output.tables["questions"] if isinstance(record, Question)}
    assert kept["as it is"] == questions[0]
    assert {row: question.choices != () for row, question in kept.items()} == {
        "as it is": False,
        "open": False,
        "options": True,
    }
    facts = [fact.question_id for fact in output.tables["facts"] if isinstance(fact, ImageFacts)]
    assert sorted(facts) == sorted(question.id for question in kept.values())
    again = run(UnitInput(tuple(kept.values())), SETTINGS, store)
    assert again.tables == output.tables
