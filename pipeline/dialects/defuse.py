"""The one function that makes foreign text harmless inside a transcript.

Questions, search results and Python output may spell what a tokenizer, a trainer or the dialect reads
as an instruction: an image placeholder, the end of a message, the start of a call. A zero-width space
after the first character keeps the text readable and stops it from being any of these.
"""

from __future__ import annotations

import re

ZERO_WIDTH_SPACE = "\u200b"

# The DeepEyesV2 grammar, opening and closing.
_GRAMMAR = ("think", "code", "tool_call", "tool_response", "answer")
# Calls of Qwen's XML and of GLM, and the marks of places in pictures (GLM, InternVL).
_CALLS = ("arg_key", "arg_value", "box", "ref", "sop", "eop")
# Media placeholders of trainers: LLaMA-Factory and verl, then ms-swift, InternVL and Gemma.
_MEDIA = ("image", "video", "audio", "img", "img_context", "bbox", "ref-object", "image_soft_token")
# Chat templates: Llama 2, Gemma, and the Hermes tool block of Qwen. `<|...|>` is matched by its shape.
_CHAT = (
    *("s", "bos", "eos", "pad", "unk", "mask", "start_of_turn", "end_of_turn"),
    *("start_of_image", "end_of_image", "im_start", "im_end", "tools"),
)
_ANGLE = "|".join(re.escape(name) for name in (*_GRAMMAR, *_CALLS, *_MEDIA, *_CHAT))
# Mistral and Llama 2. Case counts here: `[img]` is BBCode and `[inst]` a Python list.
_SQUARE = "gMASK|INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|IMG_BREAK|IMG_END"

# Longer than every special token in use; bounds the search on hostile text.
_LONGEST = 64

# Only the first character is consumed, so a token that starts inside another is found as well.
_CONTROL = re.compile(
    # Servers read the tags of calls with white space in them, too.
    rf"<(?=(?i:\s{{0,8}}/?\s{{0,8}}(?:{_ANGLE})\s{{0,8}}>)"
    # Qwen's XML names what it opens: `<function=python>`.
    rf"|(?i:\s{{0,8}}(?:function|parameter)\s{{0,8}}=[^\n<>]{{0,{_LONGEST}}}>|\s{{0,8}}/\s{{0,8}}(?:function|parameter)\s{{0,8}}>)"
    r"|<(?i:/?SYS)>>"
    # Qwen, Llama 3 and most others; DeepSeek writes full-width bars.
    rf"|(?P<bar>[|\uff5c])[^\n<>|\uff5c]{{1,{_LONGEST}}}(?P=bar)>)"
    rf"|\[(?=/?(?:{_SQUARE})\])"
)


def defuse(text: str) -> str:
    """Return `text` with U+200B after the first character of every control token and grammar tag.

    Idempotent. Tags in angle brackets are found in any case, since some parsers ignore case.

    >>> defuse("see <image>") == "see <" + ZERO_WIDTH_SPACE + "image>"
    True
    """
    return _CONTROL.sub(lambda match: match.group() + ZERO_WIDTH_SPACE, text)


def contains_control(text: str) -> bool:
    """Return whether `text` holds a control token or grammar tag, that is whether `defuse` would change it."""
    # Most texts hold neither, which is seen in a fiftieth of the time of a search.
    return ("<" in text or "[" in text) and _CONTROL.search(text) is not None
