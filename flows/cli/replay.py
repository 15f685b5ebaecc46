"""`coldforge replay`: execute what the teachers' trajectories did again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flows.cli.console import JsonFlag, console, print_json, print_line, print_table, require_ledger
from flows.cli.run import StoreDir
from flows.cli.status import RunDir

if TYPE_CHECKING:
    from flows.recipe import Recipe
    from pipeline.records import ReplayResult, Trajectory


def replay(run: RunDir, store: StoreDir = None, as_json: JsonFlag = False) -> None:
    """Execute every valid teacher trajectory of RUN again, in fresh sessions. Exit 3 if one comes out otherwise."""
    from filters.validators import replayed
    from flows.recipe import load_recipe
    from pipeline.errors import CheckError

    recipe = load_recipe(require_ledger(run) / "recipe.yaml")
    results = _replay_all(_valid_trajectories(run), recipe, store if store is not None else run.parent / ".store")
    # What counts as wrong is what the run's own validation would have rejected.
    decisions = (replayed(result.trajectory_id, result, recipe.validate_) for result in results)
    wrong = [decision.record_id for decision in decisions if decision.outcome != "keep"]
    if as_json:
        verdicts = Counter[str](result.verdict for result in results)
        rows = [result.model_dump() for result in results]
        print_json({"run": str(run), "verdicts": dict(verdicts), "wrong": wrong, "trajectories": rows})
        raise typer.Exit(CheckError.exit_code if wrong else 0)
    _print_results(results)
    if wrong:
        raise CheckError(f"{run}: {len(wrong)} of {len(results)} trajectories came out otherwise than recorded")
    print_line(f"{run}: {len(results)} trajectories came out as recorded")


def _valid_trajectories(run: Path) -> list[Trajectory]:
    """Return the trajectories that `validate` kept; the others were never said to repeat."""
    from flows.cli.lookup import finished_stages
    from pipeline.records import Trajectory
    from pipeline.report.tables import query_table
    from pipeline.store.shards import read_records

    sql = "SELECT record_id FROM outcomes WHERE stage = 'validate' AND unit = 'trajectory' AND outcome = 'kept'"
    valid = {str(row[0]) for row in query_table(run, sql).rows}
    stage = finished_stages(run).get("synthesize")
    paths = stage.paths("trajectories") if stage is not None else []
    return [record for path in paths for record in read_records(path, Trajectory) if record.id in valid]


def _replay_all(trajectories: Sequence[Trajectory], recipe: Recipe, store: Path) -> list[ReplayResult]:
    from rich.progress import track

    from pipeline.processes import cores
    from pipeline.replay import replay_trajectory
    from pipeline.sandbox import Policy, Pool
    from pipeline.store.blobs import BlobStore

    blobs, rule = BlobStore(store / "blobs"), recipe.student.view_rule
    workers = recipe.runtime.workers or cores()
    stderr = console(stderr=True)
    with Pool(Policy(), workers) as pool, ThreadPoolExecutor(workers) as threads:
        done = threads.map(lambda one: replay_trajectory(one, pool, blobs, rule, recipe.seed), trajectories)
        shown = track(done, "replay", len(trajectories), console=stderr, disable=not stderr.is_terminal)
        return list(shown)


def _print_results(results: Sequence[ReplayResult]) -> None:
    from pipeline.report.tables import Table

    groups = Counter((result.verdict, result.detail) for result in results)
    examples = {(result.verdict, result.detail): result.trajectory_id[:12] for result in results}
    rows = tuple((verdict, n, detail, examples[verdict, detail]) for (verdict, detail), n in sorted(groups.items()))
    print_table(Table("replay", "", ("verdict", "trajectories", "detail", "example"), rows))
