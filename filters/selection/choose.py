"""What is published: which questions train RL, which trajectories train SFT, never both for one cluster.

On conflict RL keeps and SFT rejects. All choices go by ids, which are hashes, so they are as good as random
and do not depend on the order of the input.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple, TypeVar

from pydantic import Field

from filters.rule import Rule
from filters.selection.mix import Mix, MixGroup, MixUnit, exact, group_of, kept_rows
from pipeline.identity import Identity, uniform
from pipeline.records import Category, Decision, Lane

VERSION = 3

RlReason = Literal["excluded", "saturated", "duplicate_question", "image_in_sft", "resolution_artifact", "over_quota"]
SftReason = Literal[
    "excluded",
    "in_rl",
    "image_in_rl",
    "duplicate_trajectory",
    "over_skeleton_cap",
    "resolution_artifact",
    "over_mix",
    "over_quota",
]

_RL: Rule[RlReason] = Rule("select_rl", VERSION)
_SFT: Rule[SftReason] = Rule("select_sft", VERSION)


class SelectionSettings(Identity):
    """How much is published, and how it is balanced."""

    VERSION: ClassVar[int] = VERSION

    max_rl: int | None = Field(default=None, ge=0)
    """Exactly so many questions, if there are as many; None keeps all."""
    max_sft: int | None = Field(default=None, ge=0)
    """Exactly so many trajectories, if there are as many (under the mix); None keeps all."""
    mix: Mix | None = None
    """Shares of the SFT shard by lane, and by category in the lane `tools`: `deepeyesv2`, or a number per group.
    None keeps every lane as it comes."""
    mix_unit: MixUnit = "rows"
    """What the shares are of: rows, or the tokens that a trainer learns."""
    balance: bool = False
    """Fill a quota from all categories in turn, instead of in proportion; of SFT, only where no mix says how."""
    max_resolution_artifact: float | None = Field(default=None, ge=0, le=1)
    """Share of each shard, and of each group of a mix, that may be questions made hard by our blurring alone: those
    that the student answers at the size it is deployed with. None: no cap."""
    max_per_cluster: int = Field(default=1, ge=1)
    """Trajectories of one question and its near duplicates."""
    max_per_skeleton: int = Field(default=4, ge=1)
    """Trajectories of one program over one image. Four questions of one sheet may well be answered by one
    program with other numbers; more teach the program, not when to use it. Rows without calls have no program,
    and rows without images nothing to share it over: they are not counted."""
    disjoint: Literal["question", "image"] = "question"
    """What SFT and RL share none of: clusters of pictures and key, or pictures as well. A picture is one that counts as
    the same in dedup, and all that is tied to it (`Cluster.pictures`). Pictures that one shard alone asks for cost
    nothing."""
    rl_share: float = Field(default=0.5, ge=0, le=1)
    """Under `disjoint: image`, of the pictures that both shards ask for, the share that goes to RL, drawn by their name
    so that it is the same in every run."""
    saturated: Literal["keep", "reject"] = "reject"
    """RL questions whose rollouts with tools were all right. A group-relative method learns from how far each reward
    is from its group's mean: where all are equal there is no gradient, and the rollouts are paid for nothing."""


class RlCandidate(NamedTuple):
    """A question that gate 2 sent to RL."""

    question_id: str
    cluster_id: str
    category: Category
    saturated: bool
    resolution_artifact: bool
    """Too easy for the student at the size it is deployed with."""
    pictures: str = ""
    """Which pictures it is about, as `Cluster.pictures`; empty for none."""
    representative: str = ""
    """The question it repeats, as `Cluster.representative`; empty: its cluster is all that is known."""

    @property
    def repeats(self) -> str:
        """Return what is equal for questions that are one for training."""
        return self.representative or self.cluster_id


class SftCandidate(NamedTuple):
    """A valid trajectory."""

    trajectory_id: str
    question_id: str
    cluster_id: str
    category: Category
    lane: Lane
    sample: int
    skeleton: str
    """Of its actions and cells, such as `TrajectoryKey.skeleton`."""
    images: str
    """Which images it is about: any name that is equal for equal images, empty for none."""
    loss_tokens: int
    resolution_artifact: bool
    """As of `RlCandidate`: its question is."""
    pictures: str = ""
    representative: str = ""

    @property
    def repeats(self) -> str:
        """Return what is equal for questions that are one for training."""
        return self.representative or self.cluster_id

    @property
    def group(self) -> MixGroup:
        """Return its group in a mix."""
        return group_of(self.lane, self.category)


class Selection(NamedTuple):
    """A decision per candidate, each sorted by record id."""

    rl: tuple[Decision, ...]
    """On questions."""
    sft: tuple[Decision, ...]
    """On trajectories."""


def select(
    rl: Sequence[RlCandidate],
    sft: Sequence[SftCandidate],
    settings: SelectionSettings,
    excluded: frozenset[str] = frozenset(),
) -> Selection:
    """Decide on all candidates.

    What is `excluded`, by the id of a trajectory or of a question with all that answers it, takes nobody's place.

    Raises:
        ValueError: an id occurs twice.
        UnmetMixError: a group of the mix has no candidate left.
    """
    _require_distinct([candidate.question_id for candidate in rl])
    _require_distinct([candidate.trajectory_id for candidate in sft])
    out = [one.question_id for one in rl if one.question_id in excluded]
    out_sft = [one.trajectory_id for one in sft if not excluded.isdisjoint((one.trajectory_id, one.question_id))]
    rl = [one for one in rl if one.question_id not in excluded]
    sft = [one for one in sft if excluded.isdisjoint((one.trajectory_id, one.question_id))]
    given = _given_to_sft(rl, sft, settings.rl_share) if settings.disjoint == "image" else frozenset()
    rl_decisions, published = _select_rl(rl, given, settings)
    sft_decisions = _select_sft(sft, published, settings)
    return Selection(
        _by_id([*rl_decisions, *(_RL.reject(name, "excluded") for name in out)]),
        _by_id([*sft_decisions, *(_SFT.reject(name, "excluded") for name in out_sft)]),
    )


def _by_id(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    return tuple(sorted(decisions, key=lambda decision: decision.record_id))


def _given_to_sft(rl: Sequence[RlCandidate], sft: Sequence[SftCandidate], rl_share: float) -> frozenset[str]:
    """Return the pictures that both shards ask for and whose draw gives them to SFT."""
    both = {candidate.pictures for candidate in rl} & {candidate.pictures for candidate in sft} - {""}
    return frozenset(pictures for pictures in both if uniform("disjoint", pictures) >= rl_share)


def _select_rl(
    candidates: Sequence[RlCandidate], given: frozenset[str], settings: SelectionSettings
) -> tuple[tuple[Decision, ...], Sequence[RlCandidate]]:
    refused: dict[str, RlReason] = {}
    clusters: set[str] = set()
    left: list[RlCandidate] = []
    for candidate in sorted(candidates):
        if candidate.saturated and settings.saturated == "reject":
            refused[candidate.question_id] = "saturated"
        elif candidate.repeats in clusters:
            refused[candidate.question_id] = "duplicate_question"
        elif candidate.pictures in given:
            refused[candidate.question_id] = "image_in_sft"
        else:
            clusters.add(candidate.repeats)
            left.append(candidate)
    ranked, artifacts = _ranked(left, settings)
    refused.update({candidate.question_id: "resolution_artifact" for candidate in artifacts})
    if settings.max_rl is not None:
        refused.update({candidate.question_id: "over_quota" for candidate in ranked[settings.max_rl :]})
    decisions = _decisions(_RL, (candidate.question_id for candidate in candidates), refused)
    return decisions, ranked[: settings.max_rl]


def _select_sft(
    candidates: Sequence[SftCandidate], published: Sequence[RlCandidate], settings: SelectionSettings
) -> tuple[Decision, ...]:
    rl_clusters = {candidate.cluster_id for candidate in published}
    rl_pictures = {candidate.pictures for candidate in published if settings.disjoint == "image"} - {""}
    refused: dict[str, SftReason] = {}
    wanted = None if settings.mix is None else settings.mix.shares()
    clusters: Counter[str] = Counter()
    skeletons: Counter[tuple[str, str]] = Counter()
    left: list[SftCandidate] = []
    # The lowest sample of a cluster first; teachers are told apart by the id alone.
    for candidate in sorted(candidates, key=lambda candidate: (candidate.sample, candidate.trajectory_id)):
        program = (candidate.skeleton, candidate.images) if candidate.lane == "tools" and candidate.images else None
        if candidate.cluster_id in rl_clusters:
            refused[candidate.trajectory_id] = "in_rl"
        elif candidate.pictures in rl_pictures:
            refused[candidate.trajectory_id] = "image_in_rl"
        elif wanted is not None and candidate.group not in wanted:
            refused[candidate.trajectory_id] = "over_mix"
        elif clusters[candidate.repeats] >= settings.max_per_cluster:
            refused[candidate.trajectory_id] = "duplicate_trajectory"
        elif program is not None and skeletons[program] >= settings.max_per_skeleton:
            refused[candidate.trajectory_id] = "over_skeleton_cap"
        else:
            clusters[candidate.repeats] += 1
            if program is not None:
                skeletons[program] += 1
            left.append(candidate)
    refused.update(_over_mix(left, settings.mix, settings) if settings.mix else _over_quota(left, settings))
    return _decisions(_SFT, (candidate.trajectory_id for candidate in candidates), refused)


def _over_quota(candidates: Sequence[SftCandidate], settings: SelectionSettings) -> dict[str, SftReason]:
    ranked, artifacts = _ranked(candidates, settings)
    over = [] if settings.max_sft is None else ranked[settings.max_sft :]
    refused: dict[str, SftReason] = {candidate.trajectory_id: "resolution_artifact" for candidate in artifacts}
    return {**refused, **{candidate.trajectory_id: "over_quota" for candidate in over}}


def _over_mix(candidates: Sequence[SftCandidate], mix: Mix, settings: SelectionSettings) -> dict[str, SftReason]:
    """Return who is turned away so that the mix holds, and within it the quota and the cap on artifacts."""
    refused: dict[str, SftReason] = {}
    groups: defaultdict[MixGroup, list[SftCandidate]] = defaultdict(list)
    for candidate in sorted(candidates):
        groups[candidate.group].append(candidate)
    for group, members in groups.items():
        groups[group], artifacts = _paced(members, settings.max_resolution_artifact)
        refused.update({candidate.trajectory_id: "resolution_artifact" for candidate in artifacts})
    tokens = {group: [candidate.loss_tokens for candidate in members] for group, members in groups.items()}
    shares = mix.shares()
    whole = kept_rows(tokens, shares, settings.mix_unit)
    within = kept_rows(tokens, shares, settings.mix_unit, settings.max_sft)
    for group, members in groups.items():
        for candidate in members[within[group] :]:
            refused[candidate.trajectory_id] = "over_quota"
        for candidate in members[max(within[group], whole[group]) :]:
            refused[candidate.trajectory_id] = "over_mix"
    return refused


Candidate = TypeVar("Candidate", RlCandidate, SftCandidate)
SelectReason = TypeVar("SelectReason", bound=str)


def _ranked(
    candidates: Sequence[Candidate], settings: SelectionSettings
) -> tuple[Sequence[Candidate], Sequence[Candidate]]:
    """Return who may be kept, those first whom a quota keeps, and who is over the cap on resolution artifacts."""
    ranked = _in_turn(sorted(candidates)) if settings.balance else sorted(candidates)
    return _paced(ranked, settings.max_resolution_artifact)


def _in_turn(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Order by rank within the category, so that every prefix is as balanced as it can be."""
    ranks: Counter[Category] = Counter()
    placed = []
    for candidate in candidates:
        placed.append((ranks[candidate.category], candidate.category, candidate))
        ranks[candidate.category] += 1
    return [candidate for _, _, candidate in sorted(placed)]


def _paced(candidates: Sequence[Candidate], most: float | None) -> tuple[list[Candidate], list[Candidate]]:
    """Order so that resolution artifacts are at most the share `most` of every prefix; return those left over too.

    An artifact waits until enough others stand before it. So whoever takes the first so many keeps the cap, and of
    n others and any number of artifacts, floor(most / (1 - most) * n) artifacts find a place.
    """
    if most is None:
        return list(candidates), []
    share = exact(most)
    placed: list[Candidate] = []
    waiting: deque[Candidate] = deque()
    artifacts = 0
    for candidate in candidates:
        (waiting if candidate.resolution_artifact else placed).append(candidate)
        # (artifacts + 1) / (placed + 1) <= share, multiplied out.
        while waiting and (artifacts + 1) * share.denominator <= share.numerator * (len(placed) + 1):
            placed.append(waiting.popleft())
            artifacts += 1
    return placed, list(waiting)


def _decisions(
    rule: Rule[SelectReason], ids: Iterable[str], refused: Mapping[str, SelectReason]
) -> tuple[Decision, ...]:
    return tuple(rule.reject(name, refused[name]) if name in refused else rule.keep(name) for name in sorted(ids))


def _require_distinct(ids: Sequence[str]) -> None:
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise ValueError(f"{len(twice)} ids occur twice, such as {min(twice)}")
