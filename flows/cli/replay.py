"""`coldforge replay`: execute what the teachers' trajectories did again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flows.cli.console import JsonFlag, console, print_json, print_line, print_table, require_ledger, require_store
from flows.cli.run import StoreDir
from flows.cli.status import RunDir

if TYPE_CHECKING:
    from flows.recipe.recipe import Recipe
    from pipeline.records import ReplayResult, Trajectory


def replay(run: RunDir, store: StoreDir = None, as_json: JsonFlag = False) -> None:
    """Execute every valid teacher trajectory of RUN again, in fresh sessions. Exit 3 if one comes out otherwise.

    The ledger's table `replays` is told.
    """
    from filters.validate.rules import replayed
    from flows.ledger.snapshot import record_replays
    from flows.recipe.file import load_recipe
    from flows.report.lookup import finished_stages
    from flows.run.held import held
    from pipeline.amounts import percent
    from pipeline.errors import CheckError

    recipe, place = load_recipe(require_ledger(run) / "recipe.yaml"), require_store(run, store)
    # Held from reading to telling: a run that went on meanwhile would leave other trajectories than these.
    with held(run, waiting=lambda: _tell_waiting(run)):
        trajectories, stages = _valid_trajectories(run), finished_stages(run)
        results, here = _replay_all(trajectories, recipe, place)
        record_replays(run, list(stages.values()), results)
    # What counts as wrong is what the run's own validation would have rejected.
    decisions = (replayed(result.trajectory_id, result, recipe.validate_) for result in results)
    wrong = [decision.record_id for decision in decisions if decision.outcome != "keep"]
    executed = sum(result.cells > 0 for result in results)
    # In a lane without tools no cell could run, here or anywhere.
    elsewhere = sum(made.sandbox != here for made in trajectories if made.mode == "tools")
    if as_json:
        report = {
            "run": str(run),
            "verdicts": dict(Counter[str](result.verdict for result in results)),
            "executed": executed,
            "executed_share": executed / len(results) if results else None,
            "recorded_elsewhere": elsewhere,
            "wrong": wrong,
            "trajectories": [result.model_dump() for result in results],
        }
        print_json(report)
        raise typer.Exit(CheckError.exit_code if wrong else 0)
    _print_results(results)
    if results:
        print_line(f"{executed} of {len(results)} ({percent(executed / len(results))} %) executed at least one cell")
    if elsewhere:
        print_line(f"{elsewhere} of {len(results)} were recorded under another guest environment or sandbox policy")
    if wrong:
        raise CheckError(f"{run}: {len(wrong)} of {len(results)} trajectories came out otherwise than recorded")
    print_line(f"{run}: {len(results)} trajectories came out as recorded")


def _tell_waiting(run: Path) -> None:
    console(stderr=True).print(f"{run} is in use; waiting for its `coldforge run` to end", markup=False, soft_wrap=True)


def _valid_trajectories(run: Path) -> list[Trajectory]:
    """Return the trajectories that `validate` kept; the others were never said to repeat.

    Raises:
        UsageError: parts that the ledger was built from are gone.
    """
    from flows.report.lookup import finished_stages
    from flows.report.tables import query_table
    from pipeline.errors import UsageError
    from pipeline.records import Trajectory
    from pipeline.store.shards import read_records

    stages = finished_stages(run)
    gone = [str(name) for (name,) in query_table(run, "SELECT stage FROM stages").rows if name not in stages]
    if gone:
        raise UsageError(f"{run}/stages no longer holds {', '.join(gone)}; run `coldforge run` again")
    sql = "SELECT record_id FROM outcomes WHERE stage = 'validate' AND unit = 'trajectory' AND outcome = 'kept'"
    valid = {str(row[0]) for row in query_table(run, sql).rows}
    paths = stages["synthesize"].paths("trajectories") if "synthesize" in stages else []
    found = [record for path in paths for record in read_records(path, Trajectory) if record.id in valid]
    if len(found) != len(valid):
        raise UsageError(
            f"{run}/stages holds {len(found)} of {len(valid)} valid trajectories; run `coldforge run` again"
        )
    return found


def _replay_all(trajectories: Sequence[Trajectory], recipe: Recipe, store: Path) -> tuple[list[ReplayResult], str]:
    """Return what came out, in order, and the identity of the sandbox it came out of."""
    from rich.progress import Progress

    from flows.asking.ask import persistent
    from flows.asking.replays import replay as replay_one
    from flows.asking.work import Work
    from flows.run.opening import open_sandbox
    from flows.stages.outcomes import gather_all
    from pipeline.processes import cores
    from pipeline.store.blobs import BlobStore

    blobs, rule = BlobStore(store / "blobs"), recipe.student.view_rule
    stderr = console(stderr=True)
    shown = Progress(console=stderr, disable=not stderr.is_terminal)

    with closing(open_sandbox(recipe.runtime, recipe.runtime.workers or cores())) as pool, shown:
        bar = shown.add_task("replay", total=len(trajectories))

        async def one(trajectory: Trajectory, slots: asyncio.Semaphore) -> ReplayResult:
            # No more cells at once than zygotes: the wall time of a cell is its own.
            async with slots:
                result = await persistent(
                    lambda: asyncio.to_thread(replay_one, trajectory, pool, blobs, rule, recipe.seed), Work()
                )
            shown.advance(bar)
            return result

        async def every() -> list[ReplayResult]:
            slots = asyncio.Semaphore(pool.workers)
            return await gather_all(one(trajectory, slots) for trajectory in trajectories)

        return asyncio.run(every()), pool.identity


def _print_results(results: Sequence[ReplayResult]) -> None:
    from flows.report.tables import Table

    groups = Counter((result.verdict, result.detail) for result in results)
    examples = {(result.verdict, result.detail): result.trajectory_id[:12] for result in results}
    rows = tuple((verdict, n, detail, examples[verdict, detail]) for (verdict, detail), n in sorted(groups.items()))
    print_table(Table("replay", "", ("verdict", "trajectories", "detail", "example"), rows))
