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
from pipeline.store import Store
from tests.support.screening import SETTINGS

CASES = Path(__file__).parents[2] / "support" / "cases" / "rows"


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
    read = SourceRead(
        key=source.key, revision=source.revision, directory=source.directory, image_root=source.image_root
    )
    with Store(place / "store") as store:
        ingested = ingest.run(UnitInput(rows), IngestSettings(sources=(read,)), store)
        questions = [record for record in ingested.tables["questions"] if isinstance(record, Question)]
        screened = screen.run(UnitInput(tuple(questions)), SETTINGS, store)
    assert len(ingested.outcomes) == len(rows)
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


def test_every_row_becomes_what_it_must(case: Path) -> None:
    source = open_source("source.yaml", case / "store", base=case)
    expected = json.loads((case / "expected.json").read_text())["rows"]
    for row, (question, message) in zip(expected, became(source, case), strict=True):
        check(row, question, message)


def test_linked_rows_are_kept_when_the_manifest_names_where_the_link_leads(case: Path) -> None:
    manifest = case / "source.yaml"
    manifest.write_text(manifest.read_text() + "image_root: .\n")
    source = open_source("source.yaml", case / "store", base=case)
    for row, (question, message) in zip(
        json.loads((case / "expected.json").read_text())["rows"], became(source, case), strict=True
    ):
        check(row, question, message)
        assert case.name != "linked" or question is not None
