"""The stages of a run: what each depends on. Everything that decides a fingerprint is on this page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from filters.answers import chance as filter_chance
from filters.answers import grader as answers
from filters.base import Settings
from filters.dedup import clusters as dedup
from filters.dedup import contamination, templates
from filters.gates import gold, lanes
from filters.gates import rules as gates
from filters.screen import images, questions
from filters.selection import choose as selection
from filters.validate import long_cot
from filters.validate import rules as validators
from flows.asking.ask import TAUGHT, open_judge
from flows.asking.resources import Stock
from flows.recipe.inputs import Inputs
from flows.recipe.recipe import Recipe
from flows.recipe.roles import role_identity
from pipeline.engine.stage import Stage
from pipeline.engine.units import Kind
from pipeline.identity import Json
from pipeline.images import HASH_RECIPE
from pipeline.records import (
    ArmCount,
    Cluster,
    Decision,
    GateCount,
    ImageFacts,
    JudgeVotes,
    ObservationFacts,
    Question,
    Record,
    ReplayResult,
    Suspicion,
    TemplateFacts,
    Trajectory,
    TrajectoryKey,
)

GROUPS: Mapping[str, tuple[str, ...]] = {
    "gather": ("ingest", "screen", "dedup", "decontaminate"),
    "gate": ("gate1", "gate2"),
    "synthesize": ("synthesize", "validate"),
    "publish": ("select", "publish"),
}
"""Stages in order, by the flow that runs them; each group can be scheduled on its own."""

ORDER = tuple(stage for group in GROUPS.values() for stage in group)

VERSIONS: Mapping[str, int] = {**dict.fromkeys(ORDER, 1), "validate": 2, "select": 2, "publish": 2}
"""Raised by hand when a stage's own code writes something else; filters carry their own versions."""


class _Part(NamedTuple):
    """What is particular to a stage."""

    kind: Kind
    settings: Json
    tables: Mapping[str, type[Record]]
    model: str = ""


def declare(recipe: Recipe, inputs: Inputs, stock: Stock) -> Mapping[str, Stage]:
    """Return every stage of a run by name; each fingerprint covers those before it."""
    parts = _parts(recipe, inputs, stock)
    stages: dict[str, Stage] = {}
    upstream: tuple[str, ...] = ()
    for name in ORDER:
        part = parts[name]
        stages[name] = Stage(name, VERSIONS[name], part.kind, part.settings, part.model, part.tables, upstream)
        upstream = (stages[name].fingerprint,)
    return stages


def _parts(recipe: Recipe, inputs: Inputs, stock: Stock) -> Mapping[str, _Part]:
    return {
        "ingest": _Part(
            "map",
            {"sources": [[source.key, source.revision] for source in inputs.sources]},
            {"questions": Question},
        ),
        "screen": _Part(
            "map",
            {
                "images": _filter(recipe.image_bounds, images.VERSION),
                "questions": _filter(recipe.questions, questions.VERSION),
                "grader": answers.VERSION,
                "chance": filter_chance.VERSION,
                "hashes": HASH_RECIPE,
            },
            {"questions": Question, "facts": ImageFacts},
        ),
        "dedup": _Part(
            "global",
            {**_filter(recipe.dedup, dedup.VERSION), "templates": templates.VERSION},
            {"clusters": Cluster, "templates": TemplateFacts},
        ),
        "decontaminate": _Part(
            "global",
            {
                "rule": _filter(recipe.decontaminate, contamination.VERSION),
                "benchmarks": [benchmark.model_dump(mode="json") for benchmark in inputs.benchmarks],
            },
            {},
        ),
        **_model_stages(recipe, inputs, stock),
        "validate": _Part(
            "map",
            {
                **_filter(recipe.validate_, validators.VERSION),
                "long_cot": _filter(recipe.long_cot, long_cot.VERSION),
                "tokens": inputs.tokens.name,
                "cutoff_len": recipe.student.cutoff_len,
            },
            {"decisions": Decision, "facts": ObservationFacts, "replays": ReplayResult, "keys": TrajectoryKey},
            stock.world.python.pool.identity,
        ),
        "select": _Part(
            "global",
            {
                **_filter(recipe.select, selection.VERSION),
                "deploy_pixels": recipe.student.deploy_pixels,
                "max_plain_right": recipe.gate.max_plain_right,
            },
            {},
        ),
        "publish": _Part(
            "global",
            {
                "name": recipe.name,
                "sources": dict(inputs.terms),
                "dialect": recipe.dialect,
                "formats": {"sft": list(recipe.export.sft), "rl": list(recipe.rl_formats)},
                "student": recipe.student.facts(),
                "tokens": inputs.tokens.name,
                "max_plain_right": recipe.gate.max_plain_right,
                "prompts": dict(inputs.prompts.hashes()),
            },
            {},
        ),
    }


def _model_stages(recipe: Recipe, inputs: Inputs, stock: Stock) -> Mapping[str, _Part]:
    """Return the stages that ask models."""
    hashes = inputs.prompts.hashes()
    common: dict[str, Json] = {
        "grader": answers.VERSION,
        "judge": _judge(recipe, stock),
        "rollout": _rollout(recipe, stock),
    }
    gate: dict[str, Json] = {
        **common,
        "settings": recipe.gate.model_dump(mode="json"),
        "filter": gates.VERSION,
        "chance": filter_chance.VERSION,
        "model": role_identity(recipe.models.base),
    }
    stronger = recipe.models.stronger
    hard: Json = {
        **gate,
        "prompts": hashes["base/plain"],
        "lanes": _filter(recipe.lanes, lanes.VERSION),
        "deploy_pixels": recipe.student.deploy_pixels,
        "stronger": None if stronger is None or stock.stronger is None else role_identity(stronger),
    }
    helped: Json = {**gate, "prompts": hashes["base/tools"], "fresh": hashes["base/plain"]}
    synthesis: Json = {
        **common,
        "gold": {**_filter(recipe.gold, gold.VERSION), "families": dict(stock.families)},
        "teaching": recipe.synthesize.model_dump(mode="json"),
        "validators": _filter(recipe.validate_, validators.VERSION),
        "prompts": {lane: hashes[f"{speaker}/{mode}"] for lane, (speaker, mode) in TAUGHT.items()},
        "solutions": {"prompts": hashes["export/plain"], "version": long_cot.VERSION},
        "teachers": [role_identity(role) for role in recipe.models.teachers],
    }
    tables: Mapping[str, type[Record]] = {
        "counts": GateCount,
        "trajectories": Trajectory,
        "arms": ArmCount,
        "votes": JudgeVotes,
    }
    asked = [stock.base.revision, *([stock.stronger.revision] if stock.stronger is not None else [])]
    return {
        "gate1": _Part("map", hard, tables, " ".join(asked)),
        "gate2": _Part("map", helped, tables, stock.base.revision),
        "synthesize": _Part(
            "map",
            synthesis,
            {"trajectories": Trajectory, "unfinished": Trajectory, "votes": JudgeVotes, "suspicions": Suspicion},
            " ".join(teacher.revision for teacher in stock.teachers),
        ),
    }


def _filter(settings: Settings, version: int) -> dict[str, Json]:
    return {"settings": settings.model_dump(mode="json"), "version": version}


def _judge(recipe: Recipe, stock: Stock) -> Json:
    judge, role = open_judge(recipe, stock), recipe.models.judge
    if judge is None or role is None:
        return None
    # What a hosted model takes decides which votes are refusals.
    return {**judge.identity(), "role": role_identity(role)}


def _rollout(recipe: Recipe, stock: Stock) -> Json:
    """Return what decides the course of a rollout beside model and prompts."""
    rule = recipe.student.view_rule
    return {
        "seed": recipe.seed,
        "dialect": recipe.dialect,
        "limits": recipe.rollout.model_dump(mode="json"),
        "view": [rule.family, rule.max_pixels, rule.policy],
        "sandbox": stock.world.python.pool.identity,
        "search": stock.world.search.revision,
    }
