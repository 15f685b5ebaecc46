"""The stages of a run: what each depends on. Everything that decides a fingerprint is on this page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from filters import answers, contamination, dedup, gates, images, questions, selection, validators
from flows.inputs import Inputs
from flows.recipe import Recipe, role_identity
from flows.world import Stock
from pipeline.identity import Json
from pipeline.images import HASH_RECIPE
from pipeline.records import (
    Cluster,
    Decision,
    GateCount,
    ImageFacts,
    ObservationFacts,
    Question,
    Record,
    ReplayResult,
    Trajectory,
    TrajectoryKey,
)
from pipeline.stage import Kind, Stage

GROUPS: Mapping[str, tuple[str, ...]] = {
    "gather": ("ingest", "screen", "dedup", "decontaminate"),
    "gate": ("gate1", "gate2"),
    "synthesize": ("synthesize", "validate"),
    "publish": ("select", "publish"),
}
"""Stages in order, by the flow that runs them; each group can be scheduled on its own."""

ORDER = tuple(stage for group in GROUPS.values() for stage in group)

VERSIONS: Mapping[str, int] = dict.fromkeys(ORDER, 1)
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
    hashes = inputs.prompts.hashes()
    gate: dict[str, Json] = {
        "settings": recipe.gate.model_dump(mode="json"),
        "filter": gates.VERSION,
        "grader": answers.VERSION,
        "rollout": _rollout(recipe, stock),
        "model": role_identity(recipe.models.base),
    }
    synthesis: Json = {
        "teaching": recipe.synthesize.model_dump(mode="json"),
        "validators": _filter(recipe.validate_.model_dump(mode="json"), validators.VERSION),
        "grader": answers.VERSION,
        "rollout": _rollout(recipe, stock),
        "prompts": hashes["teacher/tools"],
        "teachers": [role_identity(role) for role in recipe.models.teachers],
    }
    gate_tables: Mapping[str, type[Record]] = {"counts": GateCount, "trajectories": Trajectory}
    teachers = " ".join(teacher.revision for teacher in stock.teachers)
    return {
        "ingest": _Part(
            "map",
            {"sources": [[source.key, source.revision] for source in inputs.sources]},
            {"questions": Question},
        ),
        "screen": _Part(
            "map",
            {
                "images": _filter(recipe.images.model_dump(mode="json"), images.VERSION),
                "questions": _filter(recipe.questions.model_dump(mode="json"), questions.VERSION),
                "grader": answers.VERSION,
                "hashes": HASH_RECIPE,
            },
            {"questions": Question, "facts": ImageFacts},
        ),
        "dedup": _Part("global", _filter(recipe.dedup.model_dump(mode="json"), dedup.VERSION), {"clusters": Cluster}),
        "decontaminate": _Part(
            "global",
            {
                "rule": _filter(recipe.decontaminate.model_dump(mode="json"), contamination.VERSION),
                "benchmarks": [benchmark.model_dump(mode="json") for benchmark in inputs.benchmarks],
            },
            {},
        ),
        "gate1": _Part("map", {**gate, "prompts": hashes["base/plain"]}, gate_tables, stock.base.revision),
        "gate2": _Part("map", {**gate, "prompts": hashes["base/tools"]}, gate_tables, stock.base.revision),
        "synthesize": _Part("map", synthesis, {"trajectories": Trajectory, "unfinished": Trajectory}, teachers),
        "validate": _Part(
            "map",
            _filter(recipe.validate_.model_dump(mode="json"), validators.VERSION),
            {"decisions": Decision, "facts": ObservationFacts, "replays": ReplayResult, "keys": TrajectoryKey},
            stock.world.python.pool.identity,
        ),
        "select": _Part("global", _filter(recipe.select.model_dump(mode="json"), selection.VERSION), {}),
        "publish": _Part(
            "global",
            {
                "name": recipe.name,
                "sources": dict(inputs.terms),
                "dialect": recipe.dialect,
                "formats": {"sft": list(recipe.export.sft), "rl": list(recipe.rl_formats)},
                "student": recipe.student.model_dump(mode="json"),
                "prompts": dict(hashes),
            },
            {},
        ),
    }


def _filter(settings: Json, version: int) -> Json:
    return {"settings": settings, "version": version}


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
