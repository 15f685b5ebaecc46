"""What the student's processor takes: at the size of the picture, and at the size that it makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import RowError
from pipeline.students.family import FAMILIES, Size, Student, ViewRule

BUDGET = 262_144


@pytest.mark.parametrize(
    ("size", "budget", "shown"),
    [
        (Size(9000, 46), BUDGET, "7140x28"),
        (Size(46, 9000), BUDGET, "28x7140"),
        (Size(15_000, 100), 1_003_520, "12264x56"),
    ],
)
def test_a_view_beyond_the_aspect_is_refused_although_the_picture_is_within(
    size: Size, budget: int, shown: str
) -> None:
    assert max(size) / min(size) <= 200
    with pytest.raises(RowError, match=shown) as caught:
        ViewRule("qwen2_5_vl", budget).size(size)
    assert caught.value.reason == "image_aspect"


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.sampled_from([4 * 784, 25_600, BUDGET, 12_845_056]))
def test_a_view_is_within_the_aspect_or_refused(width: int, height: int, budget: int) -> None:
    family = FAMILIES["qwen2_5_vl"]
    try:
        seen = family.resize(Size(width, height), budget)
    except RowError as error:
        assert (error.reason, max(width, height) / min(width, height) > 90) == ("image_aspect", True)  # noqa: PT017
        return
    assert max(seen) <= family.max_aspect * min(seen)


def test_a_student_that_is_deployed_at_more_pixels_is_shown_both_views() -> None:
    student = Student(family="qwen2_5_vl", revision="r1", max_pixels=BUDGET)
    assert student.view_rules == (student.view_rule,)
    deployed = student.model_copy(update={"deploy_pixels": 4 * BUDGET})
    assert [rule.max_pixels for rule in deployed.view_rules] == [BUDGET, 4 * BUDGET]
