"""Source folders as people have them (`tests/support/cases/rows`): no row stops the others, each becomes what it must.

`expected.json` holds `links` to make before use, and for each row in order its `text` as the question must read, and
what it `becomes`: `kept`, `refused` with one of some words in the message, or either.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flows.stages import ingest, screen
from flows.stages.ingest import IngestSettings, SourceRead
from pipeline.engine.units import UnitInput
from pipeline.records import Question
from pipeline.sources import Source, open_source, read_source
from pipeline.sources.guessing.guess import manifest_for
from pipeline.store import Store
from tests.support.screening import SETTINGS

CASES = Path(__file__).parents[2] / "support" / "cases" / "rows"


TABLES = ("csv", "hf-parquet")
"""Whose columns have names of their own: they need a map, which `sources init` writes."""


@pytest.fixture(params=sorted(path.name for path in CASES.iterdir()))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    place = tmp_path / str(request.param)
    shutil.copytree(CASES / place.name, place)
    for link, target in json.loads((place / "expected.json").read_text()).get("links", {}).items():
        (place / link).symlink_to(target)
    return place


def became(source: Source, place: Path) -> list[tuple[Question | None, str]]:
    """Return, for each row in order, its question where it is kept by ingest and screen, else the message."""
    rows = tuple(read_source(source))
    read = SourceRead(key=source.key, revision=source.revision, directory=source.directory, others=source.others)
    with Store(place / "store") as store:
        ingested = ingest.run(UnitInput(rows), IngestSettings(sources=(read,)), store)
        questions = [record for record in ingested.tables["questions"] if isinstance(record, Question)]
        screened = screen.run(UnitInput(tuple(questions)), SETTINGS, store)
    assert len([*ingested.outcomes]) == len(rows)
    asked = {record.root_id: record for record in screened.tables["questions"] if isinstance(record, Question)}
    told = {outcome.record_id: f"{outcome.reason}: {outcome.detail}" for outcome in ingested.outcomes}
    ids = {question.root_id: question.id for question in questions}
    told |= {
        root: f"{one.reason}: {one.detail}" for one in screened.outcomes for root in ids if ids[root] == one.record_id
    }
    return [(asked.get(row.id), told[row.id]) for row in rows]


def check(expected: Mapping[str, Any], question: Question | None, message: str) -> None:
    if question is None:
        assert expected["becomes"] in {"refused", "either"}, message
        assert any(word in message for word in expected["message_names_one_of"]), message
    else:
        assert expected["becomes"] in {"kept", "either"}
        assert question.text == expected["text"]
        assert [*question.answers] == expected["answers"]
        assert len(question.images) == expected["images"]


def check_rows(source: Source, place: Path) -> None:
    """Hold what becomes of each row to `expected.json`; further questions of a conversation follow theirs."""
    expected = json.loads((place / "expected.json").read_text())["rows"]
    found = iter(became(source, place))
    for row in expected:
        question, message = next(found)
        check(row, question, message)
        for text in row.get("also", ()) if question is not None else ():
            also, message = next(found)
            assert (also.text if also is not None else text) == text
            assert also is not None or message.startswith("later_turn:")
    assert not list(found)


def test_every_row_becomes_what_it_must(case: Path) -> None:
    if case.name not in TABLES:
        check_rows(open_source("source.yaml", case / "store", base=case), case)


def test_a_look_at_the_data_is_enough_for_a_manifest(case: Path) -> None:
    """Nothing is written by hand: the manifest of `sources init` reads every shape as it must be read."""
    manifest = case / "guessed.yaml"
    manifest.write_text(manifest_for(case / "data", manifest, "case"))
    check_rows(open_source("guessed.yaml", case / "store", base=case), case)


def test_linked_rows_are_kept_when_the_manifest_names_where_the_link_leads(case: Path) -> None:
    manifest = case / "guessed.yaml"
    manifest.write_text(manifest_for(case / "data", manifest, "case") + "image_root: .\n")
    source = open_source("guessed.yaml", case / "store", base=case)
    check_rows(source, case)
    assert case.name != "linked" or all(question is not None for question, _ in became(source, case))
