"""What a server of the OpenAI protocol means when it does not answer 200."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pipeline.errors import ColdforgeError, InfrastructureError, RowError, UsageError
from pipeline.models.api import BusyError
from pipeline.models.limits import retry_after_seconds

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""What passes. 529 is what some gateways say for "overloaded"."""
_REFUSED = frozenset({400, 413, 422})
"""The server refuses this request for what it is: the row's error."""
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|(maximum|available) context (length|size)|maximum model len"
    r"|model's context|context window",
    re.IGNORECASE,
)
"""As OpenAI, llama.cpp, vLLM and SGLang say it; the protocol has no status of its own for it."""
_FILTERED = re.compile(r'"(content_filter|content_policy_violation)"')
"""Codes of a safety filter that stopped the prompt itself (OpenAI, Azure)."""


class FilteredError(RowError):
    """A safety filter stopped the prompt: an outcome, as a model's own refusal is."""


def failure(url: str, status: int, body: str, headers: Mapping[str, str]) -> ColdforgeError:
    """Return the error that an answer stands for; keys are the caller's affair (401, 403)."""
    said = _message(body)
    if status in _REFUSED:
        if _FILTERED.search(body):
            return FilteredError("refused", said)
        return RowError("context_too_long" if _TOO_LONG.search(body) else "request_refused", said)
    detail = f"{url} answered {status}: {said[:200]}"
    if status not in RETRIED:
        return UsageError(f"{detail}; correct `base_url` or `served_name` in the recipe")
    after = retry_after_seconds(headers.get("Retry-After"))
    # Too many requests is an answer of a server that is well; so is any other that says when to come back.
    if status == 429 or after is not None:  # noqa: PLR2004 - HTTP Too Many Requests
        return BusyError(detail, after)
    return InfrastructureError(detail)


def _message(body: str) -> str:
    """Return the message of an error object, or the beginning of whatever else was sent."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return body[:500]
    match content:
        case {"error": {"message": str(said)}} | {"message": str(said)} | {"error": str(said)}:
            return said[:500]
        case _:
            return body[:500]
