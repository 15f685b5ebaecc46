"""Gemini against a local server that refuses what the real API refuses."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from PIL import Image as Pillow

from pipeline.dialects.deepeyesv2 import STOP
from pipeline.errors import InfrastructureError, RowError, UsageError
from pipeline.identity import canonical_json, parse_json
from pipeline.models.chat import ChatRequest, ChatResponse, Image, Message, Sampling, Text
from pipeline.models.client import Retry
from pipeline.models.providers import gemini
from pipeline.models.providers.conversations import Profile, Thinking
from pipeline.models.providers.hosted import TRIES, HostedModel, encoder, open_api
from pipeline.models.views import make_view
from pipeline.store.blobs import BlobStore
from pipeline.students.family import ViewRule
from tests.support.servers.gemini_server import KEY, MODEL, GeminiServer, answer

T = TypeVar("T")
QUICK = Retry(TRIES, first_pause_seconds=0.001)

SYSTEM = Message(role="system", parts=(Text(text="Be right."),))
ASK = Message(role="user", parts=(Text(text="2 + 2?"),))
REQUEST = ChatRequest(
    model="gemini/gemini-test/thinking-minimal",
    messages=(SYSTEM, ASK),
    sampling=Sampling(temperature=0.7, top_p=0.9, max_tokens=64),
    stop=STOP,
    seed=2**31 - 1,
)
OPEN = "<think>t</think>\n<answer>4"
FUNCTION = {"name": "search", "description": "Searches.", "parameters": {"type": "object", "properties": {}}}
TOOLS = canonical_json([{"type": "function", "function": FUNCTION}])


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_KEY", KEY)


def talk(
    server: GeminiServer,
    root: Path,
    work: Callable[[HostedModel], Awaitable[T]],
    *,
    thought: Thinking = "minimal",
    profile: Profile = gemini.PROFILE,
    model: str = MODEL,
) -> T:
    """Run `work` with a client of `server`."""

    async def main() -> T:
        async with server.serving() as url:
            api = open_api("gemini", api_key_env="GEMINI_KEY", base_url=url, in_flight=4, retry=QUICK)
            client = HostedModel("gemini", model, thought, profile, api, encoder(BlobStore(root)))
            try:
                return await work(client)
            finally:
                await client.aclose()

    return asyncio.run(main())


def ask(
    server: GeminiServer, root: Path, request: ChatRequest = REQUEST, samples: Sequence[int] = (0,), **fields: Any
) -> Sequence[ChatResponse]:
    return talk(server, root, lambda model: model.generate(request, samples), **fields)


def saying(*parts: dict[str, Any], **fields: Any) -> GeminiServer:
    return GeminiServer(script=lambda _: answer(*parts, **fields))


def with_messages(*messages: Message, **fields: Any) -> ChatRequest:
    return REQUEST.model_copy(update={"messages": messages, **fields})


def test_a_request_is_sent_in_the_apis_terms_with_a_seed_it_can_hold(tmp_path: Path) -> None:
    server = GeminiServer()
    ask(server, tmp_path, samples=[3])
    assert server.requests == [
        {
            "contents": [{"role": "user", "parts": [{"text": "2 + 2?"}]}],
            "generationConfig": {
                "maxOutputTokens": 64 + 128,
                "seed": 2,
                "stopSequences": list(STOP),
                "thinkingConfig": {"thinkingLevel": "minimal", "includeThoughts": False},
                "temperature": 0.7,
                "topP": 0.9,
            },
            "systemInstruction": {"parts": [{"text": "Be right."}]},
        }
    ]


def test_tokens_are_counted_with_the_cache_and_with_hidden_thought(tmp_path: Path) -> None:
    (response,) = ask(GeminiServer(), tmp_path)
    assert response == ChatResponse(
        text=OPEN + "</answer>",
        finish="stop",
        prompt_tokens=331,
        cached_tokens=300,
        completion_tokens=57,
        reasoning_tokens=40,
        model_version="gemini-test-001",
        seconds=response.seconds,
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "refused"),
        ("RECITATION", "refused"),
        ("BLOCKLIST", "refused"),
        ("PROHIBITED_CONTENT", "refused"),
        ("SPII", "refused"),
    ],
)
def test_every_end_of_a_message_is_an_outcome(reason: str, finish: str, tmp_path: Path) -> None:
    (response,) = ask(saying({"text": OPEN}, finish=reason), tmp_path)
    assert response.finish == finish


@pytest.mark.parametrize("counted", [{"usageMetadata": {"promptTokenCount": 9}}, {}])
def test_a_blocked_prompt_is_an_outcome(counted: dict[str, dict[str, int]], tmp_path: Path) -> None:
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **counted}
    (response,) = ask(GeminiServer(script=lambda _: blocked), tmp_path)
    assert (response.finish, response.text, response.prompt_tokens) == ("refused", "", 9 if counted else 0)


def test_a_call_that_cannot_be_read_is_the_models_bad_message_and_no_failure(tmp_path: Path) -> None:
    said = "Malformed function call: print(search("
    (response,) = ask(saying(finish="MALFORMED_FUNCTION_CALL", finishMessage=said), tmp_path)
    assert (response.finish, response.text) == ("stop", said)


@pytest.mark.parametrize("body", [{"usageMetadata": {}}, answer({"text": "x"}, finish=""), [], {"candidates": 1}])
def test_what_is_no_answer_is_infrastructure(body: Any, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError):
        ask(GeminiServer(script=lambda _: body), tmp_path)


def test_the_stop_string_that_ended_a_message_is_put_back_by_its_open_tag(tmp_path: Path) -> None:
    (response,) = ask(saying({"text": "<think>or <code>?</think>\n<answer>4"}), tmp_path)
    assert response.text == "<think>or <code>?</think>\n<answer>4</answer>"


def test_a_thought_summary_becomes_the_think_text_and_signed_parts_go_back_unchanged(tmp_path: Path) -> None:
    thought = {"text": "I add.", "thought": True}
    parts: list[dict[str, Any]] = [
        thought,
        {"text": "<code>\nx", "thoughtSignature": "sig-1"},
        {"text": "", "thoughtSignature": "sig-2"},
    ]
    server = saying(*parts)

    async def two_turns(model: HostedModel) -> ChatResponse:
        (first,) = await model.generate(REQUEST, [0])
        said = Message(role="assistant", parts=(Text(text=first.text),), signed=first.signed)
        seen = Message(role="user", parts=(Text(text="Observation"),))
        await model.generate(with_messages(SYSTEM, ASK, said, seen), [0])
        return first

    first = talk(server, tmp_path, two_turns, thought="native")
    assert first.text == "<think>I add.</think>\n<code>\nx</code>"
    sent = server.requests[1]["contents"][1]["parts"]
    assert sent == [thought, {"text": "<code>\nx</code>", "thoughtSignature": "sig-1"}, parts[2]]


def test_native_calls_travel_as_structure_with_their_signature_and_come_back_as_text(tmp_path: Path) -> None:
    call = {"functionCall": {"id": "c1", "name": "search", "args": {"query": "Bern"}}, "thoughtSignature": "sig-1"}
    server = saying(call)
    request = with_messages(SYSTEM, ASK, tools=TOOLS, stop=("</tool_call>", "</answer>"))
    buffer = io.BytesIO()
    Pillow.new("RGB", (1200, 900), "red").save(buffer, "PNG")
    view = make_view(buffer.getvalue(), ViewRule("qwen2_5_vl", 262_144), BlobStore(tmp_path))

    def going_on(first: ChatResponse) -> ChatRequest:
        said = Message(role="assistant", parts=(Text(text=first.text),), signed=first.signed)
        seen = Message(role="user", parts=(Text(text="A page"), Image(view=view)))
        return request.model_copy(update={"messages": (SYSTEM, ASK, said, seen)})

    async def two_turns(model: HostedModel) -> ChatResponse:
        (first,) = await model.generate(request, [0])
        await model.generate(going_on(first), [0])
        return first

    first = talk(server, tmp_path, two_turns)
    assert first.text.startswith("<tool_call>")
    _, model, user = server.requests[1]["contents"]
    assert model["parts"] == [call]
    (result,) = (part["functionResponse"] for part in user["parts"])
    (picture,) = result.pop("parts")
    assert result == {"id": "c1", "name": "search", "response": {"output": "A page"}}
    assert picture["inlineData"]["mimeType"] == "image/png"
    older = replace(gemini.PROFILE, thinking="budget")
    body = gemini.to_body(
        going_on(first), 0, model="gemini-2.5-pro", thinking="minimal", profile=older, encode=lambda _: "png"
    )
    assert [list(part) for part in body["contents"][2]["parts"]] == [["functionResponse"], ["inlineData"]]


def test_structured_output_and_log_probabilities_are_asked_for_and_read(tmp_path: Path) -> None:
    chosen = {"chosenCandidates": [{"token": "4", "logProbability": -0.5}]}
    server = saying({"text": "4"}, logprobsResult=chosen)
    (response,) = ask(server, tmp_path, with_messages(ASK, logprobs=True, answer_schema='{"type":"string"}'))
    config = server.requests[0]["generationConfig"]
    assert (config["responseLogprobs"], config["responseJsonSchema"]) == (True, {"type": "string"})
    assert response.logprobs == (-0.5,)


def test_thought_that_cannot_be_switched_off_is_the_recipes_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="thinking: minimal"):
        ask(GeminiServer(), tmp_path, thought="off")


@pytest.mark.parametrize(("thought", "budget"), [("off", 0), ("minimal", 128), ("native", -1)])
def test_older_models_are_asked_by_budget(thought: Thinking, budget: int, tmp_path: Path) -> None:
    async def payload(model: HostedModel) -> Any:
        return parse_json(model.payload(REQUEST, 0).decode())

    profile = replace(gemini.PROFILE, thinking="budget")
    body = talk(GeminiServer(), tmp_path, payload, thought=thought, profile=profile)
    thinking = {"thinkingBudget": budget, "includeThoughts": thought == "native"}
    assert body["generationConfig"]["thinkingConfig"] == thinking


@pytest.mark.parametrize(
    ("fault", "raised", "said"),
    [
        ((400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum"), RowError, "context_too_long"),
        ((400, "INVALID_ARGUMENT", "Unable to process input image."), RowError, "request_rejected"),
        ((400, "INVALID_ARGUMENT", "Budget 0 is invalid. This model only works in thinking mode."), UsageError, "sett"),
        ((400, "FAILED_PRECONDITION", "User location is not supported for the API use."), UsageError, "settings"),
        ((404, "NOT_FOUND", "models/x is not found"), UsageError, "not found"),
    ],
)
def test_a_refusal_is_the_rows_or_the_recipes_and_asked_once(
    fault: tuple[int, str, str], raised: type[Exception], said: str, tmp_path: Path
) -> None:
    server = GeminiServer(faults=[fault])
    with pytest.raises(raised, match=said):
        ask(server, tmp_path)
    assert len(server.requests) == 1


def test_what_passes_is_asked_again(tmp_path: Path) -> None:
    server = GeminiServer(faults=[(429, "RESOURCE_EXHAUSTED", "quota"), (503, "UNAVAILABLE", "overloaded")])
    ask(server, tmp_path)
    assert len(server.requests) == 3


def test_a_wrong_key_is_told_from_a_wrong_row_though_both_are_a_400(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_KEY", "AIza-wrong")
    with pytest.raises(UsageError, match="refuses the key"):
        ask(GeminiServer(), tmp_path)


def test_the_check_asks_for_the_model_alone(tmp_path: Path) -> None:
    server = GeminiServer()
    talk(server, tmp_path, lambda model: model.check())
    with pytest.raises(UsageError, match="no such model"):
        talk(server, tmp_path, lambda model: model.check(), model="gemini-tset")
    assert server.requests == []
