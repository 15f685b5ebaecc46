"""A server that answers as a case of `tests/support/cases/servers` says, and as a well one in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support.servers.openai_server import OpenAIServer, Reply, completion

FILE = Path(__file__).parents[1] / "cases" / "servers" / "answers.jsonl"
CASES: Mapping[str, dict[str, Any]] = {
    case["name"]: case for case in map(json.loads, FILE.read_text(encoding="utf-8").splitlines())
}
LOOKS = "<think>I look closer.</think>\n<code>\n```python\ndisplay(image_1.crop((0, 0, 200, 200)))\n```\n</code>"
CALLS = '<think>I count.</think>\n<tool_call>\n{"name": "python", "arguments": {"code": "print(1)"}}\n</tool_call>'
SAYS = "<think>The crop shows three.</think>\n<answer>3</answer>"
Body = dict[str, Any]


def has_said(body: Body) -> bool:
    return any(message["role"] == "assistant" for message in body["messages"])


def pictures(body: Body) -> int:
    return json.dumps(body["messages"]).count('"image_url": {')


def forgets_thought(body: Body) -> bool:
    return any(message["role"] == "assistant" and "reasoning_content" not in message for message in body["messages"])


WHEN: Mapping[str, Callable[[Body, int], bool]] = {
    "every request": lambda _, __: True,
    "every request that already holds an assistant message": lambda body, _: has_said(body),
    "every third request; the others are answered": lambda _, number: number % 3 == 2,
    "every request that holds an assistant message without `reasoning_content`; others are answered with "
    "`reasoning_content` beside the content": lambda body, _: forgets_thought(body),
    "every request with more than one image; others are answered": lambda body, _: pictures(body) > 1,
    "every request with an assistant message and max_tokens above 500; with 500 or less it is answered": (
        lambda body, _: has_said(body) and body["max_tokens"] > 500
    ),
    "every request that holds max_tokens": lambda body, _: "max_tokens" in body,
    "the first three requests; then answered": lambda _, number: number < 3,
}


@dataclass
class CaseServer(OpenAIServer):
    """The case, while it lasts."""

    case: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.script = self._reply

    def _reply(self, body: Body) -> Reply:
        case = self.case
        if WHEN[case["when"]](body, len(self.requests) - 1):
            return Reply(case["status"], json.dumps(case["body"]), headers=case["headers"])
        if "first" in case and not has_said(body):
            said = case["first"]
            return _of_one_model(completion(said["content"], reasoning_content=said["reasoning_content"]))
        if "then" in case and (has_said(body) or case["when"] == "every request that holds max_tokens"):
            return Reply(body=json.dumps(case["then"]))
        return _of_one_model(completion(SAYS if has_said(body) else LOOKS))


def _of_one_model(reply: Reply) -> Reply:
    """Another model than that of the cases would stop a run."""
    return replace(reply, body=reply.body.replace("weights-1", "m"))


def served(name: str) -> CaseServer:
    return CaseServer(case=CASES[name])
