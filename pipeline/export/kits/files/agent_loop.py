"""verl's rollouts over coldforge's data: each message is acted upon exactly as when the data was made.

verl's own tool loop gives each call a session of its own, puts pictures before the text and cuts results in the middle;
this one has the grammar, the sandbox, the wording and the image budget of curation. `agent_loop.yaml` names it to verl
(0.9); `pipeline.rollout.served` says which variables name the sandbox service and the record of searches.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput

from pipeline.dialects.decoded import THINK
from pipeline.export.kit_facts import KitFacts
from pipeline.records import IMAGE_MARK
from pipeline.rollout.episode import Episode
from pipeline.rollout.served import episode, image_file

FACTS = KitFacts.beside(__file__)
# One for each episode of a process: none that waits for a session keeps out one that has it.
THREADS = ThreadPoolExecutor(1_024, thread_name_prefix="episode")
# How servers are told to end a message at a string and to keep it.
STOPS: dict[str, dict[str, bool]] = {"vllm": {"include_stop_str_in_output": True}, "sglang": {"no_stop_trim": True}}


class ColdforgeAgentLoop(AgentLoopBase):  # type: ignore[misc]
    """One episode per call of `run`."""

    async def run(self, sampling_params: dict[str, Any], **row: Any) -> AgentLoopOutput:
        """Let the student act until it answers, or a limit of messages or tokens ends it."""
        question_id = str((row.get("extra_info") or {}).get("index", ""))
        messages = list(row["raw_prompt"])
        opened = await self._in_thread(episode, FACTS, image_files(messages), question_id)
        try:
            return await self._converse(opened, messages, sampling_params)
        finally:
            await self._in_thread(opened.close)

    async def _converse(self, episode: Episode, messages: list[dict[str, Any]], sampling: dict[str, Any]) -> Any:
        views = await self._in_thread(episode.views, episode.images)
        shown = iter(views)
        messages = [{**message, "content": _viewed(message["content"], shown)} for message in messages]
        ids = await self.ct_build_initial_tokens(messages, images=views or None)
        # Some templates open the thought in the prompt.
        before = THINK if self.tokenizer.decode(ids[-8:]).rstrip().endswith(THINK) else ""
        mask, logprobs, said = list[int](), list[float](), list[str]()
        stop = {"stop": list(FACTS.grammar.stop), **STOPS.get(self.rollout_config.name, {})}
        request, room, end = uuid4().hex, self.rollout_config.response_length, self.tokenizer.eos_token_id
        while True:
            output = await self.server_manager.generate(
                request_id=request,
                prompt_ids=ids,
                sampling_params={**sampling, **stop},
                image_data=views or None,
            )
            new = output.log_probs or None
            merged, mask, logprobs = await self.ct_merge_assistant_token(
                ids, output.token_ids, mask, logprobs if new else None, assistant_logprobs=new
            )
            ids = merged.token_ids
            said.append(before + self.tokenizer.decode(output.token_ids, skip_special_tokens=True))
            if len(mask) >= room or not self._ended(output.token_ids, said[-1]):
                break
            step = await self._in_thread(episode.step, said[-1])
            if step.observation is None or step.finish is not None:
                break
            if ids[-1] != end:
                # A message that a string ended lacks the token that ends it in the template; nobody generated it.
                ids, mask, logprobs = [*ids, end], [*mask, 0], [*logprobs, 0.0] if logprobs else logprobs
            pictures = await self._in_thread(episode.views, step.pictures)
            messages.append({"role": "assistant", "content": said[-1]})
            answered = [*messages, {"role": "user", "content": _parts(step.observation, pictures)}]
            merged, longer, values = await self.ct_merge_context_msg(messages, answered, ids, mask, logprobs or None)
            if len(longer) >= room:
                break  # not taken: of its pictures some would be cut
            ids, mask, logprobs = merged.token_ids, longer, values or []
            messages, views = answered, [*views, *pictures]
        start = len(ids) - len(mask)
        return AgentLoopOutput(
            prompt_ids=ids[:start],
            response_ids=ids[start:][:room],
            response_mask=mask[:room],
            response_logprobs=logprobs[:room] if logprobs else None,
            multi_modal_data={"images": views} if views else {},
            num_turns=2 * len(said),
            metrics=AgentLoopMetrics(),
            extra_fields={"assistant_messages": said, "turn_scores": [], "tool_rewards": []},
        )

    def _ended(self, tokens: Sequence[int], message: str) -> bool:
        """Return whether the student ended its message: what a limit has cut ends the episode."""
        ends = message.rstrip().endswith(FACTS.grammar.stop)
        return ends or (bool(tokens) and tokens[-1] == self.tokenizer.eos_token_id)

    async def _in_thread(self, call: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(THREADS, call, *arguments)


def image_files(messages: Sequence[dict[str, Any]]) -> list[bytes]:
    """Return the files of the pictures in a prompt, as the row holds them."""
    parts = (part for message in messages if isinstance(message["content"], list) for part in message["content"])
    return [_file(part) for part in parts if part.get("type") == "image"]


def _file(part: dict[str, Any]) -> bytes:
    return bytes(part["bytes"]) if part.get("bytes") else image_file(part["image"])


def _viewed(content: Any, views: Iterator[Any]) -> Any:
    """Return the parts of a message with each picture at the student's budget."""
    if isinstance(content, str):
        return content
    return [{"type": "image", "image": next(views)} if part.get("type") == "image" else part for part in content]


def _parts(observation: str, views: Sequence[Any]) -> list[dict[str, Any]]:
    """Return an observation as parts, each picture where its mark stands."""
    pictures = iter(views)
    pieces = re.split(f"({re.escape(IMAGE_MARK)})", observation)
    return [
        {"type": "image", "image": next(pictures)} if piece == IMAGE_MARK else {"type": "text", "text": piece}
        for piece in pieces
        if piece
    ]
