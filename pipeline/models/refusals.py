"""What it means that a model's server refuses a request: one of three kinds, with the server's own words.

`TooLongError`: the conversation outgrew the context. It is stored beside the context length that the role states,
ends a rollout as `length`, and is asked again under a larger one. `FilteredError`: a safety filter stopped it, which
is an outcome of the row. `RejectedError`: the server does not take what we send, which says nothing of the row: it is
never stored, and `Takes` stops a stage in which it is no exception.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from pipeline.errors import LimitError, RowError

QUOTED = 500
"""Characters of a server's words that are kept: a message, and not the page of a proxy."""


class RefusedError(RowError):
    """A server refuses a request; `detail` is what it says."""

    code: ClassVar[str] = ""

    def __init__(self, detail: str) -> None:
        super().__init__(self.code, detail)

    def __reduce__(self) -> tuple[type[RefusedError], tuple[str]]:  # type: ignore[override] # one field
        """Rebuild from the words: the reason is the class's."""
        return type(self), (self.detail,)


class TooLongError(RefusedError):
    """The request is longer than the model's context."""

    code = "context_too_long"


class FilteredError(RefusedError):
    """A safety filter stopped the prompt: an outcome, as a model's own refusal is."""

    code = "refused"


class RejectedError(RefusedError):
    """The server does not take what it was sent, such as a second picture."""

    code = "request_rejected"

    def __init__(self, detail: str, param: str = "") -> None:
        super().__init__(detail)
        self.param = param
        """The field that the server says is at fault, if it says so."""

    def names(self, field: str) -> bool:
        """Return whether it is about a field of a request: words such as `stop` are common ones, too."""
        return self.param == field or re.search(rf"['\"`.]{field}\b|: {field}\b", self.detail) is not None


class Complaint(NamedTuple):
    """An error object of any server, as far as they agree."""

    message: str
    code: str = ""
    kind: str = ""
    """Its `type`."""
    param: str = ""
    flagged: bool = False
    """Whether a moderation names what it found (OpenRouter)."""

    @classmethod
    def of(cls, body: bytes) -> Complaint:
        """Read the body of an answer that is an error, or that holds one; of anything else its beginning."""
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            return cls(body[:QUOTED].decode(errors="replace"))
        holder = content[0] if isinstance(content, list) and content else content
        error = holder.get("error", holder) if isinstance(holder, dict) else holder
        return cls.read(error, body)

    @classmethod
    def read(cls, error: Any, body: bytes = b"") -> Complaint:
        """Read an error object; `body` is quoted where it has no words of its own."""
        match error:
            case str(said):
                return cls(said[:QUOTED])
            case {"message": str(said), **others}:
                return cls(_with_cause(said, others), *_names(others), flagged=_flagged(others))
            case {"detail": str(said), **others} | {"error": str(said), **others}:
                return cls(said[:QUOTED], *_names(others))
            case _:
                return cls((body or json.dumps(error).encode())[:QUOTED].decode(errors="replace"))

    @property
    def overflows(self) -> bool:
        """Return whether it says that a request does not fit the context."""
        return _TOO_LONG.search(f"{self.message} {self.code} {self.kind}".lower()) is not None

    @property
    def filtered(self) -> bool:
        """Return whether it says that a safety filter stopped the prompt."""
        named = _FILTERED.search(f"{self.code} {self.kind}".lower()) or _FILTERED_WORDS.search(self.message.lower())
        return self.flagged or named is not None

    @property
    def unpaid(self) -> bool:
        """Return whether it asks for payment."""
        return _UNPAID.search(f"{self.code} {self.kind}".lower()) is not None


def _names(error: Mapping[Any, Any]) -> tuple[str, str, str]:
    return str(error.get("code") or ""), str(error.get("type") or ""), str(error.get("param") or "")


def _flagged(error: Mapping[Any, Any]) -> bool:
    metadata = error.get("metadata")
    return isinstance(metadata, dict) and bool({"flagged_input", "reasons"} & metadata.keys())


def _with_cause(said: str, error: Mapping[Any, Any]) -> str:
    """Return a gateway's message with the words of the provider behind it."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return f"{said}: {raw}"[:QUOTED] if isinstance(raw, str) and raw else said[:QUOTED]


_TOO_LONG = re.compile(
    # Most name the context: OpenAI, vLLM, SGLang, LMDeploy, llama.cpp, Ollama, LM Studio, Anthropic, OpenRouter.
    r"context[ _](length|size|window|limit)|maximum model len|max_model_len"
    # vLLM of one picture; SGLang; xAI; Moonshot; Cohere.
    r"|encoder cache size|maximum allowed length|maximum prompt length|model token limit|too many tokens"
    # LMDeploy; Alibaba; vLLM, whose prompt leaves less than nothing for a message.
    r"|session length|range of input length|max_tokens must be at least 1, got -"
    # Anthropic and Bedrock; Gemini; Groq.
    r"|(prompt|input) (is )?too long|input token count|maximum number of (input )?tokens"
    r"|reduce the length of the (messages|prompt|input)"
    # TGI.
    r"|inputs?`? tokens \+ `?max_new_tokens|`?inputs`? must have less than"
)
_FILTERED = re.compile(r"content.?filter|content_policy|moderation|data_inspection|responsible_?ai|sensitive|flagged")
"""Codes of OpenAI, Azure, OpenRouter, Alibaba and Z.ai."""
_FILTERED_WORDS = re.compile(r"datainspectionfailed|content management policy|inappropriate content")
"""Where there is no code: Alibaba, Azure."""
_UNPAID = re.compile(r"insufficient_(quota|balance|credits?)|billing|payment_required")


class Room(NamedTuple):
    """How much of a context is left for a message, in tokens, as a refusal tells it."""

    tokens: int | None
    """None: it tells that prompt and message together are too long, and not by how much."""


_CONTEXT = (
    re.compile(r"(?:context length|context window|model length|context size)[^\d]{0,24}?(\d+)"),
    re.compile(r"(?:<=|>) ?(\d+)"),
)
_PROMPT = (
    re.compile(r"(\d+) (?:tokens )?(?:in|from) the (?:input )?(?:messages|prompt)"),
    re.compile(r"(\d+) (?:`?inputs?`?|prompt|text input) tokens"),
    re.compile(r"context limit: (\d+) \+"),
)
_MESSAGE_TOO = re.compile(r"completion|max_(?:new_|completion_)?tokens|output tokens|output length")


def room_left(said: str) -> Room | None:
    """Return the room that an overflow leaves for a message, None where the prompt alone is too long.

    The wordings are those of vLLM, SGLang, OpenAI, OpenRouter, TGI and Anthropic.
    """
    text = said.lower().replace(",", "")
    context, prompt = _number(_CONTEXT, text), _number(_PROMPT, text)
    if context is not None and prompt is not None:
        return Room(context - prompt) if prompt < context else None
    return Room(None) if _MESSAGE_TOO.search(text) and "got -" not in text else None


def _number(patterns: tuple[re.Pattern[str], ...], text: str) -> int | None:
    found = (match for pattern in patterns if (match := pattern.search(text)))
    return next((int(match[1]) for match in found), None)


class RejectionsError(LimitError):
    """A model rejects more of a stage's requests than the recipe allows it to."""


@dataclass
class Takes:
    """How many of a stage's requests one model takes: those that are answered, by the store too, and in flight."""

    role: str = ""
    """Of the recipe's models, for the message."""
    max_share: float = 1.0
    min_requests: int = 50
    asked: int = 0
    rejected: int = 0
    said: str = ""

    def begin_stage(self) -> None:
        """Forget the stage before."""
        self.asked = self.rejected = 0

    def reject(self, error: RejectedError) -> None:
        """Count a rejection.

        Raises:
            RejectionsError: there are too many, of enough requests to tell.
        """
        self.rejected += 1
        self.said = error.detail
        if self.asked >= self.min_requests:
            self.require_few()

    def require_few(self) -> None:
        """Raise `RejectionsError` if too large a share was rejected; at a stage's end however few there were."""
        if self.rejected > self.max_share * self.asked:
            raise RejectionsError(
                f"{self.role}: the server rejects {self.rejected:,} of {self.asked:,} requests, and says: "
                f"{self.said.rstrip('.')}. "
                "Nothing of that is stored or counted; start the server so that it takes them, then run again "
                f"(runtime.max_rejected is {self.max_share:g})"
            )
