"""Kits say the same words: what a run's models wrote is shown, and rewarded, in training as it was in curation."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from PIL import Image

from flows.recipe.file import load_recipe
from flows.report.lookup import finished_stages
from pipeline.dialects.decoded import decoded_response
from pipeline.export.kit_facts import KitFacts
from pipeline.models.views import seen
from pipeline.records import Outcome, Question, StockEnv, Trajectory
from pipeline.rollout import served
from pipeline.rollout.stock_rules import by_rule, left_open
from pipeline.sandbox.service.server import Options
from pipeline.store.blobs import BlobStore
from tests.support.kits import FACTS, SOURCES, program, record_of, truth
from tests.support.servers.sandbox_service import service
from tests.support.trainers import AgentLoopBase, Server, ToolBase, installed

FRAME = "<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


class Curated(NamedTuple):
    """What a run recorded of attempts with tools."""

    attempts: Sequence[Trajectory]
    questions: dict[str, Question]
    blobs: BlobStore
    facts: KitFacts
    record: Path
    kit: Path
    run: Path

    def files(self, attempt: Trajectory) -> list[bytes]:
        return [self.blobs.get(image.sha256) for image in attempt.images]


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory, demo_run: Callable[[Path], Path]) -> Curated:
    base = demo_run(tmp_path_factory.mktemp("kits"))
    run = base / "run"
    stages, recipe = finished_stages(run), load_recipe(run / "recipe.yaml")
    made = (one for stage in ("gate2", "synthesize") for one in stages[stage].records("trajectories", Trajectory))
    attempts = [one for one in made if one.mode == "tools"]
    blobs = BlobStore(base / "store" / "blobs")
    record_of(attempts, blobs, base / "record")
    facts = FACTS.model_copy(
        update={"seed": recipe.seed, "max_turns": recipe.rollout.max_turns, "sandbox": attempts[0].sandbox}
    )
    questions = {one.id: one for one in stages["screen"].records("questions", Question)}
    return Curated(attempts, questions, blobs, facts, base / "record", base / "kit", run)


@pytest.fixture
def acting(curated: Curated, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A sandbox service and a record of searches, as kits find them."""
    with service(Options(workers=2)) as url, installed():
        monkeypatch.setenv(served.SANDBOX_URL, url)
        monkeypatch.setenv(served.SEARCH_RECORD, str(curated.record))
        monkeypatch.setenv(served.PROCESSES, "2")
        served._places.cache_clear()
        served._record.cache_clear()
        yield


def test_there_is_enough_to_compare(curated: Curated) -> None:
    turns = [turn for attempt in curated.attempts for turn in attempt.turns]
    assert len(curated.attempts) > 50
    assert {turn.action for turn in turns} == {"python", "search", "image_search", "answer", "none"} - {
        action for action in ("none",) if not any(turn.action == "none" for turn in turns)
    }
    assert any(attempt.verdict != "right" for attempt in curated.attempts)


def test_what_no_rule_decides_is_executed_as_the_stock_environment_would_and_exported_so(curated: Curated) -> None:
    validated = finished_stages(curated.run)["validate"]
    kept = {outcome.record_id for outcome in validated.records("outcomes", Outcome) if outcome.outcome == "kept"}
    found = {made.trajectory_id: made for made in validated.records("stock", StockEnv)}
    assert found.keys() == kept
    for made in (made for made in curated.attempts if made.id in kept):
        ruled = by_rule(made)
        assert found[made.id].by == "execution" if left_open(made, ruled) else found[made.id] == ruled
    assert {made.reasons[:1] for made in found.values() if made.by == "execution"} >= {(), ("other_text",)}
    rows = [
        row
        for path in curated.run.glob("export/sft/huggingface/**/*.parquet")
        for row in pq.read_table(path).to_pylist()
    ]
    told = {row["id"]: (row["stock_env"], tuple(row["stock_env_reasons"]), row["stock_env_by"]) for row in rows}
    assert told
    assert told == {name: (found[name].label, found[name].reasons, found[name].by) for name in told}


@pytest.mark.parametrize("bare", [False, True])
def test_the_reward_says_what_curation_said(curated: Curated, bare: bool) -> None:
    reward = program("reward.py", curated.kit, curated.facts)
    for attempt in curated.attempts:
        question = curated.questions[attempt.question_id]
        shown = [turn.observation or "" for turn in attempt.turns[:-1]]
        decoded = decoded_response([turn.raw_text for turn in attempt.turns], shown, bare=bare)
        score = reward.compute_score(SOURCES[question.category], decoded, question.answers[0], truth(question))
        finished = attempt.finish == "answer"
        assert score["acc"] == float(attempt.verdict == "right"), attempt.id
        assert score["format"] == float(finished and all(turn.action != "none" for turn in attempt.turns)), attempt.id
        assert score["undecided"] == float(finished and attempt.verdict in {"unknown", "unjudged"}), attempt.id


@pytest.mark.usefixtures("acting")
def test_the_environment_for_deepeyesv2_shows_what_curation_showed(curated: Curated) -> None:
    program("env_coldforge.py", curated.kit, curated.facts)
    rule = curated.facts.view_rule
    for attempt in curated.attempts:
        env = ToolBase.create("coldforge")
        pictures = [Image.open(io.BytesIO(content)).convert("RGB") for content in curated.files(attempt)]
        env.reset(
            raw_prompt=[],
            multi_modal_data={},
            origin_multi_modal_data={"image": pictures},
            extra_info={"index": attempt.question_id},
        )
        for number, turn in enumerate(attempt.turns, 1):
            observation, reward, done, _ = env.execute(turn.raw_text)
            assert reward == 0.0
            assert done == (number == len(attempt.turns))
            if done:
                assert observation == ""
                continue
            shown = observation if isinstance(observation, str) else observation["prompt"]
            assert shown == FRAME.format(turn.observation), attempt.id
            views = [] if isinstance(observation, str) else observation["multi_modal_data"]["image"]
            recorded = [seen(curated.blobs.get(image.sha256), rule) for image in turn.images]
            assert digests(views) == digests(recorded), attempt.id
        env.close()


@pytest.mark.usefixtures("acting")
def test_verls_rollouts_are_the_transcripts_of_curation(curated: Curated) -> None:
    loop = program("agent_loop.py", curated.kit, curated.facts)
    reward = program("reward.py", curated.kit, curated.facts)
    asyncio.run(_rolled_out(curated, loop, reward))


async def _rolled_out(curated: Curated, loop: ModuleType, reward: ModuleType) -> None:
    places = asyncio.Semaphore(8)

    async def one(attempt: Trajectory, number: int) -> None:
        async with places:
            await _same(curated, loop, reward, attempt, eos=number % 2 == 0)

    await asyncio.gather(*(one(attempt, number) for number, attempt in enumerate(curated.attempts)))


async def _same(curated: Curated, loop: ModuleType, reward: ModuleType, attempt: Trajectory, *, eos: bool) -> None:
    said = [turn.raw_text for turn in attempt.turns]
    server = Server(list(said), eos=eos)
    pictures = [{"type": "image", "bytes": content, "path": None} for content in curated.files(attempt)]
    prompt = [{"role": "user", "content": [*pictures, {"type": "text", "text": "asked"}]}]
    agent: AgentLoopBase = loop.ColdforgeAgentLoop(server)
    output: Any = await agent.run(  # type: ignore[attr-defined]
        {"temperature": 1.0}, raw_prompt=prompt, extra_info={"index": attempt.question_id}
    )
    assert server.messages == []
    tokens = zip(output.response_ids, output.response_mask, strict=True)
    learnt = "".join(chr(token) for token, mask in tokens if mask and token < 0x10F000)
    assert learnt == "".join(said)
    expected = decoded_response(said, [turn.observation or "" for turn in attempt.turns[:-1]], bare=False)
    response = agent.tokenizer.decode(output.response_ids).removesuffix("<|im_end|>")
    assert response == expected.removesuffix("<|im_end|>").replace("<image>", "<|image_pad|>"), attempt.id
    shown = [image for turn in attempt.turns[:-1] for image in turn.images]
    views = [seen(content, curated.facts.view_rule) for content in curated.files(attempt)]
    views += [seen(curated.blobs.get(image.sha256), curated.facts.view_rule) for image in shown]
    assert digests(output.multi_modal_data["images"] if views else []) == digests(views)
    question = curated.questions[attempt.question_id]
    row = {**truth(question), **output.extra_fields}
    score = reward.compute_score(SOURCES[question.category], "", question.answers[0], row)
    assert score["acc"] == float(attempt.verdict == "right")


def digests(pictures: Sequence[Image.Image]) -> list[str]:
    return [hashlib.sha256(repr((one.mode, one.size)).encode() + one.tobytes()).hexdigest() for one in pictures]
