"""How many wrong answers of a source become suspect, and how many right ones do: the demo with some of them swapped.

    python -m tests.benchmarks.wrong_gold [--questions 400] [--share 0.05] [--out DIR]

Base and teacher are the embedded reader, one family, so that `gold.min_families` is 1 and what is found is labelled
`single_family`. Prints recall of the swapped questions that gate 1 kept and of all, precision, both with 95 % intervals
(Wilson), what is listed for review without being rejected, and where the swapped ones ended. Takes two to five minutes
on two cores; with `--out` the run is kept and its store is beside it, so that another `--share` pays for little.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from filters.intervals import wilson
from tests.support.command import COMMAND, DEMO, ROOT


class Fate(NamedTuple):
    """What became of a question."""

    swapped: bool
    hard: bool
    """Gate 1 passed it on to gate 2."""
    suspected: bool
    """Rejected for what attempts agree on."""
    listed: bool
    """For a person to look at, without being rejected: others came to the stored answer, or it is in other words."""
    single_family: bool
    end: str
    """The last stage that saw it as a question, and what that stage did."""


def main() -> None:
    """Run the demo and print what the ledger says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--share", type=float, default=0.05, help="of the questions, swapped")
    parser.add_argument("--out", type=Path, help="keep the run here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="coldforge-wrong-gold-") as temporary:
        run = given.out or Path(temporary) / "run"
        curate(run, given.questions, given.share)
        for line in report(fates(run / "ledger.duckdb")):
            sys.stdout.write(f"{line}\n")


def curate(run: Path, questions: int, share: float) -> None:
    """Run the demo recipe enlarged, with that share of answers swapped."""
    demo = f"sources.0.demo={json.dumps({'questions': questions, 'wrong_golds': share})}"
    command: list[str | Path] = [COMMAND, "run", DEMO, "--out", run, "--set", demo, "--set", "gold.min_families=1"]
    subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=True)


def fates(ledger: Path) -> list[Fate]:
    """Return what became of every regular question of a run."""
    import duckdb

    with duckdb.connect(str(ledger), read_only=True) as db:
        questions = db.execute("SELECT question_id, meta FROM questions WHERE source = 'demo'").fetchall()
        doubts = dict(
            db.execute("SELECT question_id, single_family FROM suspicions WHERE contradicts AND NOT reached").fetchall()
        )
        listed = {name for (name,) in db.execute("SELECT question_id FROM suspicions").fetchall()} - doubts.keys()
        order = {stage: number for number, (stage,) in enumerate(db.execute("SELECT stage FROM stages").fetchall())}
        rows = db.execute(
            "SELECT question_id, stage, outcome, route, reason FROM outcomes WHERE unit = 'question'"
        ).fetchall()
    seen: dict[str, list[tuple[int, str, str]]] = {}
    for question, stage, outcome, route, reason in rows:
        seen.setdefault(question, []).append((order[stage], stage, f"{outcome} {reason or route or ''}".strip()))
    derivations = {question: json.loads(meta)["derivation"] for question, meta in questions}
    regular = {question: told for question, told in derivations.items() if not told["planted"]}
    return [
        _fate(question, told, seen[question], doubts)._replace(listed=question in listed)
        for question, told in regular.items()
    ]


def _fate(
    question: str, derivation: Mapping[str, object], seen: list[tuple[int, str, str]], doubts: Mapping[str, bool]
) -> Fate:
    _, stage, what = max(seen)
    return Fate(
        swapped=bool(derivation.get("swapped")),
        hard=any(stage == "gate1" and what == "kept next" for _, stage, what in seen),
        suspected=question in doubts,
        listed=False,
        single_family=doubts.get(question, False),
        end=f"{stage}: {what}",
    )


def report(of: Iterable[Fate]) -> Iterable[str]:
    """Yield the report line by line."""
    found = list(of)
    swapped = [fate for fate in found if fate.swapped]
    suspected = [fate for fate in found if fate.suspected]
    hard = [fate for fate in swapped if fate.hard]
    yield f"{len(found)} questions, {len(swapped)} of them swapped, {len(hard)} of these kept by gate 1"
    yield f"{len(suspected)} suspected, {sum(fate.single_family for fate in suspected)} of them single_family"
    yield _share("recall, of the swapped that gate 1 kept", sum(fate.suspected for fate in hard), len(hard))
    yield _share("recall, of all swapped", sum(fate.suspected for fate in swapped), len(swapped))
    yield _share("precision", sum(fate.swapped for fate in suspected), len(suspected))
    sound = [fate for fate in found if not fate.swapped]
    yield _share("sound questions suspected", sum(fate.suspected for fate in sound), len(sound))
    yield _share(
        "of the other swapped, listed for review", sum(f.listed for f in swapped), sum(not f.suspected for f in swapped)
    )
    yield _share("sound questions listed for review", sum(fate.listed for fate in sound), len(sound))
    yield "where the swapped ended:"
    for end, count in Counter(fate.end for fate in swapped).most_common():
        yield f"  {count:>4}  {end}"


def _share(name: str, hits: int, of: int) -> str:
    low, high = wilson(hits, of)
    value = f"{hits / of:.1%}" if of else "none"
    return f"{name:<42}{hits:>4} of {of:<4} {value:>6} [{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    main()
