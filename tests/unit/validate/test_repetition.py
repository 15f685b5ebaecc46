"""Loops and walls of one word, in any script, and sound thoughts that only look a little like them."""

from __future__ import annotations

import time

import pytest

from filters.validate.repetition import repetition
from filters.validate.rules import AcceptSettings, not_repetitive
from tests.support.builders import trajectory, turn

SOUND = (
    "The sign on the left is blurry, so I crop it and enlarge it four times. Then I read its letters: S, P, R, "
    "I, N, G. The last ones are hidden by a tree, but the map on the wall names only one place that begins like this."
)
LOOPS = (
    "court " * 60,
    "court, " * 60,
    "Court! court? COURT. " * 20,
    "courtcourt" * 30,
    f"{SOUND} " + "Let me look at the picture again. " * 8,
    f"{SOUND} " + "I will now count the towers from left to right, and then count them again. " * 6,
    "1. court 2. court 3. court 4. court " * 20,
    "哈" * 80,
    "球场" * 50,
    "我再看一下图片的左上角。" * 12,
    "図の左上をもう一度拡大します。" * 12,
    "สวัสดี" * 40,
    "법원 " * 60,
    "суд " * 60,
    "محكمة " * 60,
    "न्यायालय " * 60,
    "0" * 400,
    "0.3333" + "3" * 300,
)
FINE = (
    SOUND,
    "",
    "wait, wait, wait, let me look again.",
    "The bars are 10, 20, 30, 40, 50, 60, 70, 80 and 90, and 10 + 20 + 30 + 40 + 50 + 60 + 70 + 80 + 90 = 450.",
    f"{SOUND} Which place is named on the sign? The question was: which place is named on the sign? It is Springfield.",
    "图中左上角有一块牌子，字很小，看不清楚。我先把它裁剪出来，再放大四倍，然后一个字一个字地读。牌子上写的是春田，所以答案是春田。",
    "| year | rate |\n| --- | --- |\n| 2001 | 4.5 |\n| 2002 | 4.7 |\n| 2003 | 4.5 |\nThe highest is in 2002.",
    "Let x = 3. Then x^2 = 9 and x^3 = 27, so x^3 - x^2 = 18. Check: 27 - 9 = 18.",
)


@pytest.mark.parametrize("text", LOOPS)
def test_a_thought_that_goes_in_circles_is_rejected_in_every_lane(text: str) -> None:
    for arm in ("tools", "no_call", "plain_cot", "long_cot"):
        made = trajectory(turn("answer", "4", think=text), arm=arm)
        assert not_repetitive(made, AcceptSettings()).outcome == "reject"


@pytest.mark.parametrize("text", FINE)
def test_a_sound_thought_is_kept(text: str) -> None:
    assert not_repetitive(trajectory(turn("answer", "4", think=text)), AcceptSettings()).outcome == "keep"


@pytest.mark.parametrize(
    "text", ["ab" * 100_000, "".join(chr(0x4E00 + n % 9_000) for n in range(100_000)), "a b " * 50_000]
)
def test_the_time_is_linear_in_any_text(text: str) -> None:
    began = time.process_time()
    repetition(text)
    assert time.process_time() - began < 5
