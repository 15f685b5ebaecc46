from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.identity import IdentityError, canonical_json, digest, parse_json
from tests.support.builders import image
from tests.support.command import ROOT

VALUE: Mapping[str, object] = {
    "zeta": [1, 2.5, None, True],
    "alpha": {"ü": "ß", "b": b"\x00\xff"},
    "image": image(),
}


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        frozenset({"a"}),
        float("nan"),
        float("inf"),
        lambda: None,
        object(),
        dt.date(2026, 1, 1),
        Path("a"),
        {1: "a"},
        {b"a": 1},
        range(3),
        "\ud800",
        {"\udfff": 1},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(IdentityError):
        digest({"outer": [value]})


def test_the_message_names_the_place_and_the_type() -> None:
    with pytest.raises(IdentityError, match=r"value\.tools\[1\]\.names: set has no canonical encoding"):
        canonical_json({"tools": [{}, {"names": {"a"}}]})


def test_one_and_one_point_zero_differ_which_is_a_known_limitation() -> None:
    assert canonical_json([1, 1.0, True]) == "[1,1.0,true]"
    assert len({digest(1), digest(1.0), digest(True)}) == 3


def test_text_is_kept_as_it_is_and_layout_is_fixed() -> None:
    assert canonical_json({"b": "ü</a>", "a": [1, None]}) == '{"a":[1,null],"b":"ü</a>"}'


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_a_digest_is_the_same_in_another_process_and_under_another_hash_seed(hash_seed: str) -> None:
    program = (
        "from tests.unit.test_identity_values import VALUE; from pipeline.identity import digest; print(digest(VALUE))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert done.stdout.decode().strip() == digest(VALUE)


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', "NaN", "[Infinity]", '{"a":{"b":1,"b":1}}'])
def test_json_that_we_never_write_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"duplicate key|is not JSON"):
        parse_json(text)
