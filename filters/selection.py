"""What is published: which questions train RL, which trajectories train SFT, never both for one cluster.

On conflict RL keeps and SFT rejects. All choices go by ids, which are hashes, so they are as good as random
and do not depend on the order of the input.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeVar

from pydantic import Field

from filters.base import Rule, Settings
from pipeline.records import Category, Decision

VERSION = 1

RlReason = Literal["saturated", "duplicate_question", "over_quota"]
SftReason = Literal["in_rl", "duplicate_trajectory", "over_skeleton_cap", "over_quota"]

_RL: Rule[RlReason] = Rule("select_rl", VERSION)
_SFT: Rule[SftReason] = Rule("select_sft", VERSION)


class SelectionSettings(Settings):
    """How much is published, and how it is balanced."""

    max_rl: int | None = Field(default=None, ge=0)
    """Exactly so many questions, if there are as many; None keeps all."""
    max_sft: int | None = Field(default=None, ge=0)
    """Exactly so many trajectories, if there are as many; None keeps all."""
    balance: bool = False
    """Fill a quota from all categories in turn, instead of in proportion."""
    max_per_cluster: int = Field(default=1, ge=1)
    """Trajectories of one question and its near duplicates."""
    max_per_skeleton: int = Field(default=4, ge=1)
    """Trajectories of one program over one image. Four questions of one sheet may well be answered by one
    program with other numbers; more teach the program, not when to use it."""
    saturated: Literal["keep", "reject"] = "keep"
    """RL questions whose rollouts with tools were all right: no gradient for a group-relative method."""


class RlCandidate(NamedTuple):
    """A question that gate 2 sent to RL."""

    question_id: str
    cluster_id: str
    category: Category
    saturated: bool


class SftCandidate(NamedTuple):
    """A valid trajectory."""

    trajectory_id: str
    question_id: str
    cluster_id: str
    category: Category
    sample: int
    skeleton: str
    """Of its actions and cells, such as `TrajectoryKey.skeleton`."""
    images: str
    """Which images it is about: any name that is equal for equal images."""


class Selection(NamedTuple):
    """A decision per candidate, each sorted by record id."""

    rl: tuple[Decision, ...]
    """On questions."""
    sft: tuple[Decision, ...]
    """On trajectories."""


def select(rl: Sequence[RlCandidate], sft: Sequence[SftCandidate], settings: SelectionSettings) -> Selection:
    """Decide on all candidates.

    Raises:
        ValueError: an id occurs twice.
    """
    _require_distinct([candidate.question_id for candidate in rl])
    _require_distinct([candidate.trajectory_id for candidate in sft])
    rl_decisions, rl_clusters = _select_rl(rl, settings)
    return Selection(rl_decisions, _select_sft(sft, rl_clusters, settings))


def _select_rl(
    candidates: Sequence[RlCandidate], settings: SelectionSettings
) -> tuple[tuple[Decision, ...], frozenset[str]]:
    refused: dict[str, RlReason] = {}
    clusters: set[str] = set()
    left: list[RlCandidate] = []
    for candidate in sorted(candidates):
        if candidate.saturated and settings.saturated == "reject":
            refused[candidate.question_id] = "saturated"
        elif candidate.cluster_id in clusters:
            refused[candidate.question_id] = "duplicate_question"
        else:
            clusters.add(candidate.cluster_id)
            left.append(candidate)
    chosen, over = _quota(left, settings.max_rl, settings)
    refused.update({candidate.question_id: "over_quota" for candidate in over})
    decisions = _decisions(_RL, (candidate.question_id for candidate in candidates), refused)
    return decisions, frozenset(candidate.cluster_id for candidate in chosen)


def _select_sft(
    candidates: Sequence[SftCandidate], rl_clusters: frozenset[str], settings: SelectionSettings
) -> tuple[Decision, ...]:
    refused: dict[str, SftReason] = {}
    clusters: Counter[str] = Counter()
    skeletons: Counter[tuple[str, str]] = Counter()
    left: list[SftCandidate] = []
    # The lowest sample of a cluster first; teachers are told apart by the id alone.
    for candidate in sorted(candidates, key=lambda candidate: (candidate.sample, candidate.trajectory_id)):
        shape = candidate.skeleton, candidate.images
        if candidate.cluster_id in rl_clusters:
            refused[candidate.trajectory_id] = "in_rl"
        elif clusters[candidate.cluster_id] >= settings.max_per_cluster:
            refused[candidate.trajectory_id] = "duplicate_trajectory"
        elif skeletons[shape] >= settings.max_per_skeleton:
            refused[candidate.trajectory_id] = "over_skeleton_cap"
        else:
            clusters[candidate.cluster_id] += 1
            skeletons[shape] += 1
            left.append(candidate)
    _, over = _quota(left, settings.max_sft, settings)
    refused.update({candidate.trajectory_id: "over_quota" for candidate in over})
    return _decisions(_SFT, (candidate.trajectory_id for candidate in candidates), refused)


Candidate = TypeVar("Candidate", RlCandidate, SftCandidate)
SelectReason = TypeVar("SelectReason", bound=str)


def _quota(
    candidates: Sequence[Candidate], most: int | None, settings: SelectionSettings
) -> tuple[Sequence[Candidate], Sequence[Candidate]]:
    """Return who is within the quota and who is over it."""
    if most is None:
        return candidates, ()
    ranked = _in_turn(sorted(candidates)) if settings.balance else sorted(candidates)
    return ranked[:most], ranked[most:]


def _in_turn(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Order by rank within the category, so that every prefix is as balanced as it can be."""
    ranks: Counter[Category] = Counter()
    placed = []
    for candidate in candidates:
        placed.append((ranks[candidate.category], candidate.category, candidate))
        ranks[candidate.category] += 1
    return [candidate for _, _, candidate in sorted(placed)]


def _decisions(rule: Rule[SelectReason], ids: Iterable[str], refused: dict[str, SelectReason]) -> tuple[Decision, ...]:
    return tuple(rule.reject(name, refused[name]) if name in refused else rule.keep(name) for name in sorted(ids))


def _require_distinct(ids: Sequence[str]) -> None:
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise ValueError(f"{len(twice)} ids occur twice, such as {min(twice)}")
