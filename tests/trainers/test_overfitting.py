"""A tiny model learns eight rows by heart from our export, and then acts in our loop as they say.

This proves that loss mask, chat template and prefix of training are those of rollouts: a model that knows the rows by
heart goes on as recorded only where it is asked in the tokens that it was taught in. It proves nothing of learning.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from pipeline.dialects import DEEPEYESV2
from pipeline.export.layout import MANIFEST, Manifest
from pipeline.identity import canonical_json
from pipeline.images import encode_png, put_image
from pipeline.models.chat import ChatModel, ChatRequest, Sampling
from pipeline.models.local.launch import INTERPRETER, Serve
from pipeline.models.local.served import Served, server_on_demand
from pipeline.models.providers.openai import Server
from pipeline.records import ImageRef, Question, Trajectory
from pipeline.rollout.loop import rollout
from pipeline.sandbox import Pool, guest
from pipeline.store import Store
from pipeline.store.blobs import BlobStore
from tests.support.asking import teacher_ask, tools
from tests.support.export_rows import TOLD, context, numbered, publish_sft, sft_row
from tests.support.fakes import ScriptedModel
from tests.trainers.conftest import ROOT, run_program
from tests.trainers.expected import expected_rows
from tests.trainers.student import write_student
from tests.vllm.conftest import CPU, FLAGS

pytestmark = [pytest.mark.trainer("trl"), pytest.mark.trainer("vllm")]

ROWS = 8
NAME = "tiny-qwen"


class Lesson(NamedTuple):
    """What was recorded, and the TRL export of it."""

    place: Path
    questions: list[Question]
    recorded: list[Trajectory]
    export: Path
    student: Path


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(workers=1) as pool:
        yield pool


@pytest.fixture(scope="module")
def lesson(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    place = tmp_path_factory.mktemp("lesson")
    blobs = BlobStore(place / "blobs")
    questions = [numbered(number, (_picture(blobs, number),)) for number in range(ROWS)]
    recorded = act(place, questions, ScriptedModel(_script), pool)
    rows = [sft_row(tried, asked) for tried, asked in zip(recorded, questions, strict=True)]
    publish_sft(place / "sft", rows, ("trl",), context(place))
    export = place / "sft" / "trl"
    texts = [text for row in expected_rows(export, "sft", "trl") for text in row.contents]
    return Lesson(place, questions, recorded, export, write_student(place / "student", texts))


def _picture(blobs: BlobStore, number: int) -> ImageRef:
    """A picture that no view leaves as it is, in a colour of its own."""
    colour = (30 * number, 255 - 30 * number, 60 * (number % 4))
    return put_image(blobs, encode_png(Image.new("RGB", (200 + number, 150), colour)))


def _script(request: ChatRequest, _: int) -> str:
    """Call once or twice, by the number in the question, and answer with it."""
    asked = request.messages[1].parts[-1]
    number = int(asked.text.split("mark ")[1].split("?")[0]) if asked.type == "text" else -1
    said = sum(message.role == "assistant" for message in request.messages)
    if said > number % 2:
        return DEEPEYESV2.render_turn("Seen.", "answer", canonical_json({"answer": str(number)}))
    left = 10 * number + said
    code = f"part = image_1.crop(({left}, 20, 99, 70))\nprint(part.getpixel((0, 0)))\ndisplay(part)"
    return DEEPEYESV2.render_turn(f"Cut at {left}.", "python", canonical_json({"code": code}))


def act(store: Path, questions: list[Question], model: ChatModel, pool: Pool) -> list[Trajectory]:
    """Let a model answer in our loop, told what the export tells its student."""
    ask = teacher_ask(
        model=model.revision,
        system=TOLD.tools.system,
        user_template=TOLD.tools.user,
        sampling=Sampling(temperature=0.0, max_tokens=256),
    )

    async def run() -> list[Trajectory]:
        with Store(store) as opened:
            acting = tools(opened, pool)
            try:
                return [(await rollout(question, 0, ask, model, acting)).trajectory for question in questions]
            finally:
                if isinstance(model, Served):
                    await model.aclose()

    return asyncio.run(run())


def learn(lesson: Lesson, name: str, *, answers_alone: bool) -> Path:
    """Return the checkpoint of a student that TRL has taught the export."""
    scratch = lesson.place / name
    scratch.mkdir()
    manifest = Manifest.model_validate_json((lesson.export / MANIFEST).read_text())
    checkpoint = scratch / NAME
    given: dict[str, Any] = {
        "export": str(lesson.export),
        "student": str(lesson.student),
        "checkpoint": str(checkpoint),
        "scratch": str(scratch),
        "out": str(scratch / "told.json"),
        "max_pixels": manifest.student.max_pixels,
        "cutoff_len": manifest.student.cutoff_len,
        "answers_alone": answers_alone,
    }
    told = run_program("trl", "trl_overfit", given, scratch)
    losses = " ".join(f"{loss:.4f}" for loss in told["losses"])
    print(f"\n{name}: {told['parameters']:,} parameters, {told['seconds']:.0f} s, loss {losses}")  # noqa: T201
    return checkpoint


def serve_and_act(lesson: Lesson, checkpoint: Path, pool: Pool) -> list[Trajectory]:
    """Let vLLM serve a checkpoint and its model answer, in a store that holds no answer."""
    os.environ.update({**CPU, INTERPRETER: str(ROOT / ".venv-vllm" / "bin" / "python")})
    store = checkpoint.parent / "store"
    # The pictures of the questions; nothing else of the store in which the rows were recorded.
    store.mkdir()
    (store / "blobs").symlink_to(lesson.place / "blobs")
    blobs = BlobStore(store / "blobs")
    revision = f"openai/{checkpoint.parent.name}@1"

    def connect(url: str) -> Server:
        return Server(url, served_name=NAME, revision=revision, blobs=blobs)

    launch = server_on_demand(Serve(model=str(checkpoint), flags=FLAGS), NAME)
    return act(store, lesson.questions, Served(revision, launch, connect, in_flight=1), pool)


def test_a_model_that_learnt_the_rows_acts_as_they_say(lesson: Lesson, pool: Pool) -> None:
    acted = serve_and_act(lesson, learn(lesson, "learnt", answers_alone=False), pool)
    for tried, recorded in zip(acted, lesson.recorded, strict=True):
        assert tried.turns == recorded.turns
        assert (tried.finish, tried.answer) == ("answer", recorded.answer)


def test_a_model_that_was_not_taught_the_calls_does_not_make_them(lesson: Lesson, pool: Pool) -> None:
    acted = serve_and_act(lesson, learn(lesson, "control", answers_alone=True), pool)
    assert not any(tried.turns == recorded.turns for tried, recorded in zip(acted, lesson.recorded, strict=True))
