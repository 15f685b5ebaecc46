"""However the name of an evaluation set is spelt, it is the set's; a word of another thing makes it another."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.sources.guard import Guarded, guard_list, refuse_eval_only
from pipeline.sources.manifest import SourceManifest

SETS = st.sampled_from(guard_list())
MARKS = st.sampled_from(["", "-", "_", ".", " "])
NEUTRAL = st.sampled_from(["test", "val", "4k", "lite", "lmms-eval", "00000-of-00001", "benchmark", "v2", "en"])
OTHER = st.sampled_from(["train", "sft", "rl", "r1", "like", "synthetic"])


@st.composite
def spellings(draw: st.DrawFn, guarded: Guarded) -> str:
    """The name of a set in other letters, with other marks, and words beside it that leave it the set."""
    words = [*draw(st.lists(NEUTRAL, max_size=1)), *draw(st.sampled_from(guarded.names)).split("-")]
    words += [guarded.splits[0]] if guarded.splits else draw(st.lists(NEUTRAL, max_size=3))
    spelt = [draw(st.sampled_from([str.lower, str.upper, str.title]))(word) for word in words]
    mark = draw(MARKS)
    return mark.join(spelt)


def refused(name: str, split: str = "train") -> bool:
    manifest = SourceManifest.model_validate(
        {
            "key": "own", "kind": "hf", "hub": f"someone/{name}", "split": split, "revision": "0" * 40,
            "licence": "unknown", "columns": {"text": "a"},
        }
    )  # fmt: skip
    try:
        refuse_eval_only(manifest, Path("own.yaml"))
    except UsageError:
        return True
    return False


@given(SETS.flatmap(spellings))
def test_every_spelling_is_refused(name: str) -> None:
    name = name.replace(" ", "_").replace(".", "-")
    assert refused(name), name


@given(SETS, OTHER, MARKS)
def test_with_a_word_of_something_else_it_is_something_else(guarded: Guarded, word: str, mark: str) -> None:
    for name in guarded.names:
        assert not refused(f"{name}{mark or '_'}{word}".replace(" ", "-"))


@given(st.text("abtestvalmini0123456789vk_-", min_size=1, max_size=200))
def test_any_name_is_read_in_no_time(name: str) -> None:
    refused(f"{name}x")
