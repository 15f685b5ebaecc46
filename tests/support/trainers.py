"""The base classes of trainers that kits build on, as strict as the published ones; over a tokenizer of characters.

verl 0.9.1, `experimental/agent_loop/agent_loop.py` and `utils/tokenizer/continuous_token.py` (Qwen's builder);
DeepEyesV2 at 0373e6e, `verl/workers/agent/tool_envs.py` and `parallel_env.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest

SPECIAL = ("<|im_end|>", "<|im_start|>", "<|image_pad|>")
FIRST = 0x10F000
"""Code point of the first special token; none of these stands in a text."""
END, _START, IMAGE = range(FIRST, FIRST + 3)


class Tokenizer:
    """One token a character, and one for each special token."""

    eos_token_id = END

    def encode(self, text: str) -> list[int]:
        for number, token in enumerate(SPECIAL):
            text = text.replace(token, chr(FIRST + number))
        return [ord(character) for character in text]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        shown = (("" if skip_special_tokens else SPECIAL[one - FIRST]) if one >= FIRST else chr(one) for one in ids)
        return "".join(shown)


class Output(NamedTuple):
    token_ids: list[int]
    log_probs: list[float] | None


class Merged(NamedTuple):
    token_ids: list[int]


@dataclass
class Server:
    """Says what is written for it, up to the first string at which it is to stop, and checks what it is asked."""

    messages: list[str]
    tokenizer: Tokenizer = field(default_factory=Tokenizer)
    asked: list[list[int]] = field(default_factory=list)
    eos: bool = False
    """Whether it ends each message with a token of its own, as a student does that learnt to."""
    cut: bool = False
    """Whether a limit cuts messages that no string ends."""

    async def generate(
        self, *, request_id: str, prompt_ids: list[int], sampling_params: dict[str, Any], image_data: Any
    ) -> Output:
        assert request_id
        assert prompt_ids.count(IMAGE) == len(image_data or ())
        assert not self.asked or prompt_ids[: len(self.asked[-1])] == self.asked[-1]
        assert sampling_params["include_stop_str_in_output"] is True
        self.asked.append(prompt_ids)
        message = self.messages.pop(0)
        ends = [message.index(stop) + len(stop) for stop in sampling_params["stop"] if stop in message]
        ended = self.eos or not (ends or self.cut)
        ids = self.tokenizer.encode(message[: min(ends, default=len(message))]) + [END] * ended
        return Output(ids, [-0.5] * len(ids))


class AgentLoopBase:
    """What `AgentLoopWorker` gives each loop, and the tokens of Qwen's template."""

    def __init__(self, server: Server, *, response_length: int = 1 << 20, opens: str = "") -> None:
        self.server_manager = server
        self.tokenizer = server.tokenizer
        self.opening = "<|im_start|>assistant\n" + opens
        """What the template ends a prompt with."""
        self.rollout_config = SimpleNamespace(name="vllm", response_length=response_length)

    async def ct_build_initial_tokens(self, messages: list[dict[str, Any]], *, images: Any) -> list[int]:
        assert sum(map(_pictures, messages)) == len(images or ())
        return self.tokenizer.encode("".join(map(_framed, messages)) + self.opening)

    async def ct_merge_assistant_token(
        self, ids: list[int], new: list[int], mask: list[int], logprobs: Any, *, assistant_logprobs: Any
    ) -> tuple[Merged, list[int], list[float]]:
        assert len(assistant_logprobs) == len(new)
        assert len(logprobs) == len(mask)
        return Merged([*ids, *new]), [*mask, *([1] * len(new))], [*logprobs, *assistant_logprobs]

    async def ct_merge_context_msg(
        self, before: list[dict[str, Any]], after: list[dict[str, Any]], ids: list[int], mask: list[int], logprobs: Any
    ) -> tuple[Merged, list[int], list[float]]:
        assert after[: len(before)] == before
        assert before[-1]["role"] == "assistant"
        assert len(logprobs) == len(mask)
        between = self.tokenizer.encode("\n") if ids[-1] == END else []
        new = between + self.tokenizer.encode("".join(map(_framed, after[len(before) :])) + self.opening)
        return Merged([*ids, *new]), [*mask, *([0] * len(new))], [*logprobs, *([0.0] * len(new))]


class AgentLoopOutput(SimpleNamespace):
    def __init__(self, **fields: Any) -> None:
        known = {"prompt_ids", "response_ids", "response_mask", "response_logprobs", "multi_modal_data", "num_turns"}
        assert fields.keys() == known | {"metrics", "extra_fields"}
        assert len(fields["response_ids"]) == len(fields["response_mask"]) == len(fields["response_logprobs"])
        super().__init__(**fields)


def _pictures(message: dict[str, Any]) -> int:
    content = message["content"]
    return 0 if isinstance(content, str) else sum(part["type"] == "image" for part in content)


def _framed(message: dict[str, Any]) -> str:
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    text = "".join("<|image_pad|>" if part["type"] == "image" else part["text"] for part in parts)
    return f"<|im_start|>{message['role']}\n{text}<|im_end|>\n"


class ToolMeta(type):
    def __init__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> None:
        super().__init__(name, bases, attributes)
        if name != "ToolBase":
            ToolBase.registry[attributes["name"]] = cls


class ToolBase(metaclass=ToolMeta):
    registry: dict[str, Any] = {}  # noqa: RUF012 - as published

    def __init__(self, name: str, **_: Any) -> None:
        self.name = name

    @classmethod
    def create(cls, name: str) -> Any:
        return cls.registry[name](name, "", [])


@contextmanager
def installed() -> Iterator[None]:
    """Let programs import these as their trainers'."""
    modules: dict[str, dict[str, Any]] = {
        "verl.experimental.agent_loop.agent_loop": {
            "AgentLoopBase": AgentLoopBase,
            "AgentLoopOutput": AgentLoopOutput,
            "AgentLoopMetrics": SimpleNamespace,
        },
        "verl.workers.agent.tool_envs": {"ToolBase": ToolBase},
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, content in modules.items():
            for end in (at for at, character in enumerate(name) if character == "."):
                patch.setitem(sys.modules, name[:end], ModuleType(name[:end]))
            module = ModuleType(name)
            module.__dict__.update(content)
            patch.setitem(sys.modules, name, module)
        yield
