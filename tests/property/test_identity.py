from __future__ import annotations

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.identity import Json, canonical_json, digest, parse_json, uniform

text = st.text(st.characters(codec="utf-8"))
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=20)


@given(values)
def test_what_was_written_is_read_back(value: Json) -> None:
    assert parse_json(canonical_json(value)) == value


@given(values)
def test_reading_and_writing_again_changes_no_byte(value: Json) -> None:
    once = canonical_json(value)
    assert canonical_json(parse_json(once)) == once


@given(st.dictionaries(text, leaves), st.randoms())
def test_the_order_of_keys_does_not_matter(mapping: dict[str, Json], dice: random.Random) -> None:
    items = list(mapping.items())
    dice.shuffle(items)
    assert digest(dict(items)) == digest(mapping)


@given(values, values)
def test_different_values_have_different_digests(left: Json, right: Json) -> None:
    # Compared as JSON text of another writer: Python itself says True == 1 == 1.0.
    same = json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    assert (digest(left) == digest(right)) == same


@given(st.lists(leaves))
def test_a_tuple_is_the_list_it_becomes_in_json(items: list[Json]) -> None:
    assert digest(tuple(items)) == digest(items)


@given(st.binary())
def test_bytes_are_not_the_text_that_spells_them(content: bytes) -> None:
    assert digest(content) not in {digest(content.hex()), digest(content.decode("latin-1"))}


@given(st.lists(text, min_size=1))
def test_uniform_is_a_share_of_one(parts: list[str]) -> None:
    assert 0 <= uniform(*parts) < 1
