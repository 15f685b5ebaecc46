"""Where gate 2 sends hard questions of a model whose calls show nothing but its own words, before and now.

Tools do nothing: with them and without a question is right at one rate, and every rollout with tools makes one call,
of a kind. Before, any call that ran and printed something was help. Prints a table; takes some seconds
(`python -m tests.benchmarks.useless_calls`).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np

from filters.gates.counts import tools_count
from filters.gates.rules import GateSettings, gate1, gate2
from filters.turns import showed_something
from pipeline.dialects.observations import cell_observation
from pipeline.records import GateCount, Trajectory, Turn
from tests.support.builders import gate_count, question, trajectory, turn

QUESTIONS, RATE = 4_000, 0.1
SETTINGS = GateSettings()
ASKED = question()
KINDS = {
    "its own word": "answer = 'Lyon'\nprint(f'It is {answer}')",
    "the picture's size": "print(image_1.size)",
    "a version": "import numpy\nprint(numpy.__version__)",
    "a measurement": "print(image_1.getpixel((3, 4)))",
}


def main() -> None:
    """Print the share that goes to RL, by kind of call."""
    draw = np.random.default_rng(0)
    hits = draw.random((QUESTIONS, 2, SETTINGS.k)) < RATE
    sys.stdout.write(f"{'a call prints':<20}{'hard':>7}{'to rl before':>14}{'now':>8}\n")
    for name, code in KINDS.items():
        before, now, hard = Counter[str](), Counter[str](), 0
        for plain, with_tools in hits.tolist():
            count = gate_count(ASKED.id, plain_right=sum(plain), plain_valid=SETTINGS.k)
            if gate1(count, SETTINGS).outcome != "keep":
                continue
            hard += 1
            counted = tools_count(count, rollouts(code, with_tools))
            now[gate2(counted, SETTINGS.tools).route or "lost"] += 1
            before[gate2(as_before(counted, code), SETTINGS.tools).route or "lost"] += 1
        sys.stdout.write(f"{name:<20}{hard:>7}{before['rl'] / hard:>14.1%}{now['rl'] / hard:>8.1%}\n")


def rollouts(code: str, right: Sequence[bool]) -> list[Trajectory]:
    """Return rollouts with tools, each with one call and right or wrong."""
    about = {"purpose": "gate", "arm": "main", "mode": "tools"}
    return [
        trajectory(
            _cell(code),
            turn("answer", "Lyon"),
            asked=ASKED,
            sample=sample,
            answer="Lyon",
            verdict="right" if hit else "wrong",
            **about,
        )
        for sample, hit in enumerate(right)
    ]


def as_before(count: GateCount, code: str) -> GateCount:
    """Return the counts where every call that ran and showed anything is help."""
    if not showed_something(_cell(code)):
        return count
    right = count.tools_right + count.tools_right_without_call
    return count.model_copy(update={"tools_right": right, "tools_right_without_call": 0})


def _cell(code: str) -> Turn:
    shown = cell_observation(status="ok", stdout="x\n", stderr="", value=None, error=None, images=0, ended=False)
    return turn("python", code, observation=shown)


if __name__ == "__main__":
    main()
