"""Which stages run again when a field of the recipe changes: checked without a run, by `fingerprint_table`.

A fingerprint covers those of the stages before it, so a field is told by the first stage that runs again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from flows.recipe.inputs import Inputs, Job, find_inputs
from flows.recipe.recipe import Recipe, Runtime
from flows.run.opening import open_resources
from flows.stages.order import STAGES, declare
from pipeline.engine.executor import Executor
from pipeline.identity import digest
from pipeline.manifests import manifests_dir
from pipeline.store import Store
from tests.support.fingerprint_table import ASKED, FIXED, NOTHING, REFUSED, ROLE, TABLE, expected
from tests.support.recipe_leaves import Leaf, at, leaves, other_values, replaced, valid
from tests.support.sources import write_source

_FREE = {"prompt": 1.0, "cached": 0.5, "completion": 2.0}
_SERVED = {"backend": "openai", "model": "m@1", "in_flight": 8, "price": _FREE}
ROLES: Mapping[str, dict[str, Any]] = {
    "reader": {"backend": "reader", "policy": "careful"},
    "openai": {
        **_SERVED,
        "served_name": "m",
        "base_url": "http://127.0.0.1:1/v1",
        "api_key_env": "KEY",
        "batch": {"max_requests": 9},
    },
    "openai.serve": {**_SERVED, "serve": {"model": "m"}},
    "vllm_offline": {"backend": "vllm_offline", "model": "m@1", "serve": {"model": "m"}, "price": _FREE},
    "anthropic": {
        "backend": "anthropic",
        "model": "claude",
        "profile": {"takes_sampling": True},
        "price": _FREE,
        "batch": {},
    },
}

RECIPE: dict[str, Any] = {
    "name": "whole",
    "sources": [{"source": "demo", "demo": {"questions": 20}, "fetch": {}}, {"source": "demo_cot"}],
    "benchmarks": ["demo"],
    "search": {"corpus": "demo"},
    "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144, "deploy_pixels": 1_048_576},
    "models": {
        "base": {"backend": "reader", "policy": "naive", "sampling": {"temperature": 0.9}},
        "teachers": [{"backend": "reader", "policy": "careful"}, {**_SERVED, "model": "t@1", "serve": {"model": "t"}}],
        "stronger": {**_SERVED, "model": "s@1", "serve": {"model": "s"}},
        "judge": {**_SERVED, "model": "j@1", "serve": {"model": "j"}},
    },
    "gate": {"blind": True, "sweep": [524_288], "min_valid": 4},
    "lanes": {"no_call": 0.2, "plain_cot": 0.2},
    "synthesize": {"policy": "weighted", "weights": [1.0, 2.0]},
    "select": {
        "mix": {
            **dict.fromkeys(("perception", "reasoning", "search", "no_call"), 0.2),
            "plain_cot": 0.1,
            "long_cot": 0.1,
        }
    },
    "export": {"rl": ["huggingface"]},
    "runtime": {"sandbox": {"url": "http://127.0.0.1:1"}},
}
OTHERS: Mapping[str, Any] = {
    "lanes.no_call_right": 5,
    "sources.source": "library.yaml",
    "search.corpus": "library.yaml",
    "search.as_of": "2024-01-01",
    "search.leaks.deny": ["example.org/pages"],
    "search.leaks.copies": ["example.org/pages"],
    **dict.fromkeys(("search.text.base_url", "search.image.base_url"), "http://127.0.0.1:2"),
    "benchmarks": [],
    "prompts.name": "other",
    "prompts.teacher_guidance": "guidance.md",
    "student.tokenizer": "tokenizer",
    "rights.tombstones": "tombstones.yaml",
    "select.exclude": ["a" * 64],
    "student.deploy_pixels": 2_097_152,
    "synthesize.policy": "cascade",
    "synthesize.weights": [2.0, 2.0],
    "gate.sweep": [786_432],
    "runtime.abort_above": {"gate1": 0.5},
    "dataset.year": 2026,
    "dataset.authors": ["Ada Miller", "Bo Weaver"],
    "dataset.url": "https://cellars.example",
    **{f"dataset.{field}": "Cellars" for field in ("title", "contact", "description")},
    # The sum stays 1 up to the rounding that a mix is allowed.
    **{f"select.mix.{group}": 0.2005 for group in ("perception", "reasoning", "search", "no_call")},
    "select.mix.plain_cot": 0.1005,
    "select.mix.long_cot": 0.1005,
}
"""Where a value has to name something that exists, or to agree with another field."""
BESIDE: Mapping[str, Mapping[str, Any]] = {
    "sources.source": {"sources": [{"source": "own.yaml"}, {"source": "demo"}, {"source": "demo_cot"}]},
    "synthesize.policy": {"synthesize": {"policy": "weighted"}},
    # Nobody began a recording here, and nothing is asked.
    "search.recording": {"search": {"corpus": "demo", "mode": "live"}},
    "search.text": {"search": {"corpus": "demo", "mode": "strict", "text": {"provider": "serper"}}},
    "search.image": {"search": {"corpus": "demo", "mode": "strict", "image": {"provider": "lens"}}},
}
"""What a recipe must hold for a field to be changed alone."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what the other values name."""
    root = tmp_path_factory.mktemp("fingerprints")
    shutil.copytree(manifests_dir(), root / "manifests")
    shutil.copytree(manifests_dir() / "prompts" / "deepeyesv2", root / "manifests" / "prompts" / "other")
    (root / "manifests" / "prompts" / "other" / "system.md").write_text("You see.\n")
    for name in ("own", "library"):
        write_source(root, name)
    (root / "guidance.md").write_text("Look twice.\n")
    (root / "tombstones.yaml").write_text("- {source: own, row: '1'}\n")
    write_tokenizer(root / "tokenizer")
    with pytest.MonkeyPatch.context() as patch:
        for module in ("pipeline.prompts.sets", "pipeline.sources.manifest", "flows.recipe.benchmarks"):
            patch.setattr(f"{module}.manifests_dir", lambda: root / "manifests")
        yield root


def write_tokenizer(directory: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    directory.mkdir()
    Tokenizer(WordLevel({"a": 0, "?": 1}, "?")).save(str(directory / "tokenizer.json"))


class Fingerprints:
    """Of all stages of a recipe, each worked out once; inputs are read once for recipes that name the same."""

    def __init__(self, place: Path, store: Store, executor: Executor) -> None:
        self._place = place
        self._store = store
        self._executor = executor
        self._inputs: dict[str, Inputs] = {}
        self._known: dict[str, Mapping[str, str]] = {}

    def of(self, recipe: Recipe) -> Mapping[str, str]:
        # Most fields are changed in one recipe.
        key = digest(recipe.model_dump(mode="json", by_alias=True))
        if key not in self._known:
            self._known[key] = self._of(recipe)
        return self._known[key]

    def _of(self, recipe: Recipe) -> Mapping[str, str]:
        inputs, job = self._found(recipe), self._job(recipe)
        # Where a run is carried out decides nothing, and no service is there to be connected to.
        here = recipe.model_copy(update={"runtime": Runtime()})
        revisions = open_resources(here, inputs, self._store, self._executor).revisions
        return {name: stage.fingerprint for name, stage in declare(job, inputs, revisions).items()}

    def _job(self, recipe: Recipe) -> Job:
        return Job(recipe, self._place / "recipe.yaml", self._place / "run", self._store.directory)

    def _found(self, recipe: Recipe) -> Inputs:
        content = recipe.model_dump(mode="json", include={"sources", "benchmarks", "prompts", "dialect", "search"})
        key = digest(
            [content, str(recipe.student.tokenizer), str(recipe.rights.tombstones), list(recipe.select.exclude)]
        )
        if key not in self._inputs:
            self._inputs[key] = find_inputs(self._job(recipe))
        return self._inputs[key]


@pytest.fixture(scope="module")
def fingerprints(place: Path) -> Iterator[Fingerprints]:
    with Store(place / "store") as opened, Executor(1) as executor:
        yield Fingerprints(place, opened, executor)


def with_paths(place: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Let the paths of a recipe start at its folder, as reading it from a file does."""
    for part, field in (("prompts", "teacher_guidance"), ("student", "tokenizer"), ("rights", "tombstones")):
        if content[part][field] is not None:
            content = replaced(content, (part, field), str(place / content[part][field]))
    return content


def whole(leaf: Leaf) -> dict[str, Any] | None:
    """Return a recipe that holds the leaf, every field written out; None if no recipe can."""
    beside = BESIDE.get(leaf.name, BESIDE.get(leaf.name.rpartition(".")[0], {}))
    content: dict[str, Any] = {**RECIPE, **beside}
    if leaf.place[0] == "models":
        kind = leaf.name.split(".")[2]
        kind = f"{kind}.serve" if f"{kind}.serve" in ROLES and ".serve." in leaf.name else kind
        where = leaf.place[: 3 if leaf.place[1] == "teachers" else 2]
        role = ROLES[kind]
        if leaf.name.endswith("tools_api"):
            # The only calls that an API takes are JSON.
            content = content | {"dialect": "tool_call"}
        content = replaced(content, where, role)
    try:
        return Recipe.model_validate(content).model_dump(mode="json", by_alias=True)
    except ValidationError:
        return None


LEAVES = tuple(leaves())
ORDER = tuple(STAGES)


def test_every_leaf_of_a_recipe_has_a_row_and_every_row_a_leaf() -> None:
    names = {leaf.name for leaf in LEAVES}
    models = {f"models.{role}.{field}" for role in ASKED for field in ROLE}
    assert names == models | TABLE.keys()
    assert len(LEAVES) == len(names)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.name)
def test_a_field_changed_alone_runs_the_stages_of_its_row_again(
    leaf: Leaf, place: Path, fingerprints: Fingerprints
) -> None:
    before = whole(leaf)
    if before is None:
        assert expected(leaf) == REFUSED
        return
    changed = [
        value for value in candidates(leaf, at(before, leaf.place)) if valid(replaced(before, leaf.place, value))
    ]
    if not changed:
        assert expected(leaf) == FIXED
        return
    was, becomes = (
        fingerprints.of(Recipe.model_validate(with_paths(place, content)))
        for content in (before, replaced(before, leaf.place, changed[0]))
    )
    again = [name for name in ORDER if was[name] != becomes[name]]
    first = again[0] if again else NOTHING
    assert again == list(ORDER[ORDER.index(first) :] if again else ())
    assert first == expected(leaf), json.dumps([at(before, leaf.place), changed[0]])


def candidates(leaf: Leaf, now: Any) -> Iterator[Any]:
    if leaf.name in OTHERS:
        yield OTHERS[leaf.name]
    else:
        yield from other_values(leaf, now)
