"""Each trainer's own code loads its export: every row, the loss where it belongs, every picture in its place."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from tokenizers import Tokenizer

from pipeline.export.layout import Format, Shard
from tests.trainers.conftest import Export, Line, Load
from tests.trainers.expected import Expected, Resize, at_once, expected_rows, fetched, in_tokens, loaded, scaled
from tests.trainers.student import TOKENIZER


class Way(NamedTuple):
    """How one trainer reads one format."""

    trainer: str
    program: str
    kind: Format
    resize: Resize
    """What it does to a picture, with the budget set where its users set it."""


SFT = (
    Way("trl", "trl_sft", "trl", at_once),
    Way("verl", "verl_sft", "verl", fetched),
    Way("llamafactory", "llamafactory_sft", "llamafactory", scaled),
    Way("ms-swift", "ms_swift_sft", "ms_swift", in_tokens),
)

RL = (Way("trl", "trl_grpo", "trl", at_once), Way("verl", "verl_rl", "verl", fetched))


def each(ways: tuple[Way, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "way", [pytest.param(way, marks=pytest.mark.trainer(way.trainer), id=way.trainer) for way in ways]
    )


@each(SFT)
def test_rows_are_learnt_as_they_were_exported(way: Way, export: Export, load: Load, table: list[Line]) -> None:
    told = load(way.trainer, way.program, "sft", way.kind)
    rows = expected(export, "sft", way.kind, told)
    assert told.get("template_as_ours", True)  # the student's is Qwen2.5-VL's in another's words
    tokenizer = Tokenizer.from_file(str(export.student / TOKENIZER))
    budget = export.manifest("sft", way.kind).student.max_pixels
    spans = pictures = 0
    for wanted, made in zip(rows, told["rows"], strict=True):
        seen = loaded(made, tokenizer)
        assert seen.text == wanted.text()
        assert seen.spans == wanted.spans()
        assert seen.image_tokens == wanted.image_tokens(budget, way.resize)
        assert made.get("patches", seen.image_tokens) == seen.image_tokens
        spans += len(seen.spans)
        pictures += len(seen.image_tokens)
    table.append(line(way.trainer, told, f"{export.name} sft/{way.kind}", f"{spans} spans, exact", pictures))


@each(RL)
def test_prompts_are_those_that_were_exported(way: Way, export: Export, load: Load, table: list[Line]) -> None:
    told = load(way.trainer, way.program, "rl", way.kind)
    rows = expected(export, "rl", way.kind, told)
    tokenizer = Tokenizer.from_file(str(export.student / TOKENIZER))
    budget = export.manifest("rl", way.kind).student.max_pixels
    pictures = 0
    for wanted, made in zip(rows, told["rows"], strict=True):
        seen = loaded(made, tokenizer)
        assert seen.text == wanted.prompt()
        assert seen.image_tokens == wanted.image_tokens(budget, way.resize)
        pictures += len(seen.image_tokens)
    table.append(line(way.trainer, told, f"{export.name} rl/{way.kind}", "-", pictures))


def expected(export: Export, shard: Shard, kind: Format, told: dict[str, Any]) -> list[Expected]:
    """Return the rows of an export, all of which were loaded in their order."""
    rows = list(expected_rows(export.directory / shard / kind, shard, kind))
    assert len(rows) == export.manifest(shard, kind).rows == len(told["rows"])
    if "ids" in told:
        assert told["ids"] == [row.record_id for row in rows]
    return rows


def line(trainer: str, told: dict[str, Any], export: str, loss: str, pictures: int) -> Line:
    """Return what the table says of an export whose rows were all loaded."""
    rows = len(told["rows"])
    versions = f"{trainer} {told['version']} (transformers {told['transformers']})"
    return Line(versions, export, f"{rows} -> {rows}", loss, f"{pictures} in place")
