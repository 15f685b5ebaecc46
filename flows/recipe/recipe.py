"""The recipe: everything a run is asked to do, in one YAML file.

Fields under `runtime`, and each model's address, say where and how fast; all others are identity: they
decide fingerprints, so changing one makes the stages that read it run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from filters.answers.votes import JudgeSettings
from filters.dedup.clusters import DedupSettings
from filters.dedup.contamination import ContaminationSettings
from filters.gates.gold import GoldSettings
from filters.gates.lanes import LaneSettings
from filters.gates.rules import GateSettings
from filters.rights.rules import RightsSettings
from filters.screen.images import ImageBounds, ImageSettings
from filters.screen.questions import QuestionSettings
from filters.selection.choose import SelectionSettings
from filters.validate.long_cot import LongCotSettings
from filters.validate.rules import ValidatorSettings
from flows.recipe.roles import BudgetUse, ReaderRole, Role, calls_at_once, calls_by_api
from flows.recipe.searching import SearchUse
from pipeline.dialects import Dialect, DialectName, by_name
from pipeline.export.layout import Format, RlFormat, SftFormat, Shard
from pipeline.export.rights import WithheldImages
from pipeline.fetch.recorded import Fetch
from pipeline.identity import Identity, Place, digest
from pipeline.manifests import KEY
from pipeline.rollout.loop import Limits
from pipeline.students.family import FAMILIES, Student

StageName = Literal[
    "ingest", "screen", "dedup", "decontaminate", "gate1", "gate2", "synthesize", "validate", "select", "publish"
]

MAY_LOSE = 0.9
"""A stage that decides on less than a tenth of its records has met a mistake, and no data."""


FEWEST_ROLLOUTS = 256
"""Conversations in flight, if the recipe says nothing: they are cheap where no model is busy with them."""


class DemoSize(Identity):
    """How much of the demo corpus to generate."""

    questions: int = Field(default=100, ge=20)
    """Regular questions, before the rows that must be stopped."""
    seed: int = 0
    wrong_golds: float = Field(default=0.0, ge=0, lt=1)
    """Share of regular questions whose stored answer is swapped for another's: to measure what finds them."""


class SourceUse(Identity):
    """One source of questions."""

    source: str
    """A name in `manifests/sources`, or the path of such a file."""
    demo: DemoSize | None = None
    """For the source `demo` only."""
    fetch: Fetch | None = None
    """That pictures are fetched which its rows name by URL, as in `fetch: {}`; default: such a row is refused."""


_Said = Annotated[str, Field(pattern=r"^[^{}\\\x00-\x1f]*[^{}\\\x00-\x1f ][^{}\\\x00-\x1f]*$", max_length=2_000)]
"""A line of text that BibTeX can hold: no braces, no backslash."""


class DatasetUse(Identity):
    """Who publishes the set and under which title: for the card of the whole, and for nothing else."""

    title: _Said | None = None
    """None: the name of the run."""
    authors: tuple[_Said, ...] = ()
    """As BibTeX reads them: `Given Family` or `Family, Given`."""
    contact: _Said | None = None
    """An address or a page for whoever asks for something to be taken down or corrected."""
    url: Annotated[str, Field(pattern=r"^https?://[^\s{}\\<>]+$")] | None = None
    description: _Said | None = None
    """A sentence or two, at the head of the page."""
    year: int | None = Field(default=None, ge=2000, le=9999)
    """Of publication. It is stated, for cards of equal runs are equal."""


class Models(Identity):
    """Who answers."""

    base: Role
    teachers: tuple[Role, ...] = Field(min_length=1)
    stronger: Role | None = None
    """Asked without tools about what the base model fails: what it always solves is rejected at gate 1."""
    judge: Role | None = None
    """Asked about answers that no rule decides. None: at the gates those count as not right."""

    @model_validator(mode="after")
    def _teachers_differ(self) -> Self:
        """Refuse the same teacher twice: equal requests have equal answers, so it would add nothing."""
        identities = [digest(teacher.identity()) for teacher in self.teachers]
        twice = [number for number, identity in enumerate(identities) if identity in identities[:number]]
        if twice:
            raise ValueError(f"teachers.{twice[0]} is the same model under the same sampling as one before it")
        return self

    @model_validator(mode="after")
    def _stronger_differs(self) -> Self:
        if self.stronger is not None and self.stronger.identity() == self.base.identity():
            raise ValueError("stronger is the base model itself; name another, or remove it")
        return self

    @field_validator("judge")
    @classmethod
    def _can_judge(cls, judge: Role | None) -> Role | None:
        if isinstance(judge, ReaderRole):
            raise ValueError("the reader only reads pictures; name a server or a hosted model")  # noqa: TRY004 - a value
        return judge

    def roles(self) -> Mapping[str, Role]:
        """Return every role by its place in `models`."""
        named = {"base": self.base, **{f"teachers.{number}": role for number, role in enumerate(self.teachers)}}
        extra = {"stronger": self.stronger, "judge": self.judge}
        return {**named, **{name: role for name, role in extra.items() if role is not None}}


class PromptUse(Identity):
    """Prompts by role; a path replaces the guidance that comes with the set."""

    name: str | None = None
    """A folder of `manifests/prompts`; None: the one named like the dialect."""
    teacher_guidance: Path | None = None
    """A text file; relative paths start at the recipe."""


class SynthesisUse(Identity):
    """How teachers are asked."""

    attempts: int = Field(default=4, ge=1)
    """Per question and teacher."""
    accept: int = Field(default=1, ge=1)
    """A question stops at this many accepted attempts; more of them reach the export where `select.max_per_cluster`
    lets them."""
    policy: Literal["cascade", "weighted"] = "cascade"
    """Which teacher is asked first: the recipe's first, or one drawn by `weights` for each question. The others
    follow in the recipe's order, or drawn in the same way, until enough attempts are accepted."""
    weights: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """One per teacher, under `policy: weighted`; empty: all equal."""


class RightsUse(RightsSettings):
    """What may not be asked or taught of people, and what was taken down."""

    tombstones: Place[Path | None] = None
    """A list beside `manifests/tombstones.yaml`, written as that one: what no export may hold. A relative path starts
    at the recipe."""

    @property
    def rules(self) -> RightsSettings:
        """Return what stages before publishing go by."""
        return RightsSettings(people=self.people, personal_data=self.personal_data)


class SelectUse(SelectionSettings):
    """How much is published, how it is balanced, and what is kept out by name."""

    exclude: Place[tuple[str, ...]] = ()
    """Ids of trajectories, or of questions, which go with all that answers them, and files of marks (`marks.parquet` of
    a review), whose defective rows go. A relative path starts at the recipe. What they name is identity."""

    @field_validator("exclude", mode="before")
    @classmethod
    def _one_is_a_list(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @property
    def rules(self) -> SelectionSettings:
        """Return what the stage goes by, beside the ids that are excluded."""
        return SelectionSettings(**{name: getattr(self, name) for name in SelectionSettings.model_fields})


class ExportUse(Identity):
    """Which formats are written for each shard."""

    sft: tuple[SftFormat, ...] = get_args(SftFormat)
    rl: tuple[RlFormat, ...] | None = None
    """None: every format that can be trained on in the dialect; the environment `deepeyesv2` acts in its own only."""
    withheld_images: WithheldImages = "drop_row"
    """What becomes of a row with a picture, or a result of a search, that may not be passed on (`redistributable:
    false`): it is left out of every export, or kept for those who may train on it and pass nothing on."""
    split_by_licence: bool = False
    """Whether data sets of Hugging Face have files and a configuration for each licence, so that some can be left."""
    validation: float = Field(default=0.0, ge=0, le=0.5)
    """Share of the questions, by clusters of pictures, whose rows are to validate with."""


class SandboxUse(Identity):
    """The service that sandbox sessions run on, in place of this machine: `coldforge sandbox serve` starts one."""

    url: str
    """Such as `http://127.0.0.1:8000`."""
    token_env: str | None = None
    """Name of the environment variable with the service's token; never the token."""


class Runtime(Identity):
    """Where and how fast; never part of an identity."""

    workers: int | None = Field(default=None, ge=1)
    """Worker processes and sandboxed cells at once; default: the number of cores."""
    rollouts: int | None = Field(default=None, ge=1)
    """Conversations in flight. Gates work on this many divided by `gate.k` questions, each to its end. None: twice as
    many as the busiest model has calls in flight, for half of them may wait for a cell; 256 at least."""
    sandbox: SandboxUse | None = None
    """None: sessions run on this machine."""
    budget: BudgetUse = BudgetUse()
    """What the models of a run may cost; the run stops there, and goes on when this is raised."""
    abort_above: Mapping[StageName, Annotated[float, Field(gt=0, le=1)]] = {}
    """Share of its records that a stage may lose without a decision (quarantined, undecided, refused, or no attempt at
    them ended) before the run stops; 0.9 where a stage is not named, and 1 never stops one."""
    abort_min_rows: int = Field(default=20, ge=1)
    """Records of a stage before its share means anything: fewer may well all be bad."""
    max_rejected: float = Field(default=0.02, ge=0, le=1)
    """Share of a model's requests that its server may not take (more than one picture, say) before the stage stops.
    Below, such a question is quarantined as `request_rejected`: a few odd rows, and not a server set up wrongly."""
    min_requests: int = Field(default=50, ge=1)
    """Of a model in a stage, before their share means anything; with fewer it is judged when the stage ends."""

    def may_lose(self, stage: str) -> float:
        """Return the share of its records that a stage may lose without a decision."""
        return {str(name): share for name, share in self.abort_above.items()}.get(stage, MAY_LOSE)


class Recipe(Identity):
    """A curation run."""

    name: Place[str] = Field(pattern=KEY)
    seed: int = 0
    sources: tuple[SourceUse, ...] = Field(min_length=1)
    edits: Place[tuple[str, ...]] = ()
    """Files of what people corrected (`edits.parquet` of `coldforge review edit`): a row of which another is made. A
    relative path starts at the recipe. What they hold comes in as records."""
    benchmarks: tuple[str, ...] = ()
    """Names in `manifests/benchmarks`, or paths: questions that must never be trained on."""
    student: Student
    models: Models
    dialect: DialectName = "deepeyesv2"
    """How models write their calls, and the student will."""
    prompts: Place[PromptUse] = PromptUse()
    search: SearchUse | None = None
    """None: there is no search, and no prompt, tool list or export speaks of one."""
    rollout: Limits = Limits()
    images: ImageSettings = ImageSettings()
    questions: QuestionSettings = QuestionSettings()
    rights: RightsUse = RightsUse()
    dedup: DedupSettings = DedupSettings()
    decontaminate: ContaminationSettings = ContaminationSettings()
    gate: GateSettings = GateSettings()
    judge: JudgeSettings = JudgeSettings()
    gold: GoldSettings = GoldSettings()
    lanes: LaneSettings = LaneSettings()
    long_cot: LongCotSettings = LongCotSettings()
    synthesize: SynthesisUse = SynthesisUse()
    validate_: ValidatorSettings = Field(default=ValidatorSettings(), alias="validate")
    select: SelectUse = SelectUse()
    export: ExportUse = ExportUse()
    dataset: Place[DatasetUse] = DatasetUse()
    require: Place[tuple[str, ...]] = ()
    """Conditions of a release, such as `sft_rows >= 1000`; `coldforge release` refuses where one is not kept."""
    runtime: Place[Runtime] = Runtime()

    @field_validator("edits", mode="before")
    @classmethod
    def _one_is_a_list(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _weights_match_teachers(self) -> Self:
        weights, teachers = self.synthesize.weights, self.models.teachers
        if weights and self.synthesize.policy != "weighted":
            raise ValueError("synthesize.weights are read under `policy: weighted` only; set it, or remove them")
        if weights and len(weights) != len(teachers):
            raise ValueError(f"synthesize.weights holds {len(weights)} numbers for {len(teachers)} models.teachers")
        return self

    @model_validator(mode="after")
    def _dialect_fits(self) -> Self:
        if self.dialect != "deepeyesv2" and "deepeyesv2" in (self.export.rl or ()):
            raise ValueError(f"export.rl: the environment deepeyesv2 does not read the dialect {self.dialect}")
        native = any(calls_by_api(role) for role in self.models.roles().values())
        if native and not by_name(self.dialect).tools:
            raise ValueError(f"tools_api: native needs calls that are JSON; the dialect {self.dialect} has others")
        return self

    @model_validator(mode="after")
    def _mix_has_lanes(self) -> Self:
        mix, lanes = self.select.mix, self.lanes
        if mix is not None and mix.no_call and not lanes.no_call:
            raise ValueError("select.mix.no_call asks for rows, and lanes.no_call keeps no question for them; set both")
        if mix is not None and mix.plain_cot and not lanes.plain_cot:
            raise ValueError("select.mix.plain_cot asks for rows, and lanes.plain_cot keeps no question; set both")
        return self

    @model_validator(mode="after")
    def _lane_is_surer_than_the_gate(self) -> Self:
        right, gate = self.lanes.no_call_right, self.gate
        if right is not None and not gate.max_plain_right < right <= gate.k:
            raise ValueError(
                f"lanes.no_call_right {right}: what gate 1 finds too easy is right {gate.max_plain_right + 1} to "
                f"{gate.k} times (gate.max_plain_right, gate.k); give one of these"
            )
        return self

    @model_validator(mode="after")
    def _judge_is_there(self) -> Self:
        if self.gate.judge_questions and self.models.judge is None:
            raise ValueError("gate.judge_questions asks models.judge, and there is none; name one, or turn it off")
        return self

    @model_validator(mode="after")
    def _sweep_differs(self) -> Self:
        budgets = (self.student.max_pixels, *self.other_budgets)
        if len(set(budgets)) < len(budgets):
            raise ValueError("gate.sweep: each budget once, and other than student.max_pixels and deploy_pixels")
        return self

    @model_validator(mode="after")
    def _cost_has_prices(self) -> Self:
        roles = self.models.roles()
        free = [name for name, role in roles.items() if not isinstance(role, ReaderRole) and role.price is None]
        if self.runtime.budget.max_cost is not None and free:
            raise ValueError(
                f"runtime.budget.max_cost: models.{free[0]} has no price; give it price: {{prompt: …, completion: …}}, "
                "0 and 0 for a server of your own"
            )
        return self

    @property
    def image_bounds(self) -> ImageBounds:
        """Return which images the screen lets through."""
        family = FAMILIES[self.student.family]
        return self.images.bounds(family.patch, family.max_aspect)

    @property
    def other_budgets(self) -> tuple[int, ...]:
        """Return the pixel budgets beside the student's at which gate 1 asks its survivors."""
        deploy = self.student.deploy_pixels
        return (*(() if deploy is None else (deploy,)), *self.gate.sweep)

    @property
    def rollouts(self) -> int:
        """Return how many conversations are in flight."""
        busiest = max(map(calls_at_once, self.models.roles().values()))
        return self.runtime.rollouts or max(FEWEST_ROLLOUTS, 2 * busiest)

    @property
    def wire(self) -> Dialect:
        """Return how models write; without a tool to search where there is nothing to search."""
        return by_name(self.dialect, search=self.search is not None)

    @property
    def prompt_set(self) -> str:
        """Return the name of the prompts."""
        return self.prompts.name or self.dialect

    @property
    def rl_formats(self) -> tuple[RlFormat, ...]:
        """Return the formats of the RL shard."""
        if self.export.rl is not None:
            return self.export.rl
        formats: tuple[RlFormat, ...] = get_args(RlFormat)
        return tuple(kind for kind in formats if kind != "deepeyesv2" or self.dialect == "deepeyesv2")

    @property
    def exports(self) -> tuple[tuple[Shard, Format], ...]:
        """Return every export that is asked for; one without a row is not written."""
        return (*(("sft", kind) for kind in self.export.sft), *(("rl", kind) for kind in self.rl_formats))

    def sha256(self, prompts: Mapping[str, str]) -> str:
        """Return the identity of what the run is asked to do, without where, how fast and under which name.

        `prompts` are the hashes of the prompt texts: a path says nothing about what is in the file.
        """
        return digest({**self.identity(), "prompts": dict(prompts)})
