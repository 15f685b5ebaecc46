"""What stands below a bar: every figure there is, none that is not, within the width of the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from flows.cli.figures import parts
from flows.cli.progress import BarProgress, LineProgress
from flows.run.figures import Figures, InFlight

FULL = Figures(
    stage="decontaminate",
    rows=1_116_000,
    done=66_432,
    outcomes={"kept": 20_000, "rejected": 12_000, "quarantined": 3},
    seconds=3_672.4,
    rollouts=530_211,
    paid=1_204_555,
    stored=12,
    rows_per_second=0.034,
    calls_per_second=16.42,
    seconds_left=90_061.0,
    in_flight=(InFlight("teachers.0", 64, 64), InFlight("teachers.1", 3, 128), InFlight("judge", 7, None)),
    sessions=12,
    capacity=32,
    failed={"teachers.0": {"timeout": 3, "429": 1_200}, "search": {"connection refused": 1}},
    again=1_204,
    begun_again=2,
    tokens=5_000_000,
    cost=3.104,
)
FAILURES = (
    "failed tries: teachers.0 429 (1,200), timeout (3); search connection refused (1); 1,204 calls tried again; "
    "2 rollouts begun again"
)


def test_each_figure_is_told_in_words() -> None:
    assert parts(FULL) == [
        "1,204,555 calls, 12 from the store, 20,000 kept, 12,000 rejected, 3 quarantined",
        "530,211 rollouts, 0.034 rows/s, 16 calls/s",
        "in flight: teachers.0 64 of 64, teachers.1 3 of 128, judge 7; sandbox 12 of 32 sessions",
        FAILURES,
        "cost so far 3.10",
    ]
    assert parts(Figures(stage="screen", rows=7)) == []
    assert parts(Figures(stage="gate1", rows=7, tokens=1_500, calls_per_second=0.0)) == [
        "0 calls/s",
        "1,500 tokens so far",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_bar_and_its_figures_fit_the_terminal_and_lose_no_word(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    bars = BarProgress(console)
    bars.stage_started(FULL.stage, lambda: FULL)
    console.print(bars)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    told = " ".join(" ".join(lines).split())
    for words in ("66,432 of 1,116,000 rows, 1:01:12, 1 day, 1:01:01 left", *parts(FULL)):
        assert words in told


def test_a_log_has_all_of_it_in_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    console = Console(file=io.StringIO(), width=80)
    lines = LineProgress(console)
    lines.stage_started(FULL.stage, lambda: FULL)
    clock[0] = 61.0
    lines.tick()
    assert isinstance(console.file, io.StringIO)
    _, line = console.file.getvalue().splitlines()
    assert line == f"decontaminate 66,432 of 1,116,000 rows: {'; '.join(parts(FULL))}; 1 day, 1:01:01 left"
