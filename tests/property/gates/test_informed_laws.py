"""However own words are put together they stay own words, and a finding among them stays a finding."""

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from filters.carrying import Knows, cells_show

MEASURED = "image_1.getpixel((0, 0))[0]"
WORDS = st.text(alphabet="abc 東京यअس{}", max_size=5).map(repr)
OWN = WORDS | st.integers(-99, 99).map(str)
SURROUNDINGS = st.sampled_from(["image_1.size", "image_1.width", "type(image_1)", "len(str(image_1.size))"])
FORMS = st.sampled_from(
    [
        "str({})",
        "[{}, 'x']",
        "('x' + str({}))",
        "'{{}}'.format({})",
        "f'{{{}!s}}'",
        "{{'k': {}}}['k']",
        "(lambda: {})()",
        "str({}).upper()",
        "({} if True else 'x')",
        "', '.join([str({})])",
        "list(({},))",
    ]
)


def put_together(leaf: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions around one leaf."""
    forms = st.lists(FORMS, max_size=4)
    return st.tuples(leaf, forms).map(lambda made: wrapped(*made))


def wrapped(leaf: str, forms: list[str]) -> str:
    made = leaf
    for form in forms:
        # Quotes within an f-string of the same kind are no code before Python 3.12.
        made = f"str({made})" if form.startswith("f'") and ("'" in made or "{" in made) else form.format(made)
    return made


def printed(*cells: str) -> Knows:
    for cell in cells:
        ast.parse(cell)
    return cells_show(cells)[-1].text


@given(put_together(OWN | SURROUNDINGS))
def test_own_words_and_sizes_never_become_a_finding(expression: str) -> None:
    assert printed(f"print({expression})") < Knows.PICTURE
    assert printed(f"x = {expression}\nprint('is', x)") < Knows.PICTURE
    assert printed(f"x = {expression}", "for y in [x]:\n    print(y)") < Knows.PICTURE


@given(put_together(st.just(MEASURED)), put_together(OWN))
def test_a_finding_is_never_lost_among_own_words(finding: str, own: str) -> None:
    assert printed(f"print({own}, {finding})") is Knows.FINDING
    assert printed(f"x = {finding}\ny = {own}\nprint([y, x])") is Knows.FINDING
    assert printed(f"if {finding}:\n    print({own})") is Knows.FINDING
    assert printed(f"x = []\nx.append({finding})", "print(x)") is Knows.FINDING
    assert printed(f"def f(a):\n    return a\nprint(f({finding}))") is Knows.FINDING


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_as_no_python(code: str) -> None:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return
    assert len(cells_show([code])) == 1
