from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from flows.report.viewer.scripts import script
from tests.support.report_files import calls

ANYTHING = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANYTHING,
    lambda inner: st.lists(inner) | st.dictionaries(ANYTHING, inner),
)


@given(JSON)
def test_a_file_gives_back_what_was_written_and_nothing_in_it_ends_the_script(value: object) -> None:
    text = script("name", value).decode()
    # No markup of any kind begins inside, and the file is one line for every reader of scripts.
    assert "<" not in text
    assert not {"\u2028", "\u2029"} & {*text}
    assert text.count("\n") == 1
    assert json.loads(text.removeprefix('coldforge("name", ').removesuffix(");\n")) == value


def test_the_pages_are_handed_the_words_of_a_hostile_model_as_they_are(tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script><!-- \u2028 \u2029 \u202e ]]> \\u003c __proto__"
    path = tmp_path / "about.js"
    path.write_bytes(script("about", {"__proto__": hostile, "text": hostile}))
    assert calls(path) == {"about": {"__proto__": hostile, "text": hostile}}
