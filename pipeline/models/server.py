"""Any server of the OpenAI chat-completions protocol, such as vLLM.

Our own small client on aiohttp: an SDK costs many times its CPU per request. One request per sample,
so that every sample has its own seed and its own place in the call cache.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import BaseModel, ValidationError

from pipeline.errors import InfrastructureError, RowError, UsageError
from pipeline.models.chat import ChatRequest, ChatResponse, Image, Message
from pipeline.store.blobs import BlobStore

if TYPE_CHECKING:
    import aiohttp

TRIES = 5
"""With the pauses below about 15 s in all: longer than a dropped connection, shorter than a restart."""
FIRST_PAUSE_SECONDS = 1.0
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
REFUSED = frozenset({400, 413, 422})
"""The server refuses this request for what it is: the row's error."""
_ENDED = frozenset({"stop", "length"})
"""Reasons for which a model itself ended its message."""
KEEP_STOP = "include_stop_str_in_output"
"""Asks vLLM to leave the stop string in the text. Servers that do not know it ignore or refuse it."""


@dataclass
class Server:
    """One model behind one URL."""

    base_url: str
    """Up to and without `/chat/completions`, such as `http://127.0.0.1:8000/v1`."""
    served_name: str
    """What the server calls the model; not part of any identity."""
    revision: str
    """`openai/<what the recipe says is served>`: the identity of the model."""
    blobs: BlobStore
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself is never stored."""
    timeout_seconds: float = 600.0
    """For one answer; a long thought of a large model takes minutes."""
    in_flight: int = 64
    first_pause_seconds: float = FIRST_PAUSE_SECONDS
    """Before the second try; doubled before each further one."""
    _session: aiohttp.ClientSession | None = field(default=None, init=False)
    _slots: asyncio.Semaphore | None = field(default=None, init=False)
    _knows_keep_stop: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self.base_url = self.base_url.rstrip("/")

    async def check(self) -> None:
        """Ask the server which models it has.

        Raises:
            UsageError: it does not serve `served_name`, or refuses the key.
            InfrastructureError: it cannot be reached.
        """
        import aiohttp

        if self.api_key_env and not os.environ.get(self.api_key_env):
            raise UsageError(
                f"${self.api_key_env} is not set; put the key of {self.base_url} into it, or remove `api_key_env`"
            )
        url = f"{self.base_url}/models"
        try:
            async with self._client().get(url, timeout=aiohttp.ClientTimeout(total=10)) as reply:
                self._require_key(url, reply.status)
                if reply.status in RETRIED:
                    raise InfrastructureError(f"{url} answered {reply.status}; wait until the model server is ready")
                body = await reply.json(content_type=None)
                names = [entry["id"] for entry in body["data"]]
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise InfrastructureError(
                f"model server {self.base_url} cannot be reached ({str(error) or type(error).__name__}); "
                "start it, or correct `base_url` of this model in the recipe"
            ) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UsageError(
                f"{url} does not answer like an OpenAI server; correct `base_url` in the recipe"
            ) from error
        if self.served_name not in names:
            raise UsageError(
                f"{self.base_url} serves {', '.join(names)}, not {self.served_name}; correct `served_name`"
            )

    async def generate(self, request: ChatRequest, samples: Sequence[int]) -> Sequence[ChatResponse]:
        """Return one response per sample index; sample i runs under the seed `request.seed + i`.

        Raises:
            InfrastructureError: no usable answer after several tries.
            RowError: the server refuses the request itself.
        """
        return await asyncio.gather(*(self._one(request, sample) for sample in samples))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _one(self, request: ChatRequest, sample: int) -> ChatResponse:
        if self._slots is None:
            self._slots = asyncio.Semaphore(self.in_flight)
        for attempt in range(TRIES):
            try:
                async with self._slots:
                    asked = self._body(request, sample)
                    began = time.monotonic()
                    response = _response(await self._post(asked), request.stop)
                    return response.model_copy(update={"seconds": time.monotonic() - began})
            except InfrastructureError:
                if attempt == TRIES - 1:
                    raise
                # Jitter keeps clients that failed together from coming back together.
                await asyncio.sleep(self.first_pause_seconds * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311
        raise AssertionError("unreachable")

    async def _post(self, body: dict[str, Any]) -> Any:
        import aiohttp

        url = f"{self.base_url}/chat/completions"
        try:
            async with self._client().post(url, json=body) as reply:
                self._require_key(url, reply.status)
                if reply.status in REFUSED:
                    self._refuse(body, (await reply.text())[:500])
                if reply.status != 200:  # noqa: PLR2004 - HTTP OK
                    detail = f"{url} answered {reply.status}: {(await reply.text())[:200]}"
                    raise InfrastructureError(detail) if reply.status in RETRIED else UsageError(detail)
                return await reply.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise InfrastructureError(
                f"model server {self.base_url}: {str(error) or type(error).__name__}; start it, then run again"
            ) from error
        except (ValueError, RecursionError) as error:
            raise InfrastructureError(
                f"{url} answered what is not JSON ({error}); is `base_url` in the recipe that of an OpenAI server?"
            ) from error

    def _refuse(self, body: dict[str, Any], said: str) -> NoReturn:
        if KEEP_STOP in body and KEEP_STOP in said:
            self._knows_keep_stop = False
            raise InfrastructureError(f"model server {self.base_url} does not know {KEEP_STOP}; asking without it")
        raise RowError("request_refused", said)

    def _require_key(self, url: str, status: int) -> None:
        if status not in {401, 403}:
            return
        where = f"${self.api_key_env}" if self.api_key_env else "an environment variable and name it in `api_key_env`"
        raise UsageError(f"{url} refuses the key; put a valid one into {where}")

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            key = os.environ.get(self.api_key_env) if self.api_key_env else None
            self._session = aiohttp.ClientSession(
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=aiohttp.ClientTimeout(total=self.timeout_seconds),
                connector=aiohttp.TCPConnector(limit=0),
            )
        return self._session

    def _body(self, request: ChatRequest, sample: int) -> dict[str, Any]:
        body = {
            "model": self.served_name,
            "messages": [self._message(message) for message in request.messages],
            "temperature": request.sampling.temperature,
            "top_p": request.sampling.top_p,
            "max_tokens": request.sampling.max_tokens,
            "seed": request.seed + sample,
            "stop": list(request.stop),
        }
        return {**body, KEEP_STOP: True} if self._knows_keep_stop else body

    def _message(self, message: Message) -> dict[str, Any]:
        parts: list[dict[str, Any]] = []
        for part in message.parts:
            if isinstance(part, Image):
                data = base64.b64encode(self.blobs.get(part.view.blob)).decode()
                parts.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}})
            else:
                parts.append({"type": "text", "text": part.text})
        if message.role != "user":  # servers take lists for users only
            return {"role": message.role, "content": "".join(part["text"] for part in parts)}
        return {"role": "user", "content": parts}


class _Said(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    """vLLM only: the stop string or token that ended the text; None at its natural end."""


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    """The fields of a chat completion that are read; servers add many more."""

    choices: tuple[_Choice]
    usage: _Usage | None = None
    model: str = ""


def _response(body: Any, stop: Sequence[str]) -> ChatResponse:
    try:
        completion = _Completion.model_validate(body)
    except ValidationError as error:
        raise InfrastructureError(f"model server sent an answer that is no chat completion: {error}") from error
    (choice,) = completion.choices
    usage = completion.usage or _Usage()
    refused = choice.finish_reason == "content_filter" or bool(choice.message.refusal)
    # A reasoning parser leaves no content where the limit, or the model, ended the text within the thought.
    if choice.message.content is None and not refused and choice.finish_reason not in _ENDED:
        raise InfrastructureError(f"model server sent an answer without content ({choice.finish_reason})")
    text = cut_after(_closed(_as_utf8(choice.message.content or ""), choice, stop), stop)
    # A message that was complete before the server ran into the limit is complete.
    too_long = choice.finish_reason == "length" and not text.endswith(tuple(stop))
    return ChatResponse(
        text=text,
        finish="refused" if refused else "length" if too_long else "stop",
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        model_version=completion.model,
    )


def _as_utf8(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can spell and no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _closed(text: str, choice: _Choice, stop: Sequence[str]) -> str:
    """Return `text` with the stop string that ended it, for servers that leave it out."""
    if choice.finish_reason != "stop" or not text or any(mark in text for mark in stop):
        return text
    if "stop_reason" in choice.model_fields_set:
        ended_by = [mark for mark in stop if mark == choice.stop_reason]
    else:
        # Other servers say only that they stopped. Stop strings are closing tags: it was that of the open tag.
        ended_by = [mark for mark in stop if mark.replace("</", "<", 1) in text]
    return text + ended_by[0] if len(ended_by) == 1 else text


def cut_after(text: str, stop: Sequence[str]) -> str:
    """Return `text` up to and with its first stop string, for servers that ran on."""
    ends = [text.index(mark) + len(mark) for mark in stop if mark in text]
    return text[: min(ends)] if ends else text
