"""vLLM's offline engine behind a socket. Run by its path, with the interpreter of vLLM's own environment.

Imports nothing of ours, and vLLM only once it runs; the other end (`pipeline.models.local.offline`) imports the framing
of this one.

A frame is the length of a JSON object (4 bytes, big endian), the object, and the images that its `images`
counts in bytes, as PNG. A request is `{"id", "body", "images"}`, where the body is a chat completion of the
OpenAI protocol, in which an image is `{"type": "image_pil", "image_pil": number}`; the answer is
`{"id", "completion"}`, or `{"id", "refused"}` with the reason. `{"ready": version}` comes before all.
"""

from __future__ import annotations

import io
import json
import queue
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

LENGTH = struct.Struct("!I")
_END = None


class Request(NamedTuple):
    """One sample that is asked for."""

    number: int
    body: dict[str, Any]
    images: list[bytes]


def frame(head: bytes, images: Sequence[bytes] = ()) -> bytes:
    """Return a JSON object and its images as they are sent."""
    return b"".join([LENGTH.pack(len(head)), head, *images])


def main() -> None:
    """Load the model that `sys.argv[2:]` (flags of `vllm serve`) describes, and answer on the socket `sys.argv[1]`."""
    from vllm import LLM, EngineArgs, __version__
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    path, flags = sys.argv[1], sys.argv[2:]
    parser = EngineArgs.add_cli_args(FlexibleArgumentParser())
    llm = LLM.from_engine_args(EngineArgs.from_cli_args(parser.parse_args(flags)))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(frame(json.dumps({"ready": __version__}).encode()))
        requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        reading = threading.Thread(target=_read, args=(connection.makefile("rb"), requests), daemon=True)
        reading.start()
        _answer(llm, requests, connection)


def _read(stream: BinaryIO, requests: queue.SimpleQueue[Request | None]) -> None:
    """Put every request into the queue, and `_END` when the other end has closed."""
    while len(head := stream.read(LENGTH.size)) == LENGTH.size:
        message = json.loads(stream.read(*LENGTH.unpack(head)))
        images = [stream.read(size) for size in message["images"]]
        requests.put(Request(message["id"], message["body"], images))
    requests.put(_END)


def _answer(llm: Any, requests: queue.SimpleQueue[Request | None], connection: socket.socket) -> None:
    """Hand requests to the engine as they come, for it to work on all at once, and send what is finished."""
    running: dict[str, Request] = {}
    while True:
        while not running or not requests.empty():
            request = requests.get()
            if request is _END:
                return
            try:
                running[_begin(llm, request)] = request
            except ValueError as error:  # vLLM's word for a request that it does not take, such as one too long
                _send(connection, {"id": request.number, "refused": str(error)})
        for output in llm.llm_engine.step():
            if output.finished:
                request = running.pop(output.request_id)
                _send(connection, {"id": request.number, "completion": _completion(output, request.body)})


def _begin(llm: Any, request: Request) -> str:
    (name,) = llm.enqueue_chat(_messages(request), _sampling(llm, request.body), use_tqdm=False)
    # vLLM 0.32 names what was added `<number>-<random>`, and what is finished by the number alone.
    return str(name).partition("-")[0]


def _messages(request: Request) -> list[dict[str, Any]]:
    """Return the messages with the images in their places."""
    from PIL import Image

    messages: list[dict[str, Any]] = request.body["messages"]
    for message in messages:
        for part in message["content"] if isinstance(message["content"], list) else ():
            if part["type"] == "image_pil":
                part["image_pil"] = Image.open(io.BytesIO(request.images[part["image_pil"]]))
    return messages


def _sampling(llm: Any, body: dict[str, Any]) -> Any:
    """Return the sampling that a body asks for, over the checkpoint's own defaults, as vLLM's server does it."""
    from vllm.sampling_params import StructuredOutputsParams

    sampling = llm.get_default_sampling_params()
    for name in ("temperature", "top_p", "max_tokens", "seed"):
        setattr(sampling, name, body[name])
    sampling.stop = body.get("stop", [])
    sampling.include_stop_str_in_output = True
    sampling.logprobs = 0 if body.get("logprobs") else None
    if "response_format" in body:
        sampling.structured_outputs = StructuredOutputsParams(json=body["response_format"]["json_schema"]["schema"])
    sampling.__post_init__()
    return sampling


def _completion(output: Any, body: dict[str, Any]) -> dict[str, Any]:
    """Return a finished request as a chat completion."""
    (said,) = output.outputs
    choice = {
        "message": {"role": "assistant", "content": said.text},
        "finish_reason": said.finish_reason,
        "stop_reason": said.stop_reason,
    }
    if said.logprobs is not None:
        tokens = [entry[token] for token, entry in zip(said.token_ids, said.logprobs, strict=True)]
        choice["logprobs"] = {"content": [{"token": t.decoded_token, "logprob": t.logprob} for t in tokens]}
    usage = {
        "prompt_tokens": len(output.prompt_token_ids),
        "completion_tokens": len(said.token_ids),
        "prompt_tokens_details": {"cached_tokens": output.num_cached_tokens or 0},
    }
    return {"model": body["model"], "choices": [choice], "usage": usage}


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(frame(json.dumps(message).encode()))


if __name__ == "__main__":
    main()
