"""Whole rollouts with a hosted teacher: images, thought that goes back signed, calls as structure, a batch per turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image

from pipeline.dialects import DialectName, by_name
from pipeline.images import encode_png, put_image
from pipeline.models.batch.apis import AnthropicBatches
from pipeline.models.batch.open_waves import OpenWaves
from pipeline.models.batch.waves import Batched
from pipeline.models.chat import ChatModel
from pipeline.models.providers import anthropic, gemini
from pipeline.models.providers.hosted import HostedModel, encoder, open_api
from pipeline.records import Question, Trajectory
from pipeline.rollout.loop import Limits, Tools, rollout
from pipeline.sandbox import Pool, guest
from pipeline.store import Store
from pipeline.store.blobs import BlobStore
from tests.support.asking import teacher_ask, tools
from tests.support.builders import question
from tests.support.servers import anthropic_server, gemini_server
from tests.support.servers.anthropic_server import AnthropicServer, message, redacted, text, thinking
from tests.support.servers.batch_server import BatchServer
from tests.support.servers.gemini_server import GeminiServer, answer

CODE = "image_1.crop((0, 0, 300, 300))"
STEPS = (CODE, "print(6 * 7)")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(workers=1) as pool:
        yield pool


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_KEY", anthropic_server.KEY)
    monkeypatch.setenv("GEMINI_KEY", gemini_server.KEY)


def a_question(blobs: BlobStore) -> Question:
    image = put_image(blobs, encode_png(Image.new("RGB", (1200, 900), "red")))
    return question("What is 6 times 7?", category="reasoning", images=(image,), answers=("42",), answer_type="number")


def fence(code: str) -> str:
    return f"<code>\n```python\n{code}\n```\n"


def messages_said(body: dict[str, Any]) -> int:
    return sum(its["role"] in {"assistant", "model"} for its in body.get("messages") or body["contents"])


def claude(body: dict[str, Any]) -> dict[str, Any]:
    """Looks, computes, answers; every message has a thought that only its provider can have signed."""
    number = messages_said(body)
    thought = [thinking(f"I think, step {number}."), redacted(f"step {number}")]
    if number == len(STEPS):
        return message(*thought, text("<answer>42"), stop_reason="stop_sequence", stop_sequence="</answer>")
    if "tools" in body:
        call = {"type": "tool_use", "id": f"toolu_x{number}", "name": "python", "input": {"code": STEPS[number]}}
        return message(*thought, call, stop_reason="tool_use")
    return message(*thought, text(fence(STEPS[number])), stop_reason="stop_sequence", stop_sequence="</code>")


def checked_claude(body: dict[str, Any]) -> dict[str, Any]:
    anthropic_server.check(body)
    return claude(body)


def gemini_says(body: dict[str, Any]) -> dict[str, Any]:
    number = messages_said(body)
    thought = {"text": f"I think, step {number}.", "thought": True}
    signature = {"thoughtSignature": f"sig-{number}"}
    if number == len(STEPS):
        return answer(thought, {"text": "<answer>42", **signature})
    if "tools" in body:
        return answer(thought, {"functionCall": {"name": "python", "args": {"code": STEPS[number]}}, **signature})
    return answer(thought, {"text": fence(STEPS[number]), **signature})


def roll(pool: Pool, store: Path, kind: Literal["anthropic", "gemini"], url: str, dialect: DialectName) -> Trajectory:
    """Run one rollout of a fresh process: nothing is left of an earlier one but the store."""

    async def main(opened: Store) -> Trajectory:
        variable, profile = ("CLAUDE_KEY", anthropic.PROFILE) if kind == "anthropic" else ("GEMINI_KEY", gemini.PROFILE)
        api = open_api(kind, api_key_env=variable, base_url=url, in_flight=4)
        model = HostedModel(kind, "claude-test" if kind == "anthropic" else gemini_server.MODEL, "native", profile, api,
                            encoder(opened.blobs))  # fmt: skip
        try:
            return await rolled(tools(opened, pool), model, dialect)
        finally:
            await model.aclose()

    with Store(store) as opened:
        return asyncio.run(main(opened))


async def rolled(acting: Tools, model: ChatModel, dialect: DialectName, sample: int = 0) -> Trajectory:
    schemas = by_name(dialect).tools
    ask = teacher_ask(model=model.revision, dialect=dialect, tools=schemas, limits=Limits(max_turns=5))
    return (await rollout(a_question(acting.blobs), sample, ask, model, acting)).trajectory


def check_course(trajectory: Trajectory) -> None:
    assert (trajectory.finish, trajectory.answer) == ("answer", "42")
    assert [turn.action for turn in trajectory.turns] == ["python", "python", "answer"]
    assert [turn.status for turn in trajectory.turns] == ["ok", "ok", "ok"]
    assert [turn.think for turn in trajectory.turns] == [f"I think, step {number}." for number in range(3)]
    assert len(trajectory.turns[0].images) == 1
    assert trajectory.tokens.completion == 3 * 57


@pytest.mark.parametrize("dialect", ["deepeyesv2", "tool_call"])
def test_a_rollout_with_claude_returns_every_signed_block_to_the_byte(
    dialect: DialectName, pool: Pool, tmp_path: Path
) -> None:
    server = AnthropicServer(script=claude)

    async def main() -> Trajectory:
        async with server.serving() as url:
            return await asyncio.to_thread(roll, pool, tmp_path, "anthropic", url, dialect)

    check_course(asyncio.run(main()))
    last = server.requests[-1]["messages"]
    thoughts = [[block for block in its["content"] if "thinking" in block["type"]] for its in last[1::2]]
    assert thoughts == [[thinking(f"I think, step {n}."), redacted(f"step {n}")] for n in range(2)]
    assert str(last).count("'image'") == 2  # the question's and the crop, both as the student sees them


@pytest.mark.parametrize("dialect", ["deepeyesv2", "tool_call"])
def test_a_rollout_with_gemini_returns_every_signature_where_it_was(
    dialect: DialectName, pool: Pool, tmp_path: Path
) -> None:
    server = GeminiServer(script=gemini_says)

    async def main() -> Trajectory:
        async with server.serving() as url:
            return await asyncio.to_thread(roll, pool, tmp_path, "gemini", url, dialect)

    check_course(asyncio.run(main()))
    last = server.requests[-1]["contents"]
    signatures = [[part.get("thoughtSignature") for part in its["parts"]] for its in last[1::2]]
    assert signatures == [[None, "sig-0"], [None, "sig-1"]]
    assert str(last).count("inlineData") == 2


def test_a_rollout_that_is_resumed_sends_nothing_again(pool: Pool, tmp_path: Path) -> None:
    server = AnthropicServer(script=claude)

    async def main() -> tuple[Trajectory, Trajectory]:
        async with server.serving() as url:
            first = await asyncio.to_thread(roll, pool, tmp_path, "anthropic", url, "deepeyesv2")
            return first, await asyncio.to_thread(roll, pool, tmp_path, "anthropic", url, "deepeyesv2")

    first, again = asyncio.run(main())
    assert again == first
    assert len(server.requests) == 3


def test_rollouts_that_run_at_once_share_one_batch_per_turn(pool: Pool, tmp_path: Path) -> None:
    server = BatchServer(script=checked_claude)

    async def main(store: Store) -> list[Trajectory]:
        async with server.serving() as root:
            api = open_api("anthropic", api_key_env="CLAUDE_KEY", base_url=f"{root}/v1", in_flight=4)
            single = HostedModel("anthropic", "claude-test", "native", anthropic.PROFILE, api, encoder(store.blobs))
            journal = OpenWaves(tmp_path / "batches.sqlite", single.revision)
            # A wave is full when all three conversations wait; the time is for a machine that is slow.
            model = Batched(single, AnthropicBatches(api), journal, 30.0, 3, first_poll_seconds=0.02)
            try:
                acting = tools(store, pool)
                runs = (rolled(acting, model, "deepeyesv2", sample) for sample in range(3))
                return list(await asyncio.gather(*runs))
            finally:
                await model.aclose()

    with Store(tmp_path) as store:
        trajectories = asyncio.run(main(store))
    for trajectory in trajectories:
        check_course(trajectory)
    assert [len(batch.bodies) for batch in server.batches.values()] == [3, 3, 3]
