"""What gate 1 keeps of hard questions (true rate 0.1) when some of the rollouts cannot be graded, before and now.

Before: k rollouts, and those that failed counted as if they had been right. Now: topped up until k have answered.
Independent: every rollout fails by itself. Clustered: each question draws its own share of failures. Prints a table;
takes some seconds (`python -m tests.benchmarks.gate1_keeps`).
"""

from __future__ import annotations

import sys

from tests.support.gate_simulation import SHARES, before, now, questions

QUESTIONS = 20_000


def main() -> None:
    _say(
        f"{'failures':<13}{'graded':>7}{'kept before':>13}{'kept now':>10}{'too easy':>10}{'undecided':>11}{'asked':>7}"
    )
    for clustered in (False, True):
        for share in SHARES:
            asked = questions(share, QUESTIONS, clustered=clustered)
            was, told = before(asked), now(asked)
            name = "clustered" if clustered else "independent"
            _say(
                f"{name:<13}{share:>7.0%}{was.kept:>13.1%}{told.kept:>10.1%}{told.too_easy:>10.1%}"
                f"{told.undecided:>11.1%}{told.asked:>7.1f}"
            )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
