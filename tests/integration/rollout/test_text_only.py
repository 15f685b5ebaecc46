"""A question without a picture is first-class: asked with tools, executed, graded, replayed, exported."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from filters.informed import informed
from filters.validate.rules import ValidatorSettings, accept
from flows.asking.grading import graded
from flows.stages.long_cot import solution_trajectory
from pipeline.dialects import DEEPEYESV2
from pipeline.export.rows import SftRow
from pipeline.export.verify.exports import verify_exports
from pipeline.identity import canonical_json
from pipeline.models.chat import ChatRequest, Image
from pipeline.prompts.sets import load_prompts
from pipeline.records import Question, Trajectory
from pipeline.rollout.loop import rollout
from pipeline.rollout.replay import replay_trajectory
from pipeline.rollout.stock_rules import by_rule
from pipeline.sandbox import Pool, guest
from pipeline.store import Store
from pipeline.store.blobs import BlobStore
from tests.support.asking import RULE, teacher_ask, tools
from tests.support.builders import question
from tests.support.export_rows import LABELS, RL, SFT, context, json_rows, publish_rl, publish_sft, rl_row
from tests.support.fakes import ScriptedModel
from tests.support.synthesis import PROMPT

PROMPTS = load_prompts("deepeyesv2", DEEPEYESV2)
COMPUTES = (
    DEEPEYESV2.render_turn(
        "Add them by machine.", "python", canonical_json({"code": "print(sum(n * n for n in range(1, 101)))"})
    ),
    DEEPEYESV2.render_turn("The sum is printed.", "answer", '{"answer":"338350"}'),
)


def squares(number: int, **meta: str) -> Question:
    return question(
        f"What is the sum of the squares of 1 to 100? This is sheet {number}.",
        source_row=f"text-{number}",
        category="reasoning",
        answers=("338350",),
        answer_type="number",
        meta=meta,
    )


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(workers=1) as pool:
        yield pool


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("text_only")


Asked = Callable[[Sequence[str]], tuple[Trajectory, list[ChatRequest]]]


@pytest.fixture(scope="module")
def ask(pool: Pool, place: Path) -> Asked:
    """Ask the question with tools of a model that says the given messages."""

    def asked(said: Sequence[str]) -> tuple[Trajectory, list[ChatRequest]]:
        requests: list[ChatRequest] = []

        def script(request: ChatRequest, _: int) -> str:
            requests.append(request)
            return said[sum(message.role == "assistant" for message in request.messages)]

        model = ScriptedModel(script, revision=f"scripted/{len(said)}")
        told = teacher_ask(
            model=model.revision,
            system=PROMPTS.system("teacher", "tools"),
            user_template=PROMPTS.user("teacher", "tools"),
        )

        async def main(store: Store) -> Trajectory:
            return await graded((await rollout(squares(1), 0, told, model, tools(store, pool))).trajectory, squares(1))

        with Store(place) as store:
            return asyncio.run(main(store)), requests

    return asked


@pytest.fixture(scope="module")
def computed(ask: Asked) -> Trajectory:
    return ask(COMPUTES)[0]


def test_the_cell_of_a_question_without_a_picture_is_executed_and_its_answer_graded(computed: Trajectory) -> None:
    cell, answer = computed.turns
    assert (computed.images, computed.finish, computed.verdict) == ((), "answer", "right")
    assert (cell.status, answer.status) == ("ok", "ok")
    assert "338350" in (cell.observation or "")
    assert informed([cell]) == (True,)
    assert computed.sandbox
    assert json.loads(computed.view)["seen"] == []
    # Every validator that can be asked without replaying.
    assert {decision.outcome for decision in accept(computed, squares(1), (), ValidatorSettings())} == {"keep"}


def test_nothing_in_what_the_model_is_told_stands_for_a_picture(ask: Asked) -> None:
    done, requests = ask(COMPUTES)
    assert done.user.startswith("What is the sum")
    assert "<image>" not in done.user
    parts = [part for request in requests for message in request.messages for part in message.parts]
    assert not any(isinstance(part, Image) for part in parts)


def test_it_is_replayed_like_any_other(computed: Trajectory, pool: Pool, place: Path) -> None:
    replay = replay_trajectory(computed, pool=pool, blobs=BlobStore(place / "blobs"), rule=RULE, seed=0)
    assert (replay.verdict, replay.cells) == ("identical", 1)


def test_an_image_search_is_refused_and_the_model_goes_on(ask: Asked) -> None:
    done, _ = ask((DEEPEYESV2.render_turn("Look it up.", "image_search", "{}"), *COMPUTES))
    first, *others = done.turns
    assert (first.status, first.labels, first.images) == ("bad_call", ("image_search",), ())
    assert first.observation
    assert not first.loss
    assert [turn.status for turn in others] == ["ok", "ok"]
    assert done.verdict == "right"


@pytest.fixture(scope="module")
def exported(computed: Trajectory, place: Path) -> Path:
    """Both shards: the computed answer and a long chain of thought; the question."""
    reasoned = squares(2, solution="<think>I know the formula: 100 · 101 · 201 / 6.</think>So \\boxed{338350}.")
    told = context(place).told[0].plain
    prompt = PROMPT.model_copy(update={"system": told.system, "user_template": told.user})
    thought = solution_trajectory(reasoned, prompt, len)
    assert isinstance(thought, Trajectory)
    thought = asyncio.run(graded(thought, reasoned))
    assert thought.verdict == "right"
    rows = [
        SftRow(computed, squares(1), "1" * 64, LABELS, by_rule(computed)),
        SftRow(thought, reasoned, "2" * 64, LABELS, by_rule(thought)),
    ]
    published = publish_sft(place / "export" / "sft", rows, SFT, context(place))
    assert [(shard.n_rows, shard.refused) for shard in published] == [(2, ())] * len(SFT)
    return place / "export"


def test_trainers_are_given_an_empty_list_of_images(exported: Path) -> None:
    rows = json_rows(exported / "sft/llamafactory")
    assert [row["images"] for row in rows] == [[], []]
    tables = sorted((exported / "sft/huggingface").rglob("*.parquet"))
    assert [images for path in tables for images in pq.read_table(path)["images"].to_pylist()] == [[], []]
    texts = [message["content"] for row in rows for message in row["messages"]]
    assert not any("<image>" in text for text in texts)
    # What was executed is learnt with what it printed; the thought as it was written.
    assert any("338350" in text and text.startswith("Code execution result") for text in texts)
    assert "<think>I know the formula: 100 · 101 · 201 / 6.</think>\n<answer>338350</answer>" in texts


def test_the_environment_that_needs_a_picture_refuses_the_question_by_name(exported: Path, place: Path) -> None:
    published = publish_rl(exported / "rl", [rl_row(squares(3))], RL, context(place))
    assert {shard.format: shard.n_rows for shard in published} == {**dict.fromkeys(RL, 1), "deepeyesv2": 0}
    (refused,) = next(shard for shard in published if shard.format == "deepeyesv2").refused
    assert (refused.record_id, refused.reason) == (squares(3).id, "text_only")
    assert verify_exports(exported).ok
