"""How long prompts and responses may be in training by reinforcement: no row is cut, and no more is paid for."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.export.summary import Summary

_STEP = 512
"""Lengths are multiples of it."""
_SLACK = 10
"""A tenth on top: tokens are counted without the trainer's template, and often estimated."""


class Lengths(NamedTuple):
    """In tokens."""

    prompt: int
    response: int
    """Of a whole episode, observations with their pictures included."""

    @property
    def together(self) -> int:
        """Return the context that a server needs."""
        return self.prompt + self.response


def lengths(summary: Summary) -> Lengths:
    """Return the lengths for a data set: room for its longest prompt, and for what rollouts of it took.

    A student writes more than the 95th percentile of what was kept now and then, and what it was allowed in curation is
    the limit: the budget of a rollout and its pictures.
    """
    prompt = _up(summary.prompt_tokens.most + summary.prompt_tokens.most // _SLACK)
    known = summary.response_tokens.most
    response = _up(known + known // _SLACK) if known else 0
    return Lengths(prompt, max(response, _up(summary.max_completion_tokens)))


def _up(tokens: int) -> int:
    return max(1, -(-tokens // _STEP)) * _STEP
