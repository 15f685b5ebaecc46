"""The recipe: everything a run is asked to do, in one YAML file.

Fields under `runtime`, and each model's address, say where and how fast; all others are identity: they
decide fingerprints, so changing one makes the stages that read it run again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from filters.contamination import ContaminationSettings
from filters.dedup import DedupSettings
from filters.gates import GateSettings
from filters.images import ImageSettings
from filters.questions import QuestionSettings
from filters.selection import SelectionSettings
from filters.validators import ValidatorSettings
from flows.budget import BudgetUse, PriceUse
from flows.hosted import BatchUse, HostedRole
from flows.recipe_errors import explain
from flows.served import OfflineRole
from pipeline.dialects import DialectName, by_name
from pipeline.errors import UsageError
from pipeline.identity import Json, digest
from pipeline.images import ViewFamily, ViewRule
from pipeline.manifests import manifests_dir
from pipeline.models.chat import Sampling
from pipeline.models.serving import Serve
from pipeline.rollout import Limits

RlFormat = Literal["huggingface", "deepeyesv2", "verl"]

StageName = Literal[
    "ingest", "screen", "dedup", "decontaminate", "gate1", "gate2", "synthesize", "validate", "select", "publish"
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DemoSize(_Part):
    """How much of the demo corpus to generate."""

    questions: int = Field(default=100, ge=20)
    """Regular questions, before the rows that must be stopped."""
    seed: int = 0


class SourceUse(_Part):
    """One source of questions."""

    source: str
    """A name in `manifests/sources`, or the path of such a file."""
    demo: DemoSize | None = None
    """For the source `demo` only."""


class SearchUse(_Part):
    """Where the search tools look."""

    kind: Literal["local"] = "local"
    corpus: str
    """A source whose directory holds `pages.jsonl` and `gallery.jsonl`: the key of one of `sources`, or a name or
    path as there."""


class ReaderRole(_Part):
    """The embedded vision model."""

    backend: Literal["reader"]
    policy: Literal["naive", "careful"]
    sampling: Sampling = Sampling()


class ServerRole(_Part):
    """A model behind a server of the OpenAI protocol, such as vLLM."""

    backend: Literal["openai"]
    model: str
    """Identity of the weights, such as `Qwen/Qwen2.5-VL-7B-Instruct@cc594898`; decides what is paid again."""
    served_name: str = ""
    base_url: str | tuple[str, ...] = ()
    """Such as `http://127.0.0.1:8000/v1`, or a list of them that serve the same; not identity."""
    serve: Serve | None = None
    """In place of both: vLLM is started when a stage needs the model, and stopped afterwards; not identity."""
    api_key_env: str | None = None
    """Name of the environment variable with the key; never the key."""
    in_flight: int = Field(default=64, ge=1)
    """Requests open at once, over all URLs."""
    rpm: int | None = Field(default=None, ge=1)
    """Requests per minute that the service allows."""
    tpm: int | None = Field(default=None, ge=1)
    """Tokens per minute that the service allows."""
    timeout_seconds: float = Field(default=600.0, gt=0)
    """For one try of one answer."""
    patience_seconds: float = Field(default=300.0, ge=0)
    """How long servers may be down, or a request keep failing, before the run stops."""
    fingerprint: Literal["strict", "ignore"] = "strict"
    """Whether another `system_fingerprint` is another model version, which stops a run; `ignore` for services that
    run several configurations at once, as OpenAI's does."""
    price: PriceUse | None = None
    """None: nothing, such as for a server of one's own."""
    tools_api: Literal["text", "native"] = "text"
    """How tools are called: in the text that the model writes, or by the API, where the dialect can."""
    sampling: Sampling = Sampling()
    batch: BatchUse | None = None
    """None: every request on its own. Batches are OpenAI's, and of services that copy its API; vLLM has none."""

    @model_validator(mode="after")
    def _has_a_server(self) -> Self:
        if bool(self.base_url and self.served_name) == (self.serve is not None):
            raise ValueError("give base_url and served_name of a server that runs, or serve: {model} to start one")
        if self.serve is not None and (self.batch is not None or self.api_key_env is not None):
            raise ValueError("serve: a server of our own takes no batch and no api_key_env")
        for url in (self.base_url,) if isinstance(self.base_url, str) else self.base_url:
            if url and not url.startswith(("http://", "https://")):
                raise ValueError(f"base_url {url}: write the address as http://HOST:PORT/v1")
        return self


Role = Annotated[ReaderRole | ServerRole | OfflineRole | HostedRole, Field(discriminator="backend")]


class Student(_Part):
    """The model that the data is for."""

    family: ViewFamily
    revision: str
    max_pixels: int = Field(ge=4 * 28 * 28)
    """Budget per image; the released DeepEyesV2 configuration trains with 262,144."""
    view: Literal["student", "native"] = "student"
    """`native` shows models what the student will not see; every row says so."""
    cutoff_len: int = Field(default=20_480, ge=1)
    template: str = "qwen2_vl"
    coordinates: Literal["original_pixels", "seen_pixels", "norm1000"] = "original_pixels"
    """Of boxes and points in what is learnt."""

    @field_validator("coordinates")
    @classmethod
    def _supported(cls, value: str) -> str:
        if value != "original_pixels":
            raise ValueError(f"{value} is not supported yet; coordinates are rendered as original_pixels only")
        return value

    @property
    def view_rule(self) -> ViewRule:
        """Return how images are resized before any model sees them."""
        return ViewRule(self.family, self.max_pixels, self.view)


class Models(_Part):
    """Who answers."""

    base: Role
    teachers: tuple[Role, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _teachers_differ(self) -> Self:
        """Refuse the same teacher twice: equal requests have equal answers, so it would add nothing."""
        identities = [digest(role_identity(teacher)) for teacher in self.teachers]
        twice = [number for number, identity in enumerate(identities) if identity in identities[:number]]
        if twice:
            raise ValueError(f"teachers.{twice[0]} is the same model under the same sampling as one before it")
        return self


class PromptUse(_Part):
    """Prompts by role; a path replaces the guidance that comes with the set."""

    name: str | None = None
    """A folder of `manifests/prompts`; None: the one named like the dialect."""
    teacher_guidance: Path | None = None
    """A text file; relative paths start at the recipe."""


class RolloutUse(_Part):
    """Limits of every rollout."""

    max_turns: int = Field(default=9, ge=1)
    max_completion_tokens: int = Field(default=16_384, ge=1)
    max_seconds: float = Field(default=1_800.0, gt=0)

    @property
    def limits(self) -> Limits:
        """Return the limits for `pipeline.rollout`."""
        return Limits(self.max_turns, self.max_completion_tokens, self.max_seconds)


class SynthesisUse(_Part):
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


class ExportUse(_Part):
    """Which formats are written for each shard."""

    sft: tuple[Literal["llamafactory", "huggingface"], ...] = ("llamafactory", "huggingface")
    rl: tuple[RlFormat, ...] | None = None
    """None: every format that can be trained on in the dialect; the environment `deepeyesv2` acts in its own only."""


class SandboxUse(_Part):
    """The service that sandbox sessions run on, in place of this machine: `coldforge sandbox serve` starts one."""

    url: str
    """Such as `http://127.0.0.1:8000`."""
    token_env: str | None = None
    """Name of the environment variable with the service's token; never the token."""


class Runtime(_Part):
    """Where and how fast; never part of an identity."""

    workers: int | None = Field(default=None, ge=1)
    """Worker processes and sandboxed cells at once; default: the number of cores."""
    rollouts: int = Field(default=256, ge=1)
    """Conversations in flight."""
    sandbox: SandboxUse | None = None
    """None: sessions run on this machine."""
    budget: BudgetUse = BudgetUse()
    """What the models of a run may cost; the run stops there, and goes on when this is raised."""
    abort_above: Mapping[StageName, Annotated[float, Field(gt=0, lt=1)]] = {}
    """Share of records that a stage may lose (rejected, undecided or quarantined) before it stops the run."""
    abort_min_rows: int = Field(default=200, ge=1)
    """Records of a stage before its share means anything: at 200 its standard error is below 4 points."""


class Recipe(_Part):
    """A curation run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    seed: int = 0
    sources: tuple[SourceUse, ...] = Field(min_length=1)
    benchmarks: tuple[str, ...] = ()
    """Names in `manifests/benchmarks`, or paths: questions that must never be trained on."""
    student: Student
    models: Models
    dialect: DialectName = "deepeyesv2"
    """How models write their calls, and the student will."""
    prompts: PromptUse = PromptUse()
    search: SearchUse | None = None
    """None: there is no search, and models are told that nothing was found."""
    rollout: RolloutUse = RolloutUse()
    images: ImageSettings = ImageSettings()
    questions: QuestionSettings = QuestionSettings()
    dedup: DedupSettings = DedupSettings()
    decontaminate: ContaminationSettings = ContaminationSettings()
    gate: GateSettings = GateSettings()
    synthesize: SynthesisUse = SynthesisUse()
    validate_: ValidatorSettings = Field(default=ValidatorSettings(), alias="validate")
    select: SelectionSettings = SelectionSettings()
    export: ExportUse = ExportUse()
    runtime: Runtime = Runtime()

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
        native = [role for role in (self.models.base, *self.models.teachers) if calls_by_api(role)]
        if native and not by_name(self.dialect).tools:
            raise ValueError(f"tools_api: native needs calls that are JSON; the dialect {self.dialect} has others")
        return self

    @model_validator(mode="after")
    def _cost_has_prices(self) -> Self:
        roles = {"base": self.models.base, **{f"teachers.{n}": role for n, role in enumerate(self.models.teachers)}}
        free = [name for name, role in roles.items() if not isinstance(role, ReaderRole) and role.price is None]
        if self.runtime.budget.max_cost is not None and free:
            raise ValueError(
                f"runtime.budget.max_cost: models.{free[0]} has no price; give it price: {{prompt: …, completion: …}}, "
                "0 and 0 for a server of your own"
            )
        return self

    @property
    def prompt_set(self) -> str:
        """Return the name of the prompts."""
        return self.prompts.name or self.dialect

    @property
    def rl_formats(self) -> tuple[RlFormat, ...]:
        """Return the formats of the RL shard."""
        if self.export.rl is not None:
            return self.export.rl
        return ("huggingface", "deepeyesv2", "verl") if self.dialect == "deepeyesv2" else ("huggingface", "verl")

    def identity(self, prompts: Mapping[str, str]) -> str:
        """Return the sha256 of what the run is asked to do, without where and how fast.

        `prompts` are the hashes of the prompt texts: a path says nothing about what is in the file.
        """
        content = self.model_dump(mode="json", by_alias=True, exclude={"name", "runtime", "prompts"})
        content["prompts"] = dict(prompts)
        content["models"] = {
            "base": role_identity(self.models.base),
            "teachers": [role_identity(teacher) for teacher in self.models.teachers],
        }
        return digest(content)


def calls_by_api(role: Role) -> bool:
    """Return whether a model is given its tools as structure and not in the system text."""
    return not isinstance(role, ReaderRole) and role.tools_api == "native"


def role_identity(role: Role) -> Json:
    """Return a role without its address."""
    runtime = {
        *("served_name", "base_url", "serve", "api_key_env", "in_flight", "batch"),
        *("rpm", "tpm", "timeout_seconds", "patience_seconds", "fingerprint", "price"),
    }
    content: Json = role.model_dump(mode="json", exclude=runtime)
    return content


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `a.b=value` changes (values are YAML).

    Raises:
        UsageError: the file, a change or a field is wrong; the message names each and says what is allowed.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        known = ", ".join(sorted(f"manifests/recipes/{p.name}" for p in (manifests_dir() / "recipes").glob("*.yaml")))
        raise UsageError(
            f"recipe {path} cannot be read ({error.strerror}); recipes that come along: {known}"
        ) from error
    except yaml.YAMLError as error:
        raise UsageError(f"recipe {path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"recipe {path}: a recipe is a mapping of fields, such as `name: demo`")
    for change in changes:
        _apply(content, change)
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"recipe {path}:\n{explain(error, Recipe)}") from error
    guidance = recipe.prompts.teacher_guidance
    if guidance is not None and not guidance.is_absolute():
        prompts = recipe.prompts.model_copy(update={"teacher_guidance": path.parent / guidance})
        recipe = recipe.model_copy(update={"prompts": prompts})
    return recipe


def _apply(content: dict[str, Any], change: str) -> None:
    where, equals, text = change.partition("=")
    if not equals or not where:
        raise UsageError(f"--set {change}: write it as field.subfield=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {change}: the value is not YAML: {error}") from error
    *parents, last = where.split(".")
    node: Any = content
    for name in parents:
        node = _child(node, name, change)
    if isinstance(node, dict):
        node[last] = value
    else:
        node[_position(node, last, change)] = value


def _child(node: Any, name: str, change: str) -> Any:
    """Return a field, made if the recipe leaves it to its default, or an entry of a list."""
    return node.setdefault(name, {}) if isinstance(node, dict) else node[_position(node, name, change)]


def _position(node: Any, name: str, change: str) -> int:
    if isinstance(node, list) and name.isdigit() and int(name) < len(node):
        return int(name)
    held = f"a list of {len(node)}" if isinstance(node, list) else f"{node!r}"
    raise UsageError(f"--set {change}: {name} is not in {held}")
