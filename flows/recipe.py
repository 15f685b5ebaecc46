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
from flows.recipe_errors import explain
from pipeline.errors import UsageError
from pipeline.identity import Json, digest
from pipeline.images import ViewFamily, ViewRule
from pipeline.manifests import manifests_dir
from pipeline.models.chat import Sampling
from pipeline.rollout import Limits


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
    served_name: str
    base_url: str
    """Such as `http://127.0.0.1:8000/v1`; not identity."""
    api_key_env: str | None = None
    """Name of the environment variable with the key; never the key."""
    in_flight: int = Field(default=64, ge=1)
    sampling: Sampling = Sampling()


Role = Annotated[ReaderRole | ServerRole, Field(discriminator="backend")]


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
    """Prompts by role; a path replaces the guidance that comes with the dialect."""

    name: str = "deepeyesv2"
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
    """Per question and teacher; a question stops at its first accepted attempt."""


class ExportUse(_Part):
    """Which formats are written for each shard."""

    sft: tuple[Literal["llamafactory", "huggingface"], ...] = ("llamafactory", "huggingface")
    rl: tuple[Literal["huggingface", "deepeyesv2", "verl"], ...] = ("huggingface", "deepeyesv2", "verl")


class Runtime(_Part):
    """Where and how fast; never part of an identity."""

    workers: int | None = Field(default=None, ge=1)
    """Worker processes and sandboxed cells at once; default: the number of cores."""
    rollouts: int = Field(default=256, ge=1)
    """Conversations in flight."""


class Recipe(_Part):
    """A curation run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    seed: int = 0
    sources: tuple[SourceUse, ...] = Field(min_length=1)
    benchmarks: tuple[str, ...] = ()
    """Names in `manifests/benchmarks`, or paths: questions that must never be trained on."""
    student: Student
    models: Models
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


def role_identity(role: ReaderRole | ServerRole) -> Json:
    """Return a role without its address."""
    content: Json = role.model_dump(mode="json", exclude={"served_name", "base_url", "api_key_env", "in_flight"})
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
