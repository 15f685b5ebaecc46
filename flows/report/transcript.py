"""One trajectory as text for a terminal: question, images, every turn with its code and what came back.

What a model, a tool or the web wrote is shown through `visible`, so no escape sequence in it is obeyed.
Lines are not wrapped here, so that code can be copied from a terminal as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from flows.report.tables import visible
from pipeline.identity import canonical_json, parse_json
from pipeline.records import IMAGE_MARK, ImageRef, Question, Trajectory, Turn

if TYPE_CHECKING:
    from rich.text import Text

_RULE = 78
"""Columns of a heading: an 80-column terminal does not wrap it."""
_SHORT = 12
"""Digits of an id, as in the tables."""
_LABEL = 12
"""Columns of the names in the head."""
_STYLES = {"right": "green", "wrong": "red", "unknown": "yellow", "unjudged": "yellow", "ok": "green"}


def render_transcript(trajectory: Trajectory, question: Question | None = None) -> Text:
    """Return the transcript. With its question the gold answers, category and source are shown as well.

    Print it with `soft_wrap=True`. It ends without a line break.
    """
    from rich.text import Text

    parts = [*_head(trajectory, question), *_heading("user"), *_user(trajectory)]
    seen = _seen_sizes(trajectory)[len(trajectory.images) :]
    for number, turn in enumerate(trajectory.turns, 1):
        parts += [*_heading(*_turn_title(number, turn)), *_turn(turn, seen[: len(turn.images)])]
        seen = seen[len(turn.images) :]
    return Text("\n").join(parts)


def render_turn(number: int, turn: Turn, seen: Sequence[Sequence[int]]) -> Text:
    """Return one turn of a transcript, numbered from 1; `seen` holds the sizes at which its images are shown."""
    from rich.text import Text

    return Text("\n").join([*_heading(*_turn_title(number, turn)), *_turn(turn, seen)])


def _head(trajectory: Trajectory, question: Question | None) -> Iterator[Text]:
    yield _field("trajectory", f"{trajectory.id[:_SHORT]}  {trajectory.purpose}, {trajectory.mode}")
    yield _field("model", f"{trajectory.model}, attempt {trajectory.sample}, dialect {trajectory.dialect}")
    asked = trajectory.question_id[:_SHORT]
    if question is not None:
        asked += f"  {question.category}, {question.source} {question.source_row}, {question.licence}"
    yield _field("question", asked)
    yield _field("verdict", trajectory.verdict, _STYLES[trajectory.verdict])
    yield _field("finish", trajectory.finish)
    yield _field("answer", "none" if trajectory.answer is None else trajectory.answer)
    if question is not None:
        within = "" if question.tolerance is None else f", within {question.tolerance:g} relative"
        yield _field("golds", f"{canonical_json(question.answers)} ({question.answer_type}{within})")
    yield _field("tokens", f"prompt {trajectory.tokens.prompt:,}, completion {trajectory.tokens.completion:,}")
    view = parse_json(trajectory.view)
    yield _field("view", ", ".join(f"{name} {value}" for name, value in view.items() if name != "seen"))


def _field(name: str, value: str, style: str = "") -> Text:
    from rich.text import Text

    return Text.assemble((f"{name:<{_LABEL}}", "dim"), (visible(value).replace("\n", " "), style))


def _heading(title: str, style: str = "bold") -> Iterator[Text]:
    from rich.text import Text

    yield Text()
    line = f"── {title} "
    yield Text(line + "─" * max(3, _RULE - len(line)), style=style)


def _user(trajectory: Trajectory) -> Iterator[Text]:
    images = [f"image_{number} {_describe(image)}" for number, image in enumerate(trajectory.images, 1)]
    yield _with_images(trajectory.user, images, _seen_sizes(trajectory))


def _turn_title(number: int, turn: Turn) -> tuple[str, str]:
    notes = [turn.action, turn.status, *turn.labels, *([] if turn.loss else ["not learnt"])]
    return f"{number} · {' · '.join(notes)}", f"bold {_STYLES.get(turn.status, 'red')}"


def _turn(turn: Turn, seen: Sequence[Sequence[int]]) -> Iterator[Text]:
    from rich.text import Text

    if turn.think:
        yield Text(visible(turn.think.strip("\n")), style="italic")
        yield Text()
    yield _action(turn)
    if turn.observation is not None:
        yield Text()
        yield _with_images(turn.observation, [f"image {_describe(image)}" for image in turn.images], seen)


def _action(turn: Turn) -> Text:
    """Return what the message did; the message itself where it was no valid turn."""
    from rich.text import Text

    match turn.action, parse_json(turn.arguments):
        case "python", {"code": str(code)}:
            return _highlighted(visible(code))
        case "search", {"query": str(query)}:
            return Text.assemble(("search ", "cyan"), visible(query))
        case "answer", {"answer": str(answer)}:
            return Text.assemble(("answer ", "cyan"), (visible(answer), "bold"))
        case "image_search", _:
            return Text("image_search", style="cyan")
        case _:
            return Text(visible(turn.raw_text), style="red")


def _highlighted(code: str) -> Text:
    from rich.syntax import Syntax

    # The terminal's own colours, and no background that would fill lines with spaces.
    text = Syntax("", "python", theme="ansi_dark", background_color="default").highlight(code)
    text.rstrip()
    text.no_wrap = False
    return text


def _with_images(text: str, images: Sequence[str], seen: Sequence[Sequence[int]]) -> Text:
    """Return `text` with each `<image>` mark replaced by what stands there."""
    from rich.text import Text

    pieces = text.split(IMAGE_MARK)
    shown = Text(visible(pieces[0]))
    for number, piece in enumerate(pieces[1:]):
        image = images[number] if number < len(images) else "image missing"
        size = f", seen at {seen[number][0]}x{seen[number][1]}" if number < len(seen) else ""
        shown.append(f"[{image}{size}]", style="magenta")
        shown.append(visible(piece))
    return shown


def _describe(image: ImageRef) -> str:
    return f"{image.width}x{image.height} {image.sha256[:_SHORT]}"


def _seen_sizes(trajectory: Trajectory) -> list[Any]:
    """Return the sizes at which the model saw the images, in order of appearance."""
    sizes = parse_json(trajectory.view).get("seen", [])
    return list(sizes)
