"""Every reason for which records are lost has a sentence, and every sentence names fields that there are."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

import pytest

from flows.recipe.recipe import StageName
from flows.report.causes import CAUSES, cause
from flows.stages.outcomes import UNDECIDED
from pipeline.models.refusals import FilteredError, RejectedError, TooLongError
from tests.support.command import ROOT
from tests.support.recipe_leaves import leaves

STAGES: dict[str, tuple[str, ...]] = {
    "answers.votes": ("gate1",),
    "dedup.agreement": ("dedup",),
    "dedup.contamination": ("decontaminate",),
    "gates.rules.Gate1Reason": ("gate1",),
    "gates.rules.Gate2Reason": ("gate2",),
    "rights.rules.PeopleReason": ("screen",),
    "rights.rules.DataReason": ("screen", "validate"),
    "screen": ("screen",),
    "selection": ("select",),
    "validate.long_cot.UnreadableReason": ("synthesize",),
    "validate": ("validate",),
}
"""Module of the filters, or one type of it → the stages that reject for its reasons; the longest name counts."""
NO_OUTCOME = {"dedup.leaks.Reason"}
"""Of hits of a search, which no record is lost by."""
EXPORT, SEARCH, ANYWHERE = "pipeline/export", "pipeline/tools", "flows/asking/leaks.py"


def types_of_reasons() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every closed set of reasons in the filters: where it stands, and the reasons."""
    for path in sorted((ROOT / "filters").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        module = importlib.import_module(name)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                called = node.targets[0].id
                words = tuple(_words(getattr(module, called))) if called.endswith("Reason") else ()
                if words:
                    yield f"{name.removeprefix('filters.')}.{called}", words


def _words(kind: object) -> Iterator[str]:
    for part in get_args(kind):
        if get_origin(part) is Literal:
            yield from _words(part)
        else:
            yield str(part)


TYPES = dict(types_of_reasons())


@pytest.mark.parametrize("place", sorted(TYPES.keys() - NO_OUTCOME))
def test_every_reason_of_every_filter_has_its_sentence(place: str) -> None:
    known = max((prefix for prefix in STAGES if place.startswith(prefix)), key=len)
    for stage in STAGES[known]:
        assert [reason for reason in TYPES[place] if not cause(stage, reason)] == []


def test_every_reason_by_which_a_row_is_no_question_has_its_sentence() -> None:
    found: dict[str, set[str]] = {"ingest": set(), "publish": set(), "gate2": set()}
    for path in sorted([*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "flows").rglob("*.py")]):
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(SEARCH):
            continue  # the picture of a hit, which is left out of what is shown
        stage = "publish" if place.startswith(EXPORT) else "gate2" if place == ANYWHERE else "ingest"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "RowError":
                found[stage] |= {str(part.value) for part in node.args[:1] if isinstance(part, ast.Constant)}
    screened = {"image_aspect"}  # of a view, which no row is asked for before the screen
    assert {reason for reason in found["ingest"] - screened if not cause("ingest", reason)} == set()
    assert {reason for reason in found["publish"] if not cause("publish", reason)} == set()
    assert {reason for reason in found["gate2"] if not cause("gate2", reason)} == set()
    assert len(found["ingest"]) > 15


def test_what_models_and_servers_refuse_has_its_sentence_wherever_they_are_asked() -> None:
    for stage in ("gate1", "gate2", "synthesize"):
        for kind in (FilteredError, RejectedError, TooLongError):
            assert cause(stage, kind.code)
    told = {reason for reasons in CAUSES.values() for reason in reasons}
    assert told >= UNDECIDED


def test_sentences_name_stages_fields_and_commands_that_there_are() -> None:
    fields, dotted = {leaf.name for leaf in leaves()}, re.compile(r"`([a-z_0-9]+(?:\.[a-z_0-9]+)+)")
    assert set(CAUSES) <= {*get_args(StageName), "publish"}
    for stage, reasons in CAUSES.items():
        for reason, sentence in reasons.items():
            assert sentence.endswith("."), (stage, reason)
            for name in dotted.findall(sentence):
                assert any(field == name or field.startswith(f"{name}.") for field in fields), (stage, reason, name)


def test_the_page_of_sources_lists_every_reason_of_ingest_and_screen_and_no_other() -> None:
    page = (ROOT / "docs" / "sources.md").read_text("utf-8")
    rows = re.findall(r"^\| (ingest|screen) \| `([a-z_]+)` \| (.+) \|$", page, re.MULTILINE)
    expected = [(stage, reason, told) for stage in ("ingest", "screen") for reason, told in CAUSES[stage].items()]
    assert rows == expected
