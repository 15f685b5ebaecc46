"""The screen gives every question one outcome, and what it keeps leaves in the form in which it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from flows.stages.screen import run
from pipeline.engine.units import UnitInput
from pipeline.images import encode_png, put_image
from pipeline.records import ImageFacts, Question
from pipeline.store import Store
from pipeline.students.family import ViewRule
from tests.support.builders import question
from tests.support.pictures import encoded
from tests.support.screening import SETTINGS

CITIES = ("Paris", "London", "Rome")


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


def test_what_makes_no_sense_is_stopped_by_name_and_listed_options_become_choices(tmp_path: Path) -> None:
    store = Store(tmp_path)
    image = put_image(store.blobs, encode_png(Image.effect_noise((80, 60), 50).convert("RGB")))

    def ask(row: str, text: str, **fields: Any) -> Question:
        made = {"images": (image,), "answers": ("Paris",), "answer_type": "text"} | fields
        return question(text, source_row=row, **made)

    choice = {"answers": ("B",), "answer_type": "choice"}
    questions = {
        "": ask("listed", "Which of these is shown?\nA. Rome\nB. Paris\nC. Oslo", **choice),
        "perception_without_image": ask("blind", "Which city is this?", images=()),
        "options_are_images": ask("marks", "Which city is this?", choices=("<image>", "<image>"), **choice),
        "answer_is_printed_list": ask("printed", "Which city is this?", answers=("['Paris']",)),
        "text_too_long": ask("long", "Which city is this? " * 5000),
        "needs_options": ask("none", "Which city is this?", **choice),
    }
    files = ask("files", "Which city is this?\nA. a.png\nB. b.png", **choice)
    output = run(UnitInput((*questions.values(), files)), SETTINGS, store)
    told = {outcome.record_id: outcome.reason for outcome in output.outcomes}
    assert {reason: told[made.id] for reason, made in questions.items()} == {reason: reason for reason in questions}
    assert told[files.id] == "options_are_images"
    (kept,) = (record for record in output.tables["questions"] if isinstance(record, Question))
    assert (kept.text, {*kept.choices}) == ("Which of these is shown?", {"Rome", "Paris", "Oslo"})
    assert kept.choices["ABC".index(kept.answers[0])] == "Paris"


def test_a_long_text_is_counted_by_the_tokenizer_of_the_student(tmp_path: Path) -> None:
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    # A token per character, as of rare scripts; the estimate takes four for one.
    tokenizer = Tokenizer(WordLevel({"?": 0}, "?"))
    tokenizer.pre_tokenizer = Split(Regex("."), "isolated")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    asked = question("\u0416" * 30, category="reasoning")
    by_estimate = SETTINGS.model_copy(update={"cutoff_len": 29})
    by_tokenizer = by_estimate.model_copy(update={"tokenizer": tmp_path})
    for settings, reason in ((by_estimate, ""), (by_tokenizer, "text_too_long")):
        (outcome,) = run(UnitInput((asked,)), settings, Store(tmp_path / "store")).outcomes
        assert outcome.reason == reason


def test_facts_say_what_was_made_of_a_picture_and_whether_it_can_be_used(tmp_path: Path) -> None:
    store = Store(tmp_path)
    noise = Image.effect_noise((300, 200), 50)
    pages = encoded(noise, "TIFF", save_all=True, append_images=[noise.rotate(180)])
    deep = encoded(Image.fromarray(np.asarray(noise).astype(np.uint16) * 257), "PNG")
    strip = encode_png(Image.effect_noise((9000, 46), 50).convert("RGB"))
    blank = encode_png(Image.new("RGB", (300, 200), "teal"))
    contents = {"pages": pages, "deep": deep, "strip": strip, "blank": blank}
    asked = tuple(
        question(source_row=row, images=(put_image(store.blobs, content),)) for row, content in contents.items()
    )
    seen = SETTINGS.model_copy(update={"views": (ViewRule("qwen2_5_vl", 262_144),)})
    output = run(UnitInput(asked), seen, store)
    told = dict(zip(contents, ((outcome.outcome, outcome.reason) for outcome in output.outcomes), strict=True))
    assert told == {
        "pages": ("kept", ""),
        "deep": ("kept", ""),
        "strip": ("rejected", "image_aspect"),
        "blank": ("rejected", "image_blank"),
    }
    rows = {question.id: row for row, question in zip(contents, asked, strict=True)}
    facts = {rows[fact.question_id]: fact for fact in output.tables["facts"] if isinstance(fact, ImageFacts)}
    assert (facts["pages"].frames, facts["pages"].scaling) == (2, "none")
    assert (facts["deep"].frames, facts["deep"].scaling) == (1, "by_65535")
    assert facts["deep"].phash == facts["pages"].phash
    without = run(UnitInput(asked), SETTINGS, store)
    assert [outcome.outcome for outcome in without.outcomes] == ["kept", "kept", "kept", "rejected"]


def test_what_is_stopped_says_what_was_measured_beside_its_limit(tmp_path: Path) -> None:
    store = Store(tmp_path)
    grey, thin, tiny = (
        put_image(store.blobs, encode_png(picture))
        for picture in (
            Image.new("RGB", (80, 60), (9, 9, 9)),
            Image.effect_noise((40, 28_000), 50).convert("RGB"),
            Image.effect_noise((80, 2), 50).convert("RGB"),
        )
    )
    fields: dict[str, Any] = {"answers": ("Paris",), "answer_type": "text", "images": (grey,)}
    asked: dict[str, dict[str, Any]] = {
        "image_blank: 80 x 60 pixels, which vary by 0 levels of 255, at least 8": {},
        "image_aspect: 40 x 28,000 pixels, at most 200 times": {"images": (thin,)},
        "image_too_small: 80 x 2 pixels, a side has at least": {"images": (tiny,)},
        "perception_without_image: its category is perception, and there is no picture": {"images": ()},
        "answer_is_printed_list: answers are \"['a']\"": {"answers": ("['a']",)},
        "unverifiable_answer: 'aaaaa": {"images": (), "category": "reasoning", "answers": ("a" * 95,)},
        "needs_options: no options": {"images": (), "category": "reasoning", "answer_type": "choice"},
        "guessable: a guess is right 67% of the time, at most 50%": {
            "images": (), "category": "reasoning", "choices": ("a", "b", "c"), "answers": ("A", "C"),
            "answer_type": "choice",
        },
    }  # fmt: skip
    text = "Which of these are capitals?"
    questions = [question(text, source_row=str(n), **fields | one) for n, one in enumerate(asked.values())]
    output = run(UnitInput(tuple(questions)), SETTINGS, store)
    told = {outcome.record_id: f"{outcome.reason}: {outcome.detail.partition(': ')[2]}" for outcome in output.outcomes}
    for one, words in zip(questions, asked, strict=True):
        assert told[one.id].startswith(words), told[one.id]
    (long,) = (words for words in told.values() if words.startswith("unverifiable"))
    assert long.endswith("has 95 characters and 1 words, at most 80 and 12")
