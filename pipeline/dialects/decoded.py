"""The assistant messages in what a trainer decodes of an episode: one text, in which observations stand between them.

Trainers hand a reward the tokens of a whole response as text. DeepEyesV2's fork keeps the tokens of the chat template
(`verl/workers/reward_manager/naive_async.py` at 0373e6e), verl drops them (`naive.py` of its reward loop, 0.9), so that
of `<|im_start|>user` the word is left. Both are read here, for the ChatML of Qwen's templates. No observation of ours
holds such a token or a tag, since all foreign text in it is defused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_FRAMED = re.compile(r"(?:<\|im_end\|>)?\s*<\|im_start\|>user\n.*?<\|im_end\|>\s*<\|im_start\|>assistant\n", re.DOTALL)
# Each observation begins with one of these, in every dialect.
_BARE = re.compile(
    r"\n?user\n(?=Code execution result:|<tool_response>|Error: ).*?\nassistant\n(?=\s*<think>|\Z)", re.DOTALL
)
_END = re.compile(r"\s*(?:<\|im_end\|>|<\|endoftext\|>)\s*\Z")
THINK = "<think>"


def assistant_messages(decoded: str) -> list[str]:
    """Return the messages of a decoded response, in order; the first begins with its thought in any case.

    A template, or DeepEyesV2's environment, may open the thought in the prompt: then it is no part of the response.
    """
    frame = _FRAMED if "<|im_start|>" in decoded else _BARE
    first, *others = (_END.sub("", message) for message in frame.split(decoded))
    return [first if first.lstrip().startswith(THINK) else THINK + first, *others]


def decoded_response(messages: Sequence[str], observations: Sequence[str], *, bare: bool) -> str:
    """Return what a trainer decodes of these messages with an observation after each but the last.

    Args:
        messages: of the model.
        observations: as many, or one less.
        bare: without the tokens of the template.
    """
    end, start = ("", "") if bare else ("<|im_end|>", "<|im_start|>")
    text = messages[0]
    for observation, message in zip(observations, messages[1:], strict=False):
        text += f"{end}\n{start}user\n{observation}{end}\n{start}assistant\n{message}"
    return text + end
