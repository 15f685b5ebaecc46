"""What an export holds in sum: what a trainer has to be told of it, and what its card says in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from pipeline.export.rows import Split
from pipeline.records import Category


class Spread(BaseModel):
    """How a number of tokens is spread over the rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    median: int
    p95: int
    most: int

    @classmethod
    def of(cls, values: Iterable[int]) -> Spread:
        """Return the spread of some numbers: each is one of them, the least that so large a share is not above."""
        ordered = sorted(values) or [0]
        median, p95 = (ordered[min(len(ordered) - 1, -(-len(ordered) * share // 100) - 1)] for share in (50, 95))
        return cls(median=median, p95=p95, most=ordered[-1])


class Summary(BaseModel):
    """An export in sum; `kits.kit_files` makes a trainer's configuration of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    splits: Mapping[Split, int]
    """Split → rows; `train`, and `validation` where there is one."""
    files: Mapping[Split, tuple[str, ...]]
    """Split → paths of its data files, relative to the export."""
    row_tokens: Spread
    """Of whole rows, pictures at the student's budget."""
    prompt_tokens: Spread
    """Of all before the first assistant message."""
    response_tokens: Spread
    """Of the rest, observations included: of questions, of their gate rollouts with tools. All 0 where unknown."""
    most_images: int
    """In one row."""
    most_observation: int = 0
    """Characters of the longest one."""
    categories: tuple[Category, ...]
    search: bool
    """Whether there is a search, and models are told of it."""
    seed: int
    """Of sandbox sessions."""
    sandbox: str
    """Identity of the sandbox that cells were executed in."""
    max_turns: int
    """Assistant messages of a rollout (`rollout.max_turns`)."""
    max_completion_tokens: int
    """Of a whole rollout (`rollout.max_completion_tokens`)."""
    version: str
    """Of coldforge, which a kit asks for."""
