"""What a server's refusal takes down: the rollout it belongs to, or the question, and nothing beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.recipe.recipe import SynthesisUse
from flows.stages.synthesize import run
from pipeline.engine.units import UnitOutput
from pipeline.errors import RowError
from pipeline.images import encode_png, put_image
from pipeline.models.chat import ChatRequest
from pipeline.models.refusals import RejectedError, TooLongError
from pipeline.records import Question, Trajectory
from pipeline.rollout.loop import Ask, Limits, rollout
from pipeline.sandbox import Pool, guest
from pipeline.store import Store
from pipeline.store.blobs import BlobStore
from pipeline.tools.search.asked import Search
from pipeline.tools.search.hits import Answer, ImageHit, Picture, TextHit
from tests.support.asking import resources, teacher_ask, tools
from tests.support.builders import question
from tests.support.fakes import ScriptedModel
from tests.support.synthesis import synthesis, unsolved

Script = Callable[[ChatRequest, int], str]

QUESTION = question("What is 6 times 7?", category="reasoning", answers=("42",), answer_type="number")
CODE = "<think>I compute.</think>\n<code>\n```python\nprint(6 * 7)\n```\n</code>"
RIGHT = "<think>It says 42.</think>\n<answer>42</answer>"
WRONG = "<think>I guess.</think>\n<answer>41</answer>"


class NoSearch:
    """A provider that nobody asks."""

    revision = "none/1"
    needs_url = False

    async def text(self, query: str, results: int) -> Answer[TextHit]:
        raise AssertionError(query, results)

    async def image(self, picture: Picture, results: int) -> Answer[ImageHit]:
        raise AssertionError(picture, results)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(workers=1) as pool:
        yield pool


def asked(**changes: Any) -> Ask:
    return teacher_ask(limits=Limits(max_turns=3), **changes)


def rolled(
    pool: Pool, store: Path, script: Script, *, question: Question = QUESTION, search: NoSearch | None = None
) -> Trajectory:
    with Store(store) as opened:
        provider = search or NoSearch()
        acting = tools(opened, pool, search=Search(provider, provider))
        return asyncio.run(rollout(question, 0, asked(), ScriptedModel(script), acting)).trajectory


def too_long(_: ChatRequest, __: int) -> str:
    raise TooLongError("at most 4096 tokens")


def rejected(_: ChatRequest, __: int) -> str:
    raise RejectedError("At most 1 image(s) may be provided in one prompt.")


def too_long_after(turns: int, text: str) -> Script:
    """A model that says `text` and is refused once the conversation holds `turns` of its messages."""

    def script(request: ChatRequest, sample: int) -> str:
        said = sum(message.role == "assistant" for message in request.messages)
        return text if said < turns else too_long(request, sample)

    return script


def by_sample(*texts: str | None) -> Script:
    """A model whose sample i says text i; None is too long."""

    def script(request: ChatRequest, sample: int) -> str:
        text = texts[sample]
        return too_long(request, sample) if text is None else text

    return script


def synthesized(pool: Pool, store: Path, *teachers: Script) -> UnitOutput:
    names = [str(number) for number in range(len(teachers))]
    asks = [asked(role=f"teachers.{name}", model=f"scripted/{name}") for name in names]
    models = {ask.role: ScriptedModel(script, revision=ask.model) for ask, script in zip(asks, teachers, strict=True)}
    with Store(store) as opened:
        acting = resources(tools(opened, pool, search=Search(NoSearch(), NoSearch())), opened, models)
        return asyncio.run(run(unsolved(QUESTION), synthesis(asks, SynthesisUse(attempts=2)), acting))


def ends(output: UnitOutput, table: str) -> list[tuple[str, int, str]]:
    """Teacher, sample and finish of each attempt in a table."""
    rows = [record for record in output.tables[table] if isinstance(record, Trajectory)]
    return sorted((row.model.removeprefix("scripted/"), row.sample, row.finish) for row in rows)


def test_a_conversation_that_no_longer_fits_ends_at_a_limit_with_what_was_said(pool: Pool, tmp_path: Path) -> None:
    done = rolled(pool, tmp_path, too_long_after(2, CODE))
    assert (done.finish, done.answer) == ("length", None)
    assert [turn.action for turn in done.turns] == ["python", "python"]
    assert "42" in (done.turns[-1].observation or "")


def test_a_question_that_is_refused_at_once_is_the_rows_error(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(RowError, match="context_too_long: at most 4096 tokens"):
        rolled(pool, tmp_path, too_long)


def test_a_later_refusal_takes_no_finished_attempt_away(pool: Pool, tmp_path: Path) -> None:
    output = synthesized(pool, tmp_path, by_sample(WRONG, None), too_long)
    assert [(item.outcome, item.reason) for item in output.outcomes] == [("kept", "")]
    assert ends(output, "trajectories") == [("0", 0, "answer")]
    assert ends(output, "unfinished") == []


def test_a_teacher_that_refuses_leaves_the_question_to_the_next(pool: Pool, tmp_path: Path) -> None:
    output = synthesized(pool, tmp_path, too_long, by_sample(RIGHT, WRONG))
    assert [item.outcome for item in output.outcomes] == ["kept"]
    assert ends(output, "trajectories") == [("1", 0, "answer"), ("1", 1, "answer")]


def test_unfinished_attempts_are_written_beside_the_finished_ones(pool: Pool, tmp_path: Path) -> None:
    output = synthesized(pool, tmp_path, too_long_after(1, CODE), by_sample("<think>Hm.</think>", WRONG))
    assert [item.outcome for item in output.outcomes] == ["kept"]
    assert ends(output, "unfinished") == [("0", 0, "length"), ("0", 1, "length"), ("1", 0, "max_turns")]
    assert ends(output, "trajectories") == [("1", 1, "answer")]


def test_a_question_without_a_finished_attempt_is_rejected_and_says_how_they_ended(pool: Pool, tmp_path: Path) -> None:
    output = synthesized(pool, tmp_path, too_long_after(1, CODE), too_long)
    (outcome,) = output.outcomes
    assert (outcome.outcome, outcome.reason, outcome.detail) == (
        "rejected",
        "no_attempt",
        "length, length, context_too_long",
    )
    assert len(output.tables["unfinished"]) == 2


def test_a_question_that_every_teacher_refuses_is_quarantined(pool: Pool, tmp_path: Path) -> None:
    output = synthesized(pool, tmp_path, too_long, too_long)
    assert [(item.outcome, item.reason) for item in output.outcomes] == [("quarantined", "context_too_long")]
    assert output.tables == {"trajectories": (), "unfinished": (), "votes": (), "suspicions": (), "dropped_hits": ()}


def rejects_pictures_after(turns: int, text: str) -> Script:
    """A model behind a server that takes no second message of the user's."""

    def script(request: ChatRequest, sample: int) -> str:
        said = sum(message.role == "assistant" for message in request.messages)
        return text if said < turns else rejected(request, sample)

    return script


def test_a_conversation_that_the_server_does_not_take_is_no_length_and_no_attempt(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(RejectedError, match="At most 1 image"):
        rolled(pool, tmp_path, rejects_pictures_after(1, CODE))
    output = synthesized(pool, tmp_path, rejects_pictures_after(1, CODE), by_sample(WRONG, WRONG))
    (outcome,) = output.outcomes
    assert (outcome.outcome, outcome.reason) == ("quarantined", "request_rejected")
    assert "At most 1 image" in outcome.detail
    assert not any(output.tables.values())


def test_a_rejection_takes_no_accepted_attempt_away(pool: Pool, tmp_path: Path) -> None:
    computed = too_long_after(9, CODE)

    def right(request: ChatRequest, sample: int) -> str:
        return RIGHT if len(request.messages) > 2 else computed(request, sample)

    output = synthesized(pool, tmp_path, rejects_pictures_after(1, CODE), right)
    assert [(item.outcome, item.reason) for item in output.outcomes] == [("kept", "")]


class TwoPictures(NoSearch):
    """Finds a picture that the student can be shown, and one whose shape its processor refuses."""

    def __init__(self, blobs: BlobStore) -> None:
        self._thumbnails = [put_image(blobs, encode_png(Image.new("RGB", size))) for size in ((320, 240), (2100, 10))]

    async def image(self, picture: Picture, results: int) -> Answer[ImageHit]:  # noqa: ARG002 - a provider's signature
        found = (
            ImageHit(title=f"picture {number}", url="local://picture", thumbnail=thumbnail)
            for number, thumbnail in enumerate(self._thumbnails)
        )
        return Answer(tuple(found), 0.0)


def test_a_thumbnail_that_the_student_cannot_be_shown_is_left_out_and_the_rollout_goes_on(
    pool: Pool, tmp_path: Path
) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    image = put_image(blobs, encode_png(Image.new("RGB", (64, 64), "red")))
    question = QUESTION.model_copy(update={"images": (image,)})
    call = '<think>Who is it?</think>\n<tool_call>\n{"name": "image_search"}\n</tool_call>'

    def script(request: ChatRequest, _: int) -> str:
        return RIGHT if len(request.messages) > 2 else call

    done = rolled(pool, tmp_path, script, question=question, search=TwoPictures(blobs))
    assert done.finish == "answer"
    assert len(done.turns[0].images) == 1
    assert "picture 0" in (done.turns[0].observation or "")
    assert "picture 1" not in (done.turns[0].observation or "")
