from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from flows.publishing.markdown import code, fence, table, text
from pipeline.amounts import counted

PAGE = MarkdownIt("commonmark", {"html": True}).enable("table")
HOSTILE = st.text(st.sampled_from("ab1 `|<>&*_[]()\\\n#-!~'\"$=\u200b"), max_size=60)


def shown(rendered: str) -> str:
    """What a reader sees of a page, without the tags that we make."""
    return html.unescape(re.sub(r"</?(p|table|thead|tbody|tr|th|td|code|pre|a)\b[^>]*>", "", rendered))


@given(HOSTILE)
def test_foreign_text_in_a_cell_is_shown_as_it_is_and_stays_in_its_cell(foreign: str) -> None:
    rendered = PAGE.render(table(("one", "two"), [(f"x{text(foreign)}x", "end")]))
    assert rendered.count("<td") == 2
    assert not re.search(r"<(?!/?(table|thead|tbody|tr|th|td)\b)", rendered)
    cell = re.search(r"<td>(.*?)</td>", rendered, re.DOTALL)
    assert cell is not None
    assert html.unescape(cell[1]).split() == f"x{' '.join(foreign.split())}x".split()


@given(HOSTILE)
def test_nothing_in_a_fence_ends_it(foreign: str) -> None:
    rendered = PAGE.render(f"{fence(foreign, 'text')}\n\nbehind\n")
    assert rendered.endswith("<p>behind</p>\n")
    assert rendered.count("<pre>") == 1


@given(HOSTILE)
def test_code_in_a_cell_stays_in_its_cell(foreign: str) -> None:
    assert PAGE.render(table(("one",), [(code(f"x{foreign}"),)])).count("<td") == 1


def test_addresses_are_links_and_what_follows_them_is_not() -> None:
    told = text("see https://a.example/x_y, https://b.example. And <b>.")
    assert told == r"see <https://a.example/x_y>, <https://b.example>. And &lt;b&gt;."


def test_columns_line_up_in_the_source_and_numbers_are_set_to_the_right() -> None:
    lines = table(("name", "rows"), [("a", 1), ("longer", 12_345)]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].endswith("-: |")
    assert lines[-1] == "| longer | 12,345 |"


@pytest.mark.parametrize(("n", "said"), [(0, "0 questions"), (1, "1 question"), (1000, "1,000 questions")])
def test_one_thing_is_told_in_the_singular(n: int, said: str) -> None:
    assert counted(n, "question") == said
