"""What holds of every stage alike: any process finds it by name, and its settings come back as they were written."""

from __future__ import annotations

import pickle
import tomllib
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import pytest

from flows.asking.resources import Revisions
from flows.recipe.inputs import find_inputs, make_job
from flows.recipe.recipe import StageName
from flows.stages.order import GROUPS, STAGES, declare
from pipeline.engine.stage import Declared, StageSettings
from pipeline.identity import canonical_json, parse_json
from tests.support.changed_recipes import base_of, changed
from tests.support.command import ROOT
from tests.support.curated import write_corpus, write_recipe

ORDER = tuple(STAGES)


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_is_found_again_wherever_it_is_sent(stage: str) -> None:
    assert pickle.loads(pickle.dumps(STAGES[stage])) == STAGES[stage]  # noqa: S301 - our own, as any runner might


def test_a_recipe_names_the_stages_that_there_are() -> None:
    assert get_args(StageName) == ORDER
    assert all(name == stage.name for name, stage in STAGES.items())


def test_the_groups_are_all_stages_in_order() -> None:
    assert tuple(chain.from_iterable(GROUPS.values())) == ORDER


def test_the_contract_of_independence_lists_every_stage() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (modules,) = (contract["modules"] for contract in contracts if contract["type"] == "independence")
    assert set(modules) == {stage.run.__module__ for stage in STAGES.values()}


@pytest.mark.parametrize("stage", ORDER)
def test_settings_can_be_neither_changed_nor_added_to(stage: str) -> None:
    kind = STAGES[stage].settings
    assert issubclass(kind, StageSettings)
    assert (kind.model_config["frozen"], kind.model_config["extra"]) == (True, "forbid")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("cellars") / "place")


def declared(place: Path, content: Mapping[str, Any]) -> Mapping[str, Declared[Any, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.prompts.sets.manifests_dir", lambda: place / "manifests")
        job = make_job(write_recipe(place, content), out=place / "run", store=place / "store")
        models = {role: f"scripted/{role}" for role in job.recipe.models.roles()}
        return declare(job, find_inputs(job), Revisions(models, "cells", "pages"))


@pytest.mark.parametrize("varied", ORDER)
def test_settings_read_from_the_run_directory_have_the_fingerprint_that_was_declared(varied: str, place: Path) -> None:
    """In recipes that are changed in all fields of one stage after the other."""
    for stage in declared(place, changed(varied, base_of(varied))).values():
        text = canonical_json(stage.settings.model_dump(mode="json"))
        settings = stage.stage.settings.model_validate(parse_json(text))
        assert settings == stage.settings
        assert Declared(stage.stage, settings, stage.upstream, stage.run).fingerprint == stage.fingerprint
