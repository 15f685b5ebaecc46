"""The batch endpoints of Anthropic, Gemini and OpenAI.

In all three a request carries its cache key (64 characters, the most that Anthropic takes), so a result says
by itself what it answers. OpenAI and Gemini also keep the name of our wave, by which a batch is found whose id
never arrived; Anthropic keeps none, and there it is known by its time and number of requests. The newest
hundred are looked through, the most that one page holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from pipeline.errors import InfrastructureError, UsageError
from pipeline.models.batch.interface import Done, FailedError, Item, Lost, Refused, Result
from pipeline.models.batch.open_waves import Wave
from pipeline.models.chat import ChatRequest, ChatResponse
from pipeline.models.client import RETRIED, Asked, Client, Key, Reply, Retry, post_json, read_json
from pipeline.models.providers import anthropic, gemini_answers
from pipeline.models.providers.hosted import TRIES
from pipeline.models.providers.openai import Server, refusal
from pipeline.models.providers.openai_answers import read_answer
from pipeline.models.providers.openai_requests import NO_KEEP_STOP, EncodedImages, write_request
from pipeline.models.refusals import FilteredError
from pipeline.models.traffic import Traffic

CLOCKS_APART_SECONDS = 600.0
"""A batch may seem to be made this much before it was submitted: two machines' clocks differ."""
_OF_THE_REQUEST = "invalid_request_error", "request_too_large"
"""Errors that a request was refused for (Anthropic); all others say nothing about it: keys, payment, overload."""


@dataclass(frozen=True)
class AnthropicBatches:
    """Message Batches: one JSON document in, one JSON line per request out."""

    api: Client
    max_items: int = 100_000
    max_bytes: int = 250_000_000
    """Of 256 MB; the rest is for names."""

    async def submit(self, wave: str, items: Sequence[Item]) -> str:
        """Make a batch."""
        del wave  # the API keeps no name
        requests = (b'{"custom_id":"' + item.key.encode() + b'","params":' + item.content + b"}" for item in items)
        content = b'{"requests":[' + b",".join(requests) + b"]}"
        made, _ = await self.api.ask(post_json("/messages/batches", content), read_json, tries=1)
        return str(_field(made, "id"))

    async def find(self, wave: Wave, keys: frozenset[str], known: frozenset[str]) -> str:
        """Find the one batch that may be a wave's: made since, as large, and no other wave's."""
        url = "/messages/batches?limit=100"
        page, _ = await self.api.ask(Asked("GET", url), read_json)
        fitting = [
            str(batch["id"])
            for batch in _field(page, "data")
            if batch["id"] not in known
            and _seconds(batch["created_at"]) >= wave.began - CLOCKS_APART_SECONDS
            and sum(batch["request_counts"].values()) == len(keys)
        ]
        return fitting[0] if fitting else ""

    async def ended(self, batch: str) -> bool:
        """Return whether every request has its outcome."""
        state, _ = await self.api.ask(Asked("GET", f"/messages/batches/{batch}"), read_json)
        return bool(_field(state, "processing_status") == "ended")

    async def results(self, batch: str) -> Mapping[str, Result]:
        """Fetch the outcomes. The URL is ours: a key never goes where an answer points."""
        url = f"/messages/batches/{batch}/results"
        lines, _ = await self.api.ask(Asked("GET", url), _read_lines)
        return {line["custom_id"]: self._result(line["result"]) for line in lines}

    def _result(self, result: dict[str, Any]) -> Result:
        match result:
            case {"type": "succeeded", "message": message}:
                return Done(message)
            case {"type": "errored", "error": {"error": dict(error)}} if error.get("type") in _OF_THE_REQUEST:
                refused = anthropic.refusal(400, error)
                return Refused(refused) if refused else Lost(str(error)[:200])
            case _:
                return Lost(str(result.get("error", result["type"]))[:200])


@dataclass(frozen=True)
class GeminiBatches:
    """`batchGenerateContent` over an uploaded file of JSON lines; inline requests would be limited to 20 MB."""

    api: Client
    model: str
    max_items: int = 100_000
    max_bytes: int = 500_000_000
    """Of 2 GB; a wave is held in memory until it is sent."""

    async def submit(self, wave: str, items: Sequence[Item]) -> str:
        """Upload a file and make a batch of it."""
        lines = [b'{"key":"' + item.key.encode() + b'","request":' + item.content + b"}" for item in items]
        uploaded = await self._upload(wave, b"\n".join(lines))
        batch = {"batch": {"displayName": wave, "inputConfig": {"fileName": uploaded}}}
        url = f"/models/{self.model}:batchGenerateContent"
        made, _ = await self.api.ask(post_json(url, json.dumps(batch).encode()), read_json, tries=1)
        return str(_field(made, "name"))

    async def _upload(self, name: str, content: bytes) -> str:
        root, _, version = self.api.base_url.rpartition("/")
        headers = {
            "Content-Type": "application/json",
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(len(content)),
            "X-Goog-Upload-Header-Content-Type": "application/jsonl",
        }
        start = json.dumps({"file": {"displayName": name}}).encode()
        asked = Asked("POST", f"{root}/upload/{version}/files", start, headers)
        target, _ = await self.api.ask(asked, lambda reply: reply.headers.get("X-Goog-Upload-URL", ""))
        if not target.startswith(f"{root}/"):
            raise InfrastructureError(
                f"{self.api.base_url} wants the upload elsewhere ({target[:100]}); it is not sent"
            )
        headers = {"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload, finalize"}
        uploaded, _ = await self.api.ask(Asked("POST", target, content, headers), read_json)
        return str(_field(_field(uploaded, "file"), "name"))

    async def find(self, wave: Wave, keys: frozenset[str], known: frozenset[str]) -> str:
        """Find the batch that has the wave's name."""
        del keys, known
        page, _ = await self.api.ask(Asked("GET", "/batches?pageSize=100"), read_json)
        for batch in page.get("operations", []):
            if _metadata(batch).get("displayName") == wave.wave:
                return str(batch["name"])
        return ""

    async def ended(self, batch: str) -> bool:
        """Return whether the batch has come to an end, good or bad."""
        state = _field(_metadata(await self._state(batch)), "state")
        return state not in {"BATCH_STATE_UNSPECIFIED", "BATCH_STATE_PENDING", "BATCH_STATE_RUNNING"}

    async def results(self, batch: str) -> Mapping[str, Result]:
        """Fetch the file of answers."""
        made = await self._state(batch)
        metadata = _metadata(made)
        if _field(metadata, "state") != "BATCH_STATE_SUCCEEDED":
            raise FailedError(f"batch {batch} ended as {metadata['state']}: {json.dumps(made.get('error', {}))[:200]}")
        root, _, version = self.api.base_url.rpartition("/")
        # The operation has it twice; which of the two an answer holds has changed before.
        output = metadata.get("output") or _field(made, "response")
        url = f"{root}/download/{version}/{_field(output, 'responsesFile')}:download?alt=media"
        lines, _ = await self.api.ask(Asked("GET", url), _read_lines)
        return {line["key"]: self._result(line) for line in lines}

    async def _state(self, batch: str) -> dict[str, Any]:
        state, _ = await self.api.ask(Asked("GET", f"/{batch}"), read_json)
        return dict(state)

    def _result(self, line: dict[str, Any]) -> Result:
        if "response" in line:
            return Done(line["response"])
        error = line.get("error", {})
        # google.rpc.Code 3: INVALID_ARGUMENT; all others are the provider's.
        refused = gemini_answers.refusal(400, error) if error.get("code") in {3, 400} else None
        return Refused(refused) if refused else Lost(str(error.get("message", "no response"))[:200])


def _metadata(operation: dict[str, Any]) -> dict[str, Any]:
    return dict(_field(operation, "metadata"))


@dataclass(frozen=True)
class OpenAIBatches:
    """The Batch API of OpenAI, and of servers that copy it: an uploaded file of JSON lines."""

    api: Client
    max_items: int = 50_000
    max_bytes: int = 190_000_000
    """Of 200 MB; the rest is for names."""

    async def submit(self, wave: str, items: Sequence[Item]) -> str:
        """Upload a file and make a batch of it."""
        lines = (
            b'{"custom_id":"' + item.key.encode() + b'","method":"POST","url":"/v1/chat/completions","body":'
            + item.content + b"}"
            for item in items
        )  # fmt: skip
        uploaded = await self._upload(wave, b"\n".join(lines))
        batch = {
            "input_file_id": uploaded,
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {"coldforge_wave": wave},
        }
        asked = post_json("/batches", json.dumps(batch).encode())
        made, _ = await self.api.ask(asked, read_json, tries=1)
        return str(_field(made, "id"))

    async def _upload(self, name: str, content: bytes) -> str:
        # The wave's name is random: no line of JSON holds it.
        head = f'--{name}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--{name}\r\n'
        head += f'Content-Disposition: form-data; name="file"; filename="{name}.jsonl"\r\n'
        head += "Content-Type: application/jsonl\r\n\r\n"
        form = head.encode() + content + f"\r\n--{name}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={name}"}
        uploaded, _ = await self.api.ask(Asked("POST", "/files", form, headers), read_json)
        return str(_field(uploaded, "id"))

    async def find(self, wave: Wave, keys: frozenset[str], known: frozenset[str]) -> str:
        """Find the batch that has the wave's name."""
        del keys, known
        page, _ = await self.api.ask(Asked("GET", "/batches?limit=100"), read_json)
        for batch in _field(page, "data"):
            if (batch.get("metadata") or {}).get("coldforge_wave") == wave.wave:
                return str(batch["id"])
        return ""

    async def ended(self, batch: str) -> bool:
        """Return whether the batch has come to an end, good or bad."""
        return _field(await self._state(batch), "status") in {"completed", "failed", "expired", "cancelled"}

    async def results(self, batch: str) -> Mapping[str, Result]:
        """Fetch the files of answers and of errors; an expired batch has those of what was done in time."""
        state = await self._state(batch)
        if state["status"] == "failed":
            raise FailedError(f"batch {batch} failed: {json.dumps(state.get('errors'))[:300]}")
        found: dict[str, Result] = {}
        for name in ("output_file_id", "error_file_id"):
            if state.get(name):
                url = f"/files/{state[name]}/content"
                lines, _ = await self.api.ask(Asked("GET", url), _read_lines)
                found |= {line["custom_id"]: self._result(line) for line in lines}
        return found

    async def _state(self, batch: str) -> dict[str, Any]:
        state, _ = await self.api.ask(Asked("GET", f"/batches/{batch}"), read_json)
        return dict(state)

    def _result(self, line: dict[str, Any]) -> Result:
        response = line.get("response") or {}
        status, body = response.get("status_code"), response.get("body")
        if status == 200:  # noqa: PLR2004 - HTTP OK
            return Done(body)
        error = body.get("error") if isinstance(body, dict) else line.get("error")
        said = json.dumps({"error": error})
        refused: Exception | None = refusal(status, said.encode()) if status is not None else None
        if refused is None and status is not None and status not in RETRIED:
            refused = UsageError(f"the batch API answered {status} to a request: {said[:200]}; put that right")
        if isinstance(refused, FilteredError):  # an outcome, which a completion has a word for
            return Done({"choices": [{"message": {"refusal": refused.detail}, "finish_reason": "content_filter"}]})
        return Refused(refused) if refused else Lost(json.dumps(error or line.get("error"))[:200])


def _read_lines(reply: Reply) -> list[dict[str, Any]]:
    return list(_lines(reply.body))


def _lines(content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.splitlines():
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InfrastructureError(f"a batch's results hold a line that is not JSON ({error})") from error


def _field(content: Any, name: str) -> Any:
    """Return a field that the protocol promises."""
    if not isinstance(content, dict) or name not in content:
        raise InfrastructureError(f"a batch API answered without `{name}`; is `base_url` right?")
    return content[name]


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


class OpenAISingle:
    """The bodies of a server's model. No batch API knows vLLM's parameter that keeps a stop string in the text."""

    def __init__(self, server: Server, api: Client) -> None:
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
        return write_request(request, sample, served_name=name, encode=self._encode, spelling=NO_KEEP_STOP)

    def read(self, body: Any, request: ChatRequest) -> ChatResponse:
        """Return the body of an answer in our terms.

        Raises:
            InfrastructureError: it is no completion.
        """
        content = orjson.dumps(body)
        return read_answer(content, request, with_fingerprint=not self._server.ignore_fingerprint)

    async def check(self) -> None:
        """Ask the server whether it has the model."""
        await self._server.check()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._server.aclose()
        await self._api.aclose()


def open_openai_api(
    base_url: str, api_key_env: str, retry: Retry | None = None, traffic: Traffic | None = None
) -> Client:
    """Return the account whose files and batches these are; nothing is sent yet."""
    key, retried = Key(api_key_env), retry or Retry(TRIES)
    return Client("the batch API at", (base_url,), key, refusal, retry=retried, traffic=traffic or Traffic())
