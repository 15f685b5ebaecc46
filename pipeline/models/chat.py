"""The one protocol every model speaks: a request in our own terms, one sample at a time.

A `ChatRequest` is complete and backend-free: its key decides what is paid for, so nothing that varies
between two equal runs (URL, served name, record id, file path) may appear in it. A sample is the unit
of sampling and of caching: sample `i` of a request runs under the seed `request.seed + i`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

from pipeline.identity import digest

ToolImages = Literal["inside", "user_after"]
"""Where pictures that a tool returned stand in a request: in the tool's message, or in a user's message after it."""


class Frozen(BaseModel):
    """Base of request values: frozen and closed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class View(Frozen):
    """An image exactly as a model is sent it (see `pipeline.models.views.make_view`)."""

    blob: str
    """sha256 of the PNG in the blob store."""
    pixels: str
    """sha256 of mode, size and pixels: what the request's key sees."""
    width: int
    height: int
    source_width: int
    """Size of the image the view was made from; it can be told to a model, the pixels cannot."""
    source_height: int


class Text(Frozen):
    """A piece of text in a message."""

    type: Literal["text"] = "text"
    text: str


class Image(Frozen):
    """A piece of a message that is an image."""

    type: Literal["image"] = "image"
    view: View


class Message(Frozen):
    """One message; tool output is a `user` message, as in the DeepEyesV2 protocol."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[Text | Image, ...]
    signed: str = ""
    """Of an assistant message: blocks that its provider signed, as canonical JSON, to be returned to it unchanged."""


class Sampling(Frozen):
    """How a model samples; part of a request's identity."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 2048
    """Per message."""


class ChatRequest(Frozen):
    """Everything that decides what a model may answer."""

    model: str
    """Backend kind and revision, such as `reader/careful/1`."""
    messages: tuple[Message, ...]
    sampling: Sampling
    stop: tuple[str, ...] = ()
    """Strings that end a message and stay in it."""
    tools: str = ""
    """Canonical JSON of native tool schemas; empty where the dialect is plain text."""
    answer_schema: str = ""
    """Canonical JSON schema that the message must follow (structured output); empty for free text."""
    logprobs: bool = False
    """Whether the log-probabilities of the message's tokens are wanted."""
    tool_images: Literal["", "inside"] = ""
    """Of native tools: where pictures of a result stand; empty: in a message of the user's after it."""
    context_length: int | None = None
    """In tokens, as the recipe states it of the server. No part of the key: a message that came is the same under any,
    and what was too long is stored beside it."""
    seed: int
    """Base seed; sample `i` uses `seed + i`."""

    def key(self, sample: int) -> str:
        """Return the permanent cache key of one sample of this request."""
        identity = self.model_dump(exclude={"context_length"})
        # Fields that came later count only where they are used: what was paid for before them stays paid for.
        for name in ("answer_schema", "logprobs", "tool_images"):
            if not identity[name]:
                del identity[name]
        for message in identity["messages"]:
            if not message["signed"]:
                del message["signed"]
            for part in message["parts"]:
                if part["type"] == "image":
                    view = part.pop("view")
                    part["pixels"] = view["pixels"]
                    # Backends may state the original size; the same pixels with another size is another request.
                    part["source_size"] = [view["source_width"], view["source_height"]]
        return digest({"request": identity, "sample": sample})


class ChatResponse(Frozen):
    """One sampled message."""

    text: str
    finish: Literal["stop", "length", "refused"]
    prompt_tokens: int
    completion_tokens: int
    """Reasoning included."""
    cached_tokens: int = 0
    """Of the prompt: read from the provider's cache."""
    reasoning_tokens: int = 0
    """Of the completion: thought that the provider keeps to itself."""
    signed: str = ""
    """As in `Message`, to be sent back with this message in the next request."""
    logprobs: tuple[float, ...] = ()
    """One per token, natural logarithm, where the request wanted them."""
    cut_characters: int = 0
    """Text after the first complete action, discarded: a model must not write its own observations."""
    model_version: str = ""
    """As the backend reports it: a fact of the one call that was paid for, stored beside the answer, not in it."""
    seconds: float = 0.0
    """Of the one try that succeeded, without queues and pauses; a fact of that call too."""


class ChatModel(Protocol):
    """A backend. Failures of infrastructure raise `InfrastructureError`; a refusal is a response."""

    @property
    def revision(self) -> str:
        """Backend kind and model revision: what `ChatRequest.model` must say."""
        ...

    @property
    def slots(self) -> AbstractAsyncContextManager[object]:
        """Held by whoever asks for a sample until the answer is stored: as many samples may be lost by a kill."""
        ...

    async def generate(self, request: ChatRequest, samples: Sequence[int]) -> Sequence[ChatResponse]:
        """Return one response per index in `samples`, in that order.

        Raises:
            InfrastructureError: the backend could not answer; the call may be repeated.
            RefusedError: the backend refused the request itself, see `pipeline.models.refusals`.
        """
        ...
