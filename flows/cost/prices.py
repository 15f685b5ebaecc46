"""What a model's role says about its cost: price, images, batches, speed."""

from __future__ import annotations

import math
from typing import NamedTuple

from flows.recipe.recipe import Recipe
from flows.recipe.roles import HostedRole, OfflineRole, ReaderRole, Role, ServerRole, calls_at_once, role_price
from pipeline.models.providers.image_tokens import ImageRule, image_tokens
from pipeline.models.samples import Price
from pipeline.students.family import FAMILIES, Size

LARGE = Size(4_096, 4_096)
"""An image that no student's budget holds: its view is as large as views get."""
NATIVE = Size(1_024, 1_024)
"""Assumed under `view: native`, where nothing bounds an image."""


class Load(NamedTuple):
    """What a model is asked in a stage."""

    calls: float
    prompt_tokens: float
    cached_tokens: float
    """Of the prompt's: what a prefix cache would serve."""
    completion_tokens: float
    waves: float
    """Calls that must wait for one another, at the least: what counts where each waits for a batch."""


class Pace(NamedTuple):
    """Assumed speeds."""

    tokens_per_second: float
    """That one answer grows by."""
    first_token_seconds: float
    prompt_tokens_per_second: float
    """That one replica reads."""
    batch_hours: float
    """Until a provider's batch comes back."""


def price_of(role: Role) -> Price | None:
    """Return what a role's calls cost; None where the recipe does not say."""
    return None if isinstance(role, ReaderRole) or role.price is None else role_price(role)


def cost(role: Role, load: Load) -> float | None:
    """Return the money for a load, None where the role has no price."""
    price = price_of(role)
    if price is None:
        return None
    fresh = load.prompt_tokens - load.cached_tokens
    spent = fresh * price.prompt + load.cached_tokens * price.cached + load.completion_tokens * price.completion
    return spent / 1e6


def in_batches(role: Role) -> bool:
    """Return whether a role is asked by its provider's batch API."""
    return isinstance(role, ServerRole | HostedRole) and role.batch is not None


def thinks(role: Role) -> bool:
    """Return whether a provider adds thought of its own, which is paid as completion."""
    return isinstance(role, HostedRole) and role.thinking == "native"


def view_tokens(role: Role, recipe: Recipe, pixels: int) -> int:
    """Return the tokens of one image, as large as a view of so many pixels; an open model counts as the student."""
    rule = recipe.student.view_at(pixels)
    size = NATIVE if rule.policy == "native" else rule.size(LARGE)
    return image_tokens(image_rule(role), size) if isinstance(role, HostedRole) else FAMILIES[rule.family].tokens(size)


def image_rule(role: HostedRole) -> ImageRule:
    """Return how a hosted model's images are counted."""
    # Older models of both providers are those that take a budget of thought. Claude 4.6 takes a level and still has
    # the older limit of 1,568 tokens, which only views above a megapixel reach.
    older = role.limits.thinking == "budget"
    if role.backend == "anthropic":
        return "claude_before_4_7" if older else "claude"
    return "gemini_2" if older else "gemini"


def gpus(role: Role) -> int | None:
    """Return how many GPUs a model of ours takes; None where others run it."""
    serve = role.serve if isinstance(role, ServerRole | OfflineRole) else None
    return None if serve is None else serve.tp * serve.dp


def hours(role: Role, recipe: Recipe, load: Load, pace: Pace) -> float | None:
    """Return the time that a load takes at least; None for the embedded reader, which answers by this machine's CPU.

    It is what the tightest of these lets through: calls in flight, requests per minute, tokens per minute. A server of
    one's own reads prompts between writing answers, so that both take their time.
    """
    if isinstance(role, ReaderRole):
        return None
    if not load.calls:
        return 0.0
    limits = [_answering(load, min(calls_at_once(role), recipe.rollouts), pace) + _reading(role, load, pace)]
    if isinstance(role, OfflineRole):
        return limits[0]
    if role.batch is not None:
        # One conversation has one message in a batch; what does not fit into a wave waits for the next.
        together = min(role.batch.max_requests, recipe.rollouts)
        return max(load.waves, math.ceil(load.calls / together)) * pace.batch_hours
    if role.rpm is not None:
        limits.append(load.calls / role.rpm / 60)
    if role.tpm is not None:
        limits.append((load.prompt_tokens + load.completion_tokens) / role.tpm / 60)
    return max(limits)


def _answering(load: Load, in_flight: int, pace: Pace) -> float:
    seconds = load.calls * pace.first_token_seconds + load.completion_tokens / pace.tokens_per_second
    return seconds / in_flight / 3_600


def _reading(role: Role, load: Load, pace: Pace) -> float:
    """Return the hours in which replicas of our own read what no prefix cache holds; a service has its own GPUs."""
    if isinstance(role, HostedRole) or (isinstance(role, ServerRole) and role.api_key_env is not None):
        return 0.0
    replicas = role.replicas if isinstance(role, ServerRole) else 1
    return (load.prompt_tokens - load.cached_tokens) / pace.prompt_tokens_per_second / replicas / 3_600
