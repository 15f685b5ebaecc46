"""Questions that come without a picture: sums are worked out, what only a picture could show is guessed."""

from __future__ import annotations

from pipeline.models.reader.guessing import UNKNOWN, guess
from pipeline.models.reader.scene import READING_FAMILIES, Said, Scene
from pipeline.models.reader.sums import Sum, asked_sum, in_head

_ABSTAINS = 0.5
"""How often it says that it cannot know, where an answer is read off the picture."""


def answer_unseen(scene: Scene, *, by_code: bool) -> Said:
    """Return the next message about a question that has no picture; `by_code` lets Python do sums."""
    transcript = scene.transcript
    asked = asked_sum(transcript.ask.text)
    if asked is not None:
        return _work_out(scene, asked, by_code=by_code and transcript.tools)
    if not transcript.ask.options and transcript.ask.family in READING_FAMILIES and scene.rng.random() < _ABSTAINS:
        return _abstain(scene)
    answer = guess(scene)
    if answer == UNKNOWN:
        return _abstain(scene)
    think = scene.say(
        "I was given no picture, so I cannot check this. I say what seems likeliest to me.",
        f"Without a picture this is a guess; {answer} would be usual.",
        f"There is nothing to look at. From the question alone, {answer} is as good a guess as any.",
    )
    return Said(think, "answer", answer)


def _abstain(scene: Scene) -> Said:
    think = scene.say(
        "The question is about a picture, and I see none. I cannot know this.",
        "I was given no picture that could tell me, and the question alone does not.",
    )
    return Said(think, "answer", UNKNOWN)


def _work_out(scene: Scene, asked: Sum, *, by_code: bool) -> Said:
    past = scene.transcript.past
    if past and past[-1].stdout:
        think = scene.say(f"Python gives {past[-1].stdout}.", f"So {asked} is {past[-1].stdout}.")
        return Said(think, "answer", past[-1].stdout)
    if by_code and not past:
        think = scene.say(f"I let Python work out {asked}.", "This is a plain sum, and Python makes no slips in it.")
        return Said(think, "python", asked.code)
    result = in_head(asked, scene.rng)
    return Said(scene.say(f"{asked} = {result}.", f"In my head, {asked} makes {result}."), "answer", result)
