"""Claude against a local server that refuses what the real API refuses."""

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
from pipeline.dialects.defuse import defuse
from pipeline.errors import InfrastructureError, RowError, UsageError
from pipeline.identity import canonical_json, parse_json
from pipeline.models.chat import ChatRequest, ChatResponse, Image, Message, Sampling, Text, View
from pipeline.models.client import Retry
from pipeline.models.providers import anthropic
from pipeline.models.providers.conversations import Profile, Thinking
from pipeline.models.providers.hosted import TRIES, HostedModel, encoder, open_api
from pipeline.models.views import make_view
from pipeline.store.blobs import BlobStore
from pipeline.students.family import ViewRule
from tests.support.servers.anthropic_server import KEY, AnthropicServer, message, redacted, text, thinking

T = TypeVar("T")
QUICK = Retry(TRIES, first_pause_seconds=0.001)

SYSTEM = Message(role="system", parts=(Text(text="Be right."),))
ASK = Message(role="user", parts=(Text(text="2 + 2?"),))
REQUEST = ChatRequest(
    model="anthropic/claude-test/thinking-off",
    messages=(SYSTEM, ASK),
    sampling=Sampling(max_tokens=64),
    stop=STOP,
    seed=100,
)
OPEN = "<think>t</think>\n<answer>4"
TOOL = {
    "type": "function",
    "function": {"name": "search", "description": "Searches.", "parameters": {"type": "object", "properties": {}}},
}


def talk(
    server: AnthropicServer,
    root: Path,
    work: Callable[[HostedModel], Awaitable[T]],
    *,
    thought: Thinking = "off",
    profile: Profile = anthropic.PROFILE,
) -> T:
    """Run `work` with a client of `server`."""

    async def main() -> T:
        async with server.serving() as url:
            api = open_api("anthropic", api_key_env="CLAUDE_KEY", base_url=url, in_flight=4, retry=QUICK)
            model = HostedModel("anthropic", "claude-test", thought, profile, api, encoder(BlobStore(root)))
            try:
                return await work(model)
            finally:
                await model.aclose()

    return asyncio.run(main())


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_KEY", KEY)


def ask(
    server: AnthropicServer, root: Path, request: ChatRequest = REQUEST, samples: Sequence[int] = (0,), **fields: Any
) -> Sequence[ChatResponse]:
    return talk(server, root, lambda model: model.generate(request, samples), **fields)


def saying(*content: dict[str, Any], **fields: Any) -> AnthropicServer:
    return AnthropicServer(script=lambda _: message(*content, **fields))


def with_messages(*messages: Message, **fields: Any) -> ChatRequest:
    return REQUEST.model_copy(update={"messages": messages, **fields})


def a_view(root: Path) -> View:
    buffer = io.BytesIO()
    Pillow.new("RGB", (1200, 900), "red").save(buffer, "PNG")
    return make_view(buffer.getvalue(), ViewRule("qwen2_5_vl", 262_144), BlobStore(root))


def test_a_request_is_sent_in_the_apis_terms_with_its_stable_prefix_marked_for_the_cache(tmp_path: Path) -> None:
    server = AnthropicServer()
    ask(server, tmp_path)
    cache = {"cache_control": {"type": "ephemeral"}}
    assert server.requests == [
        {
            "model": "claude-test",
            "max_tokens": 64,
            "system": [{"type": "text", "text": "Be right.", **cache}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "2 + 2?", **cache}]}],
            "stop_sequences": list(STOP),
            "thinking": {"type": "disabled"},
        }
    ]


def test_tokens_are_counted_with_the_cache_and_with_hidden_thought(tmp_path: Path) -> None:
    (response,) = ask(saying(text(OPEN), stop_reason="stop_sequence", stop_sequence="</answer>"), tmp_path)
    assert response == ChatResponse(
        text=OPEN + "</answer>",
        finish="stop",
        prompt_tokens=331,
        cached_tokens=300,
        completion_tokens=57,
        reasoning_tokens=40,
        model_version="claude-test-20261101",
        seconds=response.seconds,
    )


@pytest.mark.parametrize(
    ("reason", "said", "finish"),
    [
        ("end_turn", OPEN, "stop"),
        ("max_tokens", OPEN, "length"),
        ("max_tokens", OPEN + "</answer> and on", "stop"),
        ("model_context_window_exceeded", OPEN, "length"),
        ("refusal", "I cannot", "refused"),
    ],
)
def test_every_end_of_a_message_is_an_outcome(reason: str, said: str, finish: str, tmp_path: Path) -> None:
    (response,) = ask(saying(text(said), stop_reason=reason), tmp_path)
    assert response.finish == finish


def test_what_a_model_writes_after_its_action_is_cut_and_counted(tmp_path: Path) -> None:
    (response,) = ask(saying(text(OPEN + "</answer>\nObservation: 5")), tmp_path)
    assert (response.text, response.cut_characters) == (OPEN + "</answer>", len("\nObservation: 5"))


def test_a_result_that_a_model_made_up_is_cut_and_counted(tmp_path: Path) -> None:
    made_up = "<tool_response>\n5\n</tool_response>\n<answer>5</answer>"
    (response,) = ask(saying(text("<think>t</think>\n" + made_up)), tmp_path)
    assert (response.text, response.cut_characters) == ("<think>t</think>\n", len(made_up))


def test_a_thought_that_goes_back_signed_is_not_repeated_as_text_in_a_refused_message(tmp_path: Path) -> None:
    server = saying(thinking("Look."), text("prose"))
    (first,) = ask(server, tmp_path)
    refused = Message(role="assistant", parts=(Text(text=defuse(first.text)),), signed=first.signed)
    ask(server, tmp_path, with_messages(ASK, refused, Message(role="user", parts=(Text(text="Error: prose."),))))
    assert server.requests[1]["messages"][1]["content"] == [thinking("Look."), text("prose")]


def test_an_unfinished_message_is_no_answer(tmp_path: Path) -> None:
    server = saying(text("half"), stop_reason="pause_turn")
    with pytest.raises(InfrastructureError, match="pause_turn"):
        ask(server, tmp_path)


@pytest.mark.parametrize(
    ("thought", "style", "sent", "room"),
    [
        ("off", "level", {"type": "disabled"}, 0),
        ("minimal", "level", {"type": "adaptive", "display": "omitted"}, 1_024),
        ("native", "level", {"type": "adaptive", "display": "summarized"}, 8_192),
        ("minimal", "budget", {"type": "enabled", "budget_tokens": 1_024, "display": "omitted"}, 1_024),
    ],
)
def test_thought_is_asked_for_as_the_model_takes_it_and_has_room(
    thought: Thinking, style: Any, sent: dict[str, Any], room: int, tmp_path: Path
) -> None:
    def body(model: HostedModel) -> Awaitable[Any]:
        async def payload() -> Any:
            return parse_json(model.payload(REQUEST, 0).decode())

        return payload()

    written = talk(
        AnthropicServer(), tmp_path, body, thought=thought, profile=replace(anthropic.PROFILE, thinking=style)
    )
    assert (written["thinking"], written["max_tokens"]) == (sent, 64 + room)


def test_a_thought_summary_becomes_the_think_text_and_its_blocks_go_back_to_the_byte(tmp_path: Path) -> None:
    blocks = [thinking("I add.\n"), redacted(), text("<code>\nx")]
    server = saying(*blocks, stop_reason="stop_sequence", stop_sequence="</code>")

    async def two_turns(model: HostedModel) -> tuple[ChatResponse, ChatResponse]:
        (first,) = await model.generate(REQUEST, [0])
        said = Message(role="assistant", parts=(Text(text=first.text),), signed=first.signed)
        seen = Message(role="user", parts=(Text(text="Observation"),))
        (second,) = await model.generate(with_messages(SYSTEM, ASK, said, seen), [0])
        return first, second

    first, _ = talk(server, tmp_path, two_turns, thought="native")
    assert first.text == "<think>I add.\n</think>\n<code>\nx</code>"
    sent = server.requests[1]["messages"][1]
    assert sent == {"role": "assistant", "content": [*blocks[:2], {"type": "text", "text": "<code>\nx</code>"}]}


def test_the_local_server_refuses_a_signed_block_that_was_changed_by_a_byte(tmp_path: Path) -> None:
    changed = {**thinking("I add."), "thinking": "I add!"}
    said = Message(role="assistant", parts=(Text(text="<answer>4</answer>"),), signed=canonical_json([changed]))
    with pytest.raises(RowError, match="Invalid `signature`"):
        ask(AnthropicServer(), tmp_path, with_messages(ASK, said, ASK), thought="native")


def test_thought_that_is_not_shown_leaves_the_models_own_think_text(tmp_path: Path) -> None:
    hidden = {**thinking(""), "thinking": ""}
    (response,) = ask(saying(hidden, text(OPEN + "</answer>")), tmp_path, thought="minimal")
    assert response.text == OPEN + "</answer>"
    assert parse_json(response.signed) == [hidden, {"type": "text"}]


def test_a_message_in_which_nothing_was_said_is_left_out(tmp_path: Path) -> None:
    server = AnthropicServer()
    nothing = Message(role="assistant", parts=(Text(text=" "),))
    ask(server, tmp_path, with_messages(ASK, nothing, Message(role="user", parts=(Text(text="Invalid."),))))
    assert [block["text"] for block in server.requests[0]["messages"][0]["content"]] == ["2 + 2?", "Invalid."]


def test_native_calls_travel_as_structure_and_come_back_as_text(tmp_path: Path) -> None:
    call = {"type": "tool_use", "id": "toolu_9", "name": "search", "input": {"query": "Bern"}}
    server = saying(thinking("Look."), call, stop_reason="tool_use")
    request = with_messages(SYSTEM, ASK, tools=canonical_json([TOOL]), stop=("</tool_call>", "</answer>"))

    async def two_turns(model: HostedModel) -> ChatResponse:
        (first,) = await model.generate(request, [0])
        said = Message(role="assistant", parts=(Text(text=first.text),), signed=first.signed)
        seen = Message(role="user", parts=(Text(text="A page"), Image(view=a_view(tmp_path))))
        await model.generate(request.model_copy(update={"messages": (SYSTEM, ASK, said, seen)}), [0])
        return first

    first = talk(server, tmp_path, two_turns, thought="native")
    assert first.text.startswith("<think>Look.</think>\n<tool_call>")
    tool = server.requests[0]["tools"][0]
    assert tool == {"name": "search", "description": "Searches.", "input_schema": TOOL["function"]["parameters"]}  # type: ignore[index]
    _, assistant, user = server.requests[1]["messages"]
    assert assistant["content"] == [thinking("Look."), call]
    (result,) = user["content"]
    assert (result["tool_use_id"], [block["type"] for block in result["content"]]) == ("toolu_9", ["text", "image"])


def test_a_second_call_in_one_message_is_cut(tmp_path: Path) -> None:
    calls = [{"type": "tool_use", "id": f"t{n}", "name": "search", "input": {"query": str(n)}} for n in (1, 2)]
    request = with_messages(ASK, tools=canonical_json([TOOL]))
    (response,) = ask(saying(*calls, stop_reason="tool_use"), tmp_path, request)
    assert '"1"' in response.text
    assert '"2"' not in response.text
    assert response.cut_characters == len('{"query": "2"}')


def test_structured_output_is_asked_for(tmp_path: Path) -> None:
    server = AnthropicServer()
    ask(server, tmp_path, with_messages(ASK, answer_schema='{"type":"object"}'))
    assert server.requests[0]["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_images": 1}, "2 images"),
        ({"many_images": 1, "many_max_side": 500}, "takes 500 a side"),
        ({"max_image_bytes": 100}, "bytes in base64"),
        ({"max_request_bytes": 1_000}, "in a request"),
    ],
)
def test_what_the_provider_would_refuse_for_its_size_is_the_rows_error_and_never_sent(
    limits: dict[str, int], said: str, tmp_path: Path
) -> None:
    server = AnthropicServer()
    views = (Image(view=a_view(tmp_path)), Image(view=a_view(tmp_path)))
    request = with_messages(Message(role="user", parts=views))
    with pytest.raises(RowError, match=f"request_rejected.*{said}"):
        ask(server, tmp_path, request, profile=replace(anthropic.PROFILE, **limits))  # type: ignore[arg-type]
    assert server.requests == []


@pytest.mark.parametrize(
    ("fault", "raised", "said"),
    [
        ((400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), RowError, "context_too_long"),
        ((413, "request_rejected", "Request exceeds the maximum size"), RowError, "request_rejected"),
        ((400, "invalid_request_error", "messages.0.content.0: Could not process image"), RowError, "request_rejected"),
        ((400, "invalid_request_error", "max_tokens: 99 > 8, the maximum"), UsageError, "settings"),
        ((400, "invalid_request_error", '"thinking.type.enabled" is not supported'), UsageError, "settings"),
        ((400, "invalid_request_error", "`temperature` is deprecated for this model."), UsageError, "settings"),
        ((404, "not_found_error", "model: claude-tset"), UsageError, "claude-tset"),
        ((401, "authentication_error", "invalid x-api-key"), UsageError, r"\$CLAUDE_KEY"),
    ],
)
def test_a_refusal_is_the_rows_or_the_recipes_and_asked_once(
    fault: tuple[int, str, str], raised: type[Exception], said: str, tmp_path: Path
) -> None:
    server = AnthropicServer(faults=[fault])
    with pytest.raises(raised, match=said):
        ask(server, tmp_path)
    assert len(server.requests) == 1


def test_what_passes_is_asked_again(tmp_path: Path) -> None:
    busy = [(429, "rate_limit_error", "slow"), (529, "overloaded_error", "Overloaded"), (500, "api_error", "oops")]
    server = AnthropicServer(faults=list(busy))
    ask(server, tmp_path)
    assert len(server.requests) == 4


def test_an_empty_account_stops_the_run_and_is_no_rows_error(tmp_path: Path) -> None:
    fault = (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.")
    with pytest.raises(InfrastructureError, match="asks for payment"):
        ask(AnthropicServer(faults=[fault] * 9), tmp_path)


def test_a_temperature_that_the_model_does_not_take_is_refused_and_not_dropped(tmp_path: Path) -> None:
    server = AnthropicServer()
    with pytest.raises(UsageError, match="takes no temperature"):
        ask(server, tmp_path, REQUEST.model_copy(update={"sampling": Sampling(temperature=0.7)}))
    assert server.requests == []


@pytest.mark.parametrize(
    ("types", "thought", "said"),
    [(("adaptive",), "off", "thinking: minimal"), (("enabled", "disabled"), "native", "budget")],
)
def test_the_check_tells_what_the_model_cannot_do(
    types: tuple[str, ...], thought: Thinking, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        talk(AnthropicServer(types=types), tmp_path, lambda model: model.check(), thought=thought)


def test_the_check_passes_without_asking_for_an_answer(tmp_path: Path) -> None:
    server = AnthropicServer()
    talk(server, tmp_path, lambda model: model.check(), thought="native")
    assert server.requests == []


def test_a_missing_key_is_named_and_the_key_never_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_KEY", "sk-ant-wrong")
    with pytest.raises(UsageError, match=r"\$CLAUDE_KEY") as error:
        talk(AnthropicServer(), tmp_path, lambda model: model.check())
    assert "wrong" not in str(error.value)
    monkeypatch.delenv("CLAUDE_KEY")
    with pytest.raises(UsageError, match="is not set"):
        talk(AnthropicServer(), tmp_path, lambda model: model.check())


def test_how_a_model_thinks_is_part_of_what_it_is(tmp_path: Path) -> None:
    def revision(thought: Thinking) -> str:
        async def ask_name(model: HostedModel) -> str:
            return model.revision

        return talk(AnthropicServer(), tmp_path, ask_name, thought=thought)

    assert revision("off") == "anthropic/claude-test/thinking-off"
    assert revision("native") == "anthropic/claude-test/thinking-native-level-8192"
