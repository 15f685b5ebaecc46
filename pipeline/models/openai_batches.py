"""What the Batch API of OpenAI needs to know of a model that is otherwise asked one by one (`server`)."""

from __future__ import annotations

from typing import Any

import orjson

from pipeline.errors import InfrastructureError
from pipeline.models.answers import read_answer
from pipeline.models.api import Api
from pipeline.models.chat import ChatRequest, ChatResponse
from pipeline.models.refusals import failure
from pipeline.models.server import Server
from pipeline.models.wire import EncodedImages, write_request


class OpenAISingle:
    """The bodies of a server's model. No batch API knows vLLM's parameter that keeps a stop string in the text."""

    def __init__(self, server: Server, api: Api) -> None:
        self._server = server
        self._api = api
        self._encode = EncodedImages(server.blobs)

    @property
    def revision(self) -> str:
        """Return that of the server's model."""
        return self._server.revision

    def payload(self, request: ChatRequest, sample: int) -> bytes:
        """Return the JSON body of one sample."""
        name = self._server.served_name
        return write_request(request, sample, served_name=name, encode=self._encode, keep_stop=False)

    def read(self, body: Any, request: ChatRequest) -> ChatResponse:
        """Return the body of an answer in our terms.

        Raises:
            InfrastructureError: it is no completion.
        """
        content = orjson.dumps(body)
        return read_answer(content, request, 0.0, with_fingerprint=not self._server.ignore_fingerprint)

    async def check(self) -> None:
        """Ask the server whether it has the model."""
        await self._server.check()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._server.aclose()
        await self._api.aclose()


def open_openai_api(base_url: str, api_key_env: str) -> Api:
    """Return the account whose files and batches these are; nothing is sent yet."""
    return Api(
        name=f"the batch API at {base_url}",
        base_url=base_url,
        key_header="Authorization",
        key_prefix="Bearer ",
        api_key_env=api_key_env,
        refusal=_refusal,
    )


def _refusal(status: int, error: dict[str, Any]) -> Exception | None:
    """Return what a client error means, None if it says nothing of the request."""
    meant = failure("", status, orjson.dumps({"error": error}).decode(), {})
    return None if isinstance(meant, InfrastructureError) else meant
