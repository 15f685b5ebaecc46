from __future__ import annotations

import hashlib
import io
import json
import re
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy import ndimage

from filters.dedup.clusters import ImageHashes
from filters.dedup.contamination import Benchmark, ContaminationSettings, index_benchmarks
from filters.screen.open_ended import to_open_ended
from filters.screen.questions import QuestionSettings, verifiable
from pipeline.demo import vocabulary
from pipeline.demo.corpus import airport_tables
from pipeline.demo.corpus.build import build_demo
from pipeline.demo.corpus.packages import read_csv, read_json
from pipeline.demo.vocabulary import COLOURS, SHAPES
from pipeline.errors import RowError, UsageError
from pipeline.images import HASH_RECIPE, decode, perceptual_hashes
from pipeline.manifests import manifests_dir
from pipeline.records import Question
from pipeline.sources import Source, read_source
from pipeline.sources.questions import to_question
from pipeline.store.blobs import BlobStore
from tests.support.benchmarked import contaminated

QUESTIONS = 24
FAMILIES = {
    "map_label",
    "table_cell",
    "chart_difference",
    "region_ratio",
    "dot_count",
    "outline_fact",
    "element_fact",
}
PLANTED = {
    "planted/broken-image",
    "planted/duplicate",
    "planted/opinion",
    "planted/benchmark",
    "planted/choice-open",
    "planted/choice-closed",
}
Row = dict[str, Any]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("demo") / "corpus"
    build_demo(directory, QUESTIONS, 0)
    return directory


@pytest.fixture(scope="module")
def rows(corpus: Path) -> dict[str, Row]:
    found = [json.loads(line) for line in (corpus / "rows.jsonl").read_text().splitlines()]
    return {row["row"]: row for row in found}


@pytest.fixture(scope="module")
def questions(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Question]:
    blobs = BlobStore(tmp_path_factory.mktemp("blobs"))
    made = {}
    for row in read_source(Source("demo", "r", corpus, "Apache-2.0")):
        if row.source_row != "planted/broken-image":
            made[row.source_row] = to_question(row, corpus, blobs)
    return made


def regular(rows: dict[str, Row], family: str) -> list[Row]:
    found = [r for r in rows.values() if r["derivation"]["family"] == family and not r["derivation"]["planted"]]
    assert found
    return found


@cache
def sheet_at(path: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.asarray(Image.open(path).convert("RGB")).astype(np.int16)


def sheet(corpus: Path, row: Row) -> np.ndarray[Any, np.dtype[np.int16]]:
    return sheet_at(corpus / row["images"][0])


def mask(pixels: np.ndarray[Any, np.dtype[np.int16]], colour: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Pixels near the colour; grey ones, such as text beside navy, are of none."""
    away = np.abs(pixels - np.array(COLOURS[colour], dtype=np.int16)).sum(axis=2)
    found: np.ndarray[Any, np.dtype[np.bool_]] = (away < 90) & (np.ptp(pixels, axis=2) > 40)
    return found


def image_hashes(path: Path) -> ImageHashes:
    image = decode(path.read_bytes())
    return ImageHashes(*perceptual_hashes(image)[:2], *image.size, HASH_RECIPE)


def colours_of(row: Row) -> list[str]:
    return re.findall(rf"\b({'|'.join(COLOURS)})\b", row["text"])


def test_the_same_settings_give_the_same_bytes_even_if_two_build_at_once(corpus: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(build_demo, again, QUESTIONS, 0) for _ in range(2)]:
            future.result()
    assert [path.name for path in tmp_path.iterdir()] == ["again"]
    files = json.loads((corpus / "source.json").read_text())["files"]
    assert (corpus / "source.json").read_bytes() == (again / "source.json").read_bytes()
    on_disk = {path.relative_to(again).as_posix() for path in again.rglob("*") if path.is_file()}
    assert on_disk == set(files) | {"source.json"}
    assert all(hashlib.sha256((again / name).read_bytes()).hexdigest() == sha for name, sha in files.items())


def test_another_seed_gives_other_questions() -> None:
    first, again, other = (next(airport_tables.sheets(6, seed)) for seed in (0, 0, 1))
    assert first == again
    assert first.rows != other.rows


def test_a_complete_corpus_is_left_alone_and_nothing_unfinished_remains(corpus: Path) -> None:
    before = (corpus / "rows.jsonl").stat().st_mtime_ns
    build_demo(corpus, QUESTIONS, 0)
    assert (corpus / "rows.jsonl").stat().st_mtime_ns == before
    assert [path.name for path in corpus.parent.iterdir()] == ["corpus"]


def test_every_family_and_every_planted_row_is_there(rows: dict[str, Row]) -> None:
    families = Counter(row["derivation"]["family"] for row in rows.values() if not row["derivation"]["planted"])
    assert set(families) == FAMILIES
    assert families.total() == QUESTIONS
    assert {key for key, row in rows.items() if row["derivation"]["planted"]} == PLANTED
    assert all(row["derivation"]["expect"] for row in rows.values() if row["derivation"]["planted"])


def test_questions_are_worded_as_the_grammar_says(rows: dict[str, Row]) -> None:
    slots = {"colour": COLOURS, "colour1": COLOURS, "colour2": COLOURS, "shape": SHAPES, "fact": vocabulary.FACTS}
    templates = [value for name, value in vars(vocabulary).items() if name.isupper() and isinstance(value, str)]
    patterns = []
    for template in templates:
        pattern = re.escape(template)
        for slot, words in slots.items():
            pattern = pattern.replace(re.escape(f"{{{slot}}}"), f"(?:{'|'.join(map(re.escape, words))})")
        patterns.append(pattern)
    for row in rows.values():
        if not row["derivation"]["planted"]:
            assert sum(bool(re.fullmatch(pattern, row["text"])) for pattern in patterns) == 1, row["text"]


def test_sheets_are_within_six_megapixels_and_names_a_source(corpus: Path, rows: dict[str, Row]) -> None:
    for row in rows.values():
        derivation = row["derivation"]
        assert derivation["package"]
        assert derivation["version"]
        assert derivation["file"]
        assert row["licence"]
        if row["row"] != "planted/broken-image":
            width, height = decode((corpus / row["images"][0]).read_bytes()).size
            assert width * height <= 6_000_000


def test_a_colour_marks_one_thing_on_a_sheet(corpus: Path, rows: dict[str, Row]) -> None:
    asked: dict[str, list[str]] = defaultdict(list)
    for family in ("map_label", "table_cell", "dot_count", "element_fact"):
        for row in regular(rows, family):
            asked[row["images"][0]] += colours_of(row)
    assert all(len(set(colours)) == len(colours) for colours in asked.values())
    for family in ("map_label", "table_cell", "element_fact"):
        for row in regular(rows, family):
            # Every second pixel: a marker still has hundreds, the rim of another colour does not.
            labels, _ = ndimage.label(mask(sheet(corpus, row)[::2, ::2], colours_of(row)[0]))
            assert (np.bincount(labels.ravel())[1:] > 50).sum() == 1, row["row"]


def test_map_answers_are_in_the_list_of_cities(rows: dict[str, Row]) -> None:
    cities = read_csv("bokeh-sampledata", "_data/world_cities.csv.gz")
    for row in regular(rows, "map_label"):
        city = cities[int(row["derivation"]["row_key"])]
        assert row["answers"] == [city["name"]]
        assert row["derivation"]["at"] == [float(city["lng"]), float(city["lat"])]
    answers = [row["answers"][0] for row in regular(rows, "map_label")]
    assert len(set(answers)) == len(answers)


def test_table_answers_are_in_the_list_of_airports(rows: dict[str, Row]) -> None:
    airports = {row["icao"]: row for row in read_csv("airportsdata", "airports.csv")}
    for row in regular(rows, "table_cell"):
        airport = airports[row["derivation"]["row_key"]]
        wanted = f"{float(airport['elevation']):.0f}" if row["answer_type"] == "number" else airport["icao"]
        assert row["answers"] == [wanted]


def test_chart_answers_follow_from_the_printed_values(rows: dict[str, Row]) -> None:
    for row in regular(rows, "chart_difference"):
        first, second = (Decimal(value) for value in row["derivation"]["values"])
        total = first + second if row["derivation"]["operation"] == "sum" else first - second
        assert row["answers"] == [str(total)]
        assert total >= 0


def test_region_ratios_agree_with_the_pixels(corpus: Path, rows: dict[str, Row]) -> None:
    for row in regular(rows, "region_ratio"):
        pixels = sheet(corpus, row)
        small, large = (int((pixels == COLOURS[colour]).all(axis=2).sum()) for colour in colours_of(row))
        assert large / small == pytest.approx(float(row["answers"][0]), rel=0.01)
        assert row["tolerance"] == 0.03


def test_dots_do_not_touch_and_are_as_many_as_stated(corpus: Path, rows: dict[str, Row]) -> None:
    for row in regular(rows, "dot_count"):
        _, count = ndimage.label(mask(sheet(corpus, row), colours_of(row)[0]), structure=np.ones((3, 3)))
        assert row["answers"] == [str(count)]
        assert 15 <= count <= 60


def test_facts_about_countries_are_what_two_packages_say(rows: dict[str, Row]) -> None:
    for row in regular(rows, "outline_fact"):
        derivation = row["derivation"]
        (first,) = read_json("countryinfo", derivation["file"])[derivation["row_key"]]
        second = derivation["second_source"]
        assert second["package"] in {"pycountry", "phonenumbers", "babel"}
        assert first.lstrip(".") == second["value"]
        assert {answer.lstrip(".+") for answer in row["answers"]} == {second["value"]}


def test_atomic_weights_are_what_two_packages_say(rows: dict[str, Row]) -> None:
    import periodictable

    for row in regular(rows, "element_fact"):
        second = periodictable.elements.symbol(row["derivation"]["row_key"]).mass
        assert float(row["answers"][0]) == pytest.approx(second, rel=0.005)
        assert float(row["derivation"]["second_source"]["value"]) == pytest.approx(second, rel=1e-6)


def test_every_regular_answer_can_be_graded(questions: dict[str, Question]) -> None:
    for key, question in questions.items():
        if key not in PLANTED:
            assert verifiable(question, QuestionSettings()).outcome == "keep", (key, question.answers)


def test_a_page_answers_every_search_question(corpus: Path, rows: dict[str, Row]) -> None:
    pages = {p["title"]: p["text"] for p in map(json.loads, (corpus / "pages.jsonl").read_text().splitlines())}
    for row in regular(rows, "outline_fact"):
        assert row["answers"][0] in pages[row["derivation"]["country"]]
    weights = "\n".join(pages.values())
    for row in regular(rows, "element_fact"):
        assert f" is {row['answers'][0]}." in weights


def test_planted_rows_are_stopped_or_asked_as_they_say(
    corpus: Path, rows: dict[str, Row], questions: dict[str, Question], tmp_path: Path
) -> None:
    broken = next(r for r in read_source(Source("demo", "r", corpus, "x")) if r.source_row == "planted/broken-image")
    with pytest.raises(RowError) as refused:
        to_question(broken, corpus, BlobStore(tmp_path))
    assert refused.value.reason == rows["planted/broken-image"]["derivation"]["expect"]
    opinion = verifiable(questions["planted/opinion"], QuestionSettings())
    assert opinion.reason == rows["planted/opinion"]["derivation"]["expect"]
    closed, _ = to_open_ended(questions["planted/choice-closed"])
    assert rows["planted/choice-closed"]["derivation"]["expect"] == "kept with choices"
    assert closed is not None
    assert verifiable(closed, QuestionSettings()).outcome == "keep"
    assert sorted(closed.choices) == sorted(rows["planted/choice-closed"]["choices"])
    assert closed.choices["ABCD".index(closed.answers[0])] == rows["planted/choice-closed"]["derivation"]["printed"][0]
    opened, _ = to_open_ended(questions["planted/choice-open"])
    assert rows["planted/choice-open"]["derivation"]["expect"] == "kept open-ended"
    assert opened is not None
    assert opened.choices == ()
    assert opened.answers[0] in rows["planted/choice-open"]["derivation"]["printed"]


def test_the_planted_duplicate_is_another_file_of_the_same_picture(corpus: Path, rows: dict[str, Row]) -> None:
    duplicate = rows["planted/duplicate"]
    original = next(r for r in rows.values() if r["text"] == duplicate["text"] and r["row"] not in PLANTED)
    ours, theirs = ((corpus / row["images"][0]).read_bytes() for row in (duplicate, original))
    assert Image.open(io.BytesIO(ours)).format == "JPEG"
    a, b = (perceptual_hashes(decode(content)) for content in (ours, theirs))
    assert (a.phash ^ b.phash).bit_count() <= 4


def test_the_benchmark_manifest_hits_its_planted_row_and_no_other(corpus: Path, questions: dict[str, Question]) -> None:
    manifest = yaml.safe_load((manifests_dir() / "benchmarks" / "demo.yaml").read_text())
    settings = ContaminationSettings()
    index = index_benchmarks([Benchmark.model_validate(manifest)])
    rows = {row["row"]: row for row in map(json.loads, (corpus / "rows.jsonl").read_text().splitlines())}
    hashes = {
        image: image_hashes(corpus / image)
        for image in {row["images"][0] for key, row in rows.items() if key in questions}
    }
    stopped = {
        key
        for key, question in questions.items()
        if contaminated(question.id, question.text, [hashes[rows[key]["images"][0]]], index, settings).outcome != "keep"
    }
    assert stopped == {"planted/benchmark"}


def test_more_questions_than_the_data_give_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.demo.corpus.build._sheets", lambda _questions, _seed: iter(()))
    with pytest.raises(UsageError, match="not 30"):
        build_demo(tmp_path / "corpus", 30, 0)
    assert list(tmp_path.iterdir()) == []
