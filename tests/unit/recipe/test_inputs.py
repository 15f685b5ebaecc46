"""What a recipe refers to is found, or refused with file, field and fix, before any work."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
import yaml

from filters.dedup.contamination import benchmark_entry
from filters.dedup.key import KEY_RECIPE
from flows.recipe.file import load_recipe
from flows.recipe.inputs import Inputs, find_inputs, make_job
from pipeline.errors import UsageError
from pipeline.images import HASH_RECIPE
from tests.support.command import DEMO
from tests.support.sources import write_source

MODEL = {"backend": "reader", "policy": "naive"}
RECIPE: dict[str, Any] = {
    "name": "small",
    "sources": [{"source": "own.yaml"}],
    "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
    "models": {"base": MODEL, "teachers": [MODEL]},
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_source(tmp_path, "own")
    return tmp_path


def found(place: Path, **changes: object) -> Inputs:
    (place / "recipe.yaml").write_text(yaml.safe_dump(RECIPE | changes))
    return find_inputs(make_job(place / "recipe.yaml", out=place / "run", store=place / "store"))


def refused(place: Path, **changes: object) -> str:
    with pytest.raises(UsageError) as caught:
        found(place, **changes)
    assert not (place / "store").exists()
    return str(caught.value)


def test_two_sources_with_one_key_are_refused_and_both_named(place: Path) -> None:
    write_source(place, "own", "twin.yaml", revision="2")
    # The demo is not built before it is refused.
    message = refused(place, sources=[{"source": "demo"}, {"source": "own.yaml"}, {"source": "twin.yaml"}])
    assert str(place / "own.yaml") in message
    assert str(place / "twin.yaml") in message
    assert "`key`" in message
    assert "sources.1" in refused(place, sources=[{"source": "own.yaml"}, {"source": "own.yaml"}])


def test_a_size_is_for_generated_sources_only(place: Path) -> None:
    message = refused(place, sources=[{"source": "own.yaml", "demo": {"questions": 100}}])
    assert str(place / "own.yaml") in message
    assert "remove `demo`" in message


@pytest.mark.parametrize("dialect", ["deepeyesv2", "tool_call"])
def test_without_search_there_is_no_corpus_and_no_prompt_speaks_of_one(place: Path, dialect: str) -> None:
    inputs = found(place, dialect=dialect)
    assert inputs.search is None
    for text in astuple(inputs.prompts):
        assert "search" not in text.lower()


def test_a_corpus_may_be_a_source_that_is_not_curated(place: Path) -> None:
    write_source(place, "library")
    inputs = found(place, search={"corpus": "library.yaml"})
    assert inputs.search is not None
    assert inputs.search.directory == place / "library"
    assert [source.key for source, _ in inputs.rows.indexes] == ["own"]
    assert set(inputs.terms) == {"own", "library"}


@pytest.mark.parametrize("named", ["own", "own.yaml", "./own.yaml"])
def test_a_corpus_named_by_key_or_by_path_is_the_curated_source(place: Path, named: str) -> None:
    inputs = found(place, search={"corpus": named})
    assert inputs.search is inputs.sources[0]


def test_a_generated_corpus_is_the_build_that_is_curated(place: Path) -> None:
    uses = [{"source": "demo", "demo": {"questions": 20, "seed": 3}}]
    inputs = found(place, sources=uses, search={"corpus": "demo"})
    assert inputs.search == inputs.sources[0]
    assert len(list((place / "store" / "sources").iterdir())) == 1


@pytest.mark.parametrize("gone", ["pages.jsonl", "gallery.jsonl"])
def test_a_corpus_without_pages_or_gallery_is_refused_by_file(place: Path, gone: str) -> None:
    (write_source(place, "library") / gone).unlink()
    message = refused(place, search={"corpus": "library.yaml"})
    assert str(place / "library" / gone) in message
    assert "search.corpus" in message


def test_a_corpus_that_is_not_there_is_refused_with_what_there_is(place: Path) -> None:
    message = refused(place, search={"corpus": "nowhere"})
    assert "search.corpus" in message
    assert "nowhere" in message
    assert "own" in message


def test_a_corpus_with_the_key_of_another_source_is_refused(place: Path) -> None:
    write_source(place, "own", "twin.yaml", revision="2")
    message = refused(place, search={"corpus": "twin.yaml"})
    assert str(place / "own.yaml") in message
    assert str(place / "twin.yaml") in message


def benchmark(place: Path, name: str, **changes: object) -> str:
    entry = benchmark_entry("How many sheep are in the meadow?", 1, 2).model_dump(mode="json")
    content = {"key": name, "hash_recipe": HASH_RECIPE, "text_key": KEY_RECIPE, "entries": [entry]} | changes
    (place / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return f"{name}.yaml"


def test_a_benchmark_of_the_same_hashes_is_read(place: Path) -> None:
    assert [b.key for b in found(place, benchmarks=[benchmark(place, "exam")]).benchmarks] == ["exam"]


def test_a_benchmark_hashed_otherwise_is_refused_also_beside_a_good_one(place: Path) -> None:
    names = [benchmark(place, "exam"), benchmark(place, "other", hash_recipe="phash64/opencv/v1")]
    message = refused(place, benchmarks=names)
    assert all(part in message for part in ("other.yaml", "hash_recipe", "phash64/opencv/v1", HASH_RECIPE))


@pytest.mark.parametrize("text_key", ["", "question-key/v0"])
def test_a_benchmark_whose_texts_have_another_key_is_refused(place: Path, text_key: str) -> None:
    message = refused(place, benchmarks=[benchmark(place, "exam", text_key=text_key)])
    assert all(part in message for part in ("exam.yaml", "text_key", KEY_RECIPE, "coldforge benchmarks build"))


@pytest.mark.parametrize("only", ["phash", "dhash"])
def test_a_benchmark_entry_with_one_of_two_hashes_is_refused_by_its_number(place: Path, only: str) -> None:
    entries = [{"phash": "0" * 16, "dhash": "0" * 16}, {only: "0" * 16}]
    message = refused(place, benchmarks=[benchmark(place, "exam", entries=entries)])
    assert all(part in message for part in ("exam.yaml", "entries.1", "phash", "dhash", "give both"))


def test_a_damaged_benchmark_is_refused_by_file(place: Path) -> None:
    for content in (b"\xff\xfe", b"key: ["):
        (place / "exam.yaml").write_bytes(content)
        assert "exam.yaml" in refused(place, benchmarks=["exam.yaml"])


@pytest.mark.parametrize("coordinates", ["seen_pixels", "norm1000"])
def test_coordinates_that_nothing_renders_are_refused(place: Path, coordinates: str) -> None:
    message = refused(place, student=RECIPE["student"] | {"coordinates": coordinates})
    assert all(part in message for part in ("student.coordinates", coordinates, "original_pixels"))


def test_a_misspelt_field_of_an_optional_part_is_named_with_the_field_that_was_meant(place: Path) -> None:
    assert "did you mean `corpus`" in refused(place, search={"corpsu": "own"})


def test_a_misspelt_field_is_never_answered_with_itself_or_a_name_no_recipe_has(place: Path) -> None:
    message = refused(place, validate_={})
    assert "did you mean `validate`?" in message
    listed = refused(place, zzzz=1).partition("known fields: ")[2].split(", ")
    assert "validate" in listed
    assert "validate_" not in listed
    # A part under an alias has its fields, too.
    told = refused(place, validate={"max_answr": 3})
    assert "validate.max_answr: " in told
    assert "did you mean `max_answer`?" in told


def test_a_mistake_in_a_model_is_named_once_and_as_the_recipe_has_it(place: Path) -> None:
    wrong = MODEL | {"polciy": "naive"}
    message = refused(place, models={"base": wrong, "teachers": [wrong]})
    lines = [line.strip() for line in message.splitlines()[1:]]
    assert [line.partition(": ")[0] for line in lines] == ["models.base.polciy", "models.teachers.0.polciy"]
    assert all("did you mean `policy`?" in line for line in lines)


def server(**fields: object) -> dict[str, object]:
    return {"backend": "openai", "model": "m@1", "served_name": "m", "base_url": "http://127.0.0.1:1/v1", **fields}


def test_a_mistake_between_two_sections_is_told_in_our_words_alone(place: Path) -> None:
    models = {"base": server(), "teachers": [MODEL]}
    told = refused(place, models=models, runtime={"budget": {"max_cost": 5}}).splitlines()[1]
    assert told.startswith("  runtime.budget.max_cost: ")


@pytest.mark.parametrize("urls", ["localhost:8000/v1", ["http://127.0.0.1:1/v1", "localhost:8000/v1"]])
def test_an_address_of_a_server_without_its_scheme_is_refused_with_the_fix(place: Path, urls: object) -> None:
    message = refused(place, models={"base": server(base_url=urls), "teachers": [MODEL]})
    assert "models.base: base_url localhost:8000/v1: write the address as http://HOST:PORT/v1" in message


def test_a_list_that_is_empty_is_still_refused(place: Path) -> None:
    assert "models.teachers: " in refused(place, models={"base": MODEL, "teachers": []})


def test_terms_say_what_may_not_be_passed_on(place: Path) -> None:
    write_source(place, "free", redistributable=True, licence_images="CC0-1.0", source_url="https://example.org/free")
    terms = found(place, sources=[{"source": "own.yaml"}, {"source": "free.yaml"}]).terms
    assert "nobody has said if images may be passed on" in str(terms["own"])
    assert str(terms["free"]) == "https://example.org/free; licence CC0-1.0; images: CC0-1.0"


def test_the_same_teacher_twice_is_refused_and_another_temperature_is_not() -> None:
    teacher = "{backend: reader, policy: careful}"
    warmer = "{backend: reader, policy: careful, sampling: {temperature: 0.5}}"
    load_recipe(DEMO, [f"models.teachers=[{teacher}, {warmer}]"])
    with pytest.raises(UsageError, match=r"teachers\.1 is the same model"):
        load_recipe(DEMO, [f"models.teachers=[{teacher}, {teacher}]"])
