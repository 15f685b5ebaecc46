"""`reader`: a small vision model behind `ChatModel`, for machines without a GPU, a network or a key.

It sees a request and nothing else: question, views, observations. Its eyes are an OCR network and a
measurement of colours on exactly the pixels it is sent; what it then says follows a fixed policy and the
chance of its sample, so equal requests have equal responses in whatever process.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.demo.reader import careful, naive
from pipeline.demo.reader.conversation import dialect_of, read_request
from pipeline.demo.reader.guessing import settle
from pipeline.demo.reader.ocr import model_digest
from pipeline.demo.reader.perceiver import Perceiver
from pipeline.demo.reader.scene import Said, Scene, attention
from pipeline.dialects import Dialect
from pipeline.dialects.defuse import defuse
from pipeline.identity import canonical_json, digest
from pipeline.models.chat import ChatRequest, ChatResponse, Image, Text
from pipeline.records import Action
from pipeline.students.family import FAMILIES, Size

Policy = Literal["naive", "careful"]
VERSIONS: Final[dict[Policy, int]] = {"naive": 2, "careful": 3}
"""Raise a policy's when it changes what it says; the calls of the other stay paid for."""
CHARACTERS_PER_TOKEN = 4
"""Of English text, the usual estimate; there is no tokenizer to count with."""

_DECIDE: Final[dict[Policy, Callable[[Scene], Said]]] = {"naive": naive.decide, "careful": careful.decide}
# The recogniser is surer than it is right; a careful reader keeps to the likeliest character more often.
_HEAT: Final[dict[Policy, float]] = {"naive": 1.5, "careful": 0.5}
_ARGUMENT: Final[dict[Action, str]] = {"python": "code", "search": "query", "answer": "answer"}


@dataclass(frozen=True)
class Reader:
    """The model under one policy; `perceiver` may be shared by several."""

    policy: Policy
    perceiver: Perceiver

    @property
    def revision(self) -> str:
        """Policy, version and digest of the networks.

        Raises:
            UsageError: rapidocr is not installed.
        """
        return f"reader/{self.policy}/{VERSIONS[self.policy]}+{model_digest()}"

    @property
    def slots(self) -> AbstractAsyncContextManager[object]:
        """Return no bound: its eyes have one of their own, and nothing is paid for."""
        return nullcontext()

    @property
    def process(self) -> None:
        """Return nothing: its processes are the perceiver's."""
        return

    async def check(self) -> None:
        """Find nothing to ask: its networks are in a package."""

    async def aclose(self) -> None:
        """Close nothing: the perceiver is shared."""

    async def generate(self, request: ChatRequest, samples: Sequence[int]) -> Sequence[ChatResponse]:
        """Return one response per sample index; the images are perceived once for all of them.

        Raises:
            InfrastructureError: a view is missing from the store, or a process of the eyes ended.
        """
        transcript = read_request(request)
        to_read, to_measure = attention(transcript)
        texts = await asyncio.gather(*(self.perceiver.perceive(view) for view in to_read))
        colours = await asyncio.gather(*(self.perceiver.colours(view) for view in to_measure))
        temperature = request.sampling.temperature * _HEAT[self.policy]
        responses = []
        for sample in samples:
            scene = Scene(
                transcript=transcript,
                texts={view.pixels: seen for view, seen in zip(to_read, texts, strict=True)},
                colours={view.pixels: seen for view, seen in zip(to_measure, colours, strict=True)},
                # Seeding with text hashes it with SHA-512, alike on every platform.
                rng=random.Random(digest(request.key(sample))),  # noqa: S311 - reproducible on purpose
                temperature=temperature,
            )
            responses.append(_response(request, scene, _DECIDE[self.policy]))
        return responses


def _response(request: ChatRequest, scene: Scene, decide: Callable[[Scene], Said]) -> ChatResponse:
    # Thinking alone is counted: what the eyes saw is shared by rollouts, and waiting for them is a queue.
    began = time.thread_time()
    said = settle(decide(scene), scene.transcript.ask.options)
    text = _render(said, dialect_of(request))
    return ChatResponse(
        text=text,
        finish="stop",
        prompt_tokens=_prompt_tokens(request),
        completion_tokens=_text_tokens(text),
        seconds=time.thread_time() - began,
    )


def _render(said: Said, dialect: Dialect) -> str:
    """Write a message; what was read in an image is foreign text and may spell a tag."""
    name = _ARGUMENT.get(said.action)
    argument = said.argument if said.action == "python" else defuse(said.argument)
    return dialect.render_turn(defuse(said.think), said.action, canonical_json({name: argument} if name else {}))


def _prompt_tokens(request: ChatRequest) -> int:
    tokens = 0
    for message in request.messages:
        for part in message.parts:
            match part:
                case Text(text=text):
                    tokens += _text_tokens(text)
                case Image(view=view):
                    tokens += FAMILIES["qwen2_5_vl"].tokens(Size(view.width, view.height))
    return tokens


def _text_tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)
