"""What a rule of the screen measured, beside its limit, in words: for whoever looks at what was stopped."""

from __future__ import annotations

from filters.answers.text import clean, tokens
from filters.screen.images import ImageBounds
from filters.screen.questions import QuestionSettings, unchecked
from filters.screen.well_formed import speaks_of_image
from pipeline.records import Decision, ImageFacts, Question


def told_of_text(decision: Decision, question: Question, settings: QuestionSettings, cutoff_len: int) -> str:
    """Return what decided about a question's texts; empty where the reason says it all."""
    match decision.reason:
        case "text_too_long":
            return f"{decision.score or 0:,.0f} tokens of text and options, at most {cutoff_len:,} (student.cutoff_len)"
        case "perception_without_image":
            spoken = speaks_of_image(question.text)
            told = "its category is perception" if spoken is None else f"its text says {spoken!r}"
            return f"{told}, and there is no picture"
        case "options_are_images":
            return f"{len(question.images)} pictures are shown; options are {_quoted(*question.choices)}"
        case "answer_is_printed_list":
            return f"answers are {_quoted(*question.answers)}"
        case "guessable":
            return f"a guess is right {decision.score or 0:.0%} of the time, at most {settings.max_chance:.0%}"
        case "needs_options":
            return f"{len(question.choices)} options" if question.choices else "no options, and its type is choice"
        case "unverifiable_answer" if question.choices:
            return f"{_quoted(*question.answers)} is not one of {_quoted(*question.choices)} beyond doubt"
        case "unverifiable_answer":
            return _unverifiable(question, settings)
        case _:
            return ""


def told_of_image(decision: Decision, facts: ImageFacts, bounds: ImageBounds) -> str:
    """Return what decided about a picture; empty where the reason says it all."""
    size = f"{facts.width:,} x {facts.height:,} pixels"
    match decision.reason:
        case "image_too_small":
            return f"{size}, a side has at least {bounds.min_side}"
        case "image_aspect":
            return f"{size}, at most {bounds.max_aspect} times as long as wide"
        case "image_blank":
            return f"{size}, which vary by {facts.contrast} levels of 255, at least {bounds.min_contrast}"
        case _:
            return size


def _unverifiable(question: Question, settings: QuestionSettings) -> str:
    """Return what is wrong with the first answer that cannot be checked."""
    answer = unchecked(question, settings)
    if answer is None:
        return ""
    characters, words = len(answer), len(tokens(clean(answer)))
    if question.answer_type == "text" and (characters > settings.max_text or words > settings.max_words):
        limits = f"at most {settings.max_text} and {settings.max_words}"
        return f"{_quoted(answer)} has {characters} characters and {words} words, {limits}"
    return f"{_quoted(answer)} says that there is none, or is nothing that is read as {question.answer_type}"


_LONGEST = 60


def _quoted(*texts: str) -> str:
    return ", ".join(repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…") for text in texts)
