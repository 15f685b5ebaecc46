"""The loop that the fuzzers share: draw an input, judge what it does, count, report.

A fuzzer is a function that draws one input, tries it and names the outcome. Whatever it raises is a finding: an
exception that the code under test does not declare, or an invariant that does not hold.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from random import Random

_MOST_FINDINGS = 20
"""Printed; of one fault there are soon thousands."""
_PROGRESS_SECONDS = 60.0


class Broken(Exception):  # noqa: N818 - as AssertionError, which it would be if `-O` did not remove those
    """An invariant does not hold."""


def demand(holds: bool, what: str) -> None:
    """Check an invariant.

    Raises:
        Broken: it does not hold.
    """
    if not holds:
        raise Broken(what)


def fuzz(title: str, run: Callable[[Random, list[object]], str]) -> None:
    """Call `run` with fresh seeds until the time is over, print the count, and exit 1 if there were findings.

    Args:
        title: of the report.
        run: tries one input, noting what it draws in the list it is given, and returns the outcome's name. What it
            raises is a finding.
    """
    options = _options(title)
    _say(f"{title}: seed {options.seed}, {options.seconds:g} seconds")
    outcomes: Counter[str] = Counter()
    findings = 0
    tried, begin = 0, time.monotonic()
    shown = begin
    while (now := time.monotonic()) < begin + options.seconds:
        if now > shown + _PROGRESS_SECONDS:
            shown = now
            _say(f"  {tried:,} inputs, {len(outcomes)} outcomes, {findings} findings")
        number = options.first + tried
        drawn: list[object] = []
        try:
            # One generator per input, so that one input can be repeated without those before it.
            outcomes[run(Random(f"{options.seed}/{number}"), drawn)] += 1
        except Exception:  # noqa: BLE001 - anything that comes out is what is looked for
            findings += 1
            if findings <= _MOST_FINDINGS:
                _say(f"FINDING at input {number}: {drawn!r}\n{traceback.format_exc()}")
        tried += 1
    _report(tried, time.monotonic() - begin, outcomes, findings)
    sys.exit(1 if findings else 0)


def _options(title: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of another run: repeats its inputs")
    parser.add_argument("--first", type=int, default=0, help="number of the first input: repeats one finding")
    return parser.parse_args()


def _report(tried: int, seconds: float, outcomes: Counter[str], findings: int) -> None:
    _say(f"{tried:,} inputs in {seconds:.0f} s ({tried / seconds:,.0f} per second), {len(outcomes)} outcomes:")
    for outcome, count in outcomes.most_common():
        _say(f"  {count:>12,}  {outcome}")
    _say(f"{findings} findings")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
