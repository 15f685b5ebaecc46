"""`coldforge run`: curate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.cli.console import console, print_line, print_table
from pipeline.commands import command

if TYPE_CHECKING:
    from flows.recipe.inputs import Job
    from flows.run.curate import RunSummary
    from flows.run.progress import Progress
    from pipeline.models.samples import Spent

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe, such as manifests/recipes/demo.yaml.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the recipe; may be given several times."),
]
OutDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The run directory.", show_default="runs/<name of the recipe>")
]
StoreDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Images and paid calls, shared by runs.", show_default=".store beside the run directory"
    ),
]
Until = Annotated[
    str | None, typer.Option(metavar="STAGE", help="Stop after this stage, such as screen; run again to go on.")
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Take a stratified sample of N rows.")]


def run(
    recipe: RecipeFile,
    *,
    out: OutDir = None,
    store: StoreDir = None,
    limit: Limit = None,
    changes: Changes = None,
    until: Until = None,
    runner: Annotated[Literal["local", "prefect"], typer.Option(help="Who runs the units of a stage.")] = "local",
) -> None:
    """Curate what RECIPE asks for. The same command again resumes, and pays for nothing twice.

    With --until only the models and tools of the stages up to it have to be there: for ingest to decontaminate, none.

    Exit 1 if it stopped and can be resumed, 3 if no row came out, or none is left after --until.
    """
    from flows.cli.progress import shown_progress
    from flows.recipe.inputs import make_job

    job = make_job(recipe, out=out, store=store, limit=limit, changes=changes or (), runner=runner, until=until)
    with shown_progress(console(stderr=True)) as progress:
        summary = _curate(job, progress)
    print_line(unguarded_line(job))
    print_summary(summary)
    summary.require_rows()


def unguarded_line(job: Job) -> str:
    """Return which sets of the guard list no benchmark of the recipe keeps out of its sources."""
    from flows.recipe.benchmarks import missing_benchmarks

    missing = missing_benchmarks(job.recipe.benchmarks, job.recipe_path)
    if not missing:
        return "guard list: all of it is among the benchmarks of the recipe"
    named = f"{', '.join(missing[:_NAMED])}{f' and {len(missing) - _NAMED} more' if len(missing) > _NAMED else ''}"
    return f"guard list: not among the benchmarks of the recipe: {named} (coldforge benchmarks list)"


_NAMED = 6
"""Sets that are named in one line."""


def _curate(job: Job, progress: Progress) -> RunSummary:
    if job.runner == "prefect":
        from flows.prefect_flows import curate_with_prefect

        return curate_with_prefect(job, progress)
    from flows.run.curate import curate

    return curate(job, progress)


_QUARANTINED = """
SELECT stage, reason, count(*) AS n, min_by(detail, record_id) AS detail, left(min(record_id), 12) AS example
FROM outcomes JOIN stages USING (stage)
WHERE outcome = 'quarantined'
GROUP BY stage, position, reason
ORDER BY position, n DESC, reason
"""
"""What could not be worked on, by reason, with the detail of one record and the beginning of its id."""


def print_summary(summary: RunSummary) -> None:
    """Print what a finished run made, what it could not work on, and what it cost."""
    from flows.report.tables import funnel_table

    print_table(funnel_table(summary.run))
    _print_quarantined(summary.run)
    _print_rights(summary.run)
    _print_unjudged(summary.run)
    _print_without_answer(summary.run)
    _print_saved(summary.run)
    _print_disjoint(summary.run)
    # Of none there is one sentence, which `require_rows` says.
    for shard in summary.shards if any(shard.n_rows for shard in summary.shards) else ():
        print_line(f"{shard.shard + '/' + shard.format:<34}{shard.n_rows:>8,} rows{shard.nbytes / 1e6:>10,.1f} MB")
    if summary.shards:
        print_tombstones(summary.run)
    empty = [f"{shard.shard}/{shard.format}" for shard in summary.shards if not shard.n_rows]
    if 0 < len(empty) < len(summary.shards):
        print_line(f"no rows for {', '.join(empty)}; `{command('stats', summary.run)}` tells why records stopped")
    paid, cached = summary.calls.paid, summary.calls.cached
    kinds = ", ".join(f"{paid[kind]:,} {kind}" for kind in ("model", "search", "cell"))
    print_line(f"\npaid calls: {kinds}; answered from the store: {cached.total():,}")
    _print_spent(summary.spent)
    if paid["model"]:
        _print_compared(summary.run)
    done = "finished" if summary.until is None else f"is done up to {summary.until}"
    print_line(f"{summary.run} {done} in {summary.seconds:.1f} s; next: {command('stats', summary.run)}")
    if summary.until is not None:
        print_line("the same command without --until goes on from there")


def _print_rights(run: Path) -> None:
    """Tell what was left out for the rights of others, by category."""
    from flows.report.tables import rights_table

    left_out = rights_table(run)
    if left_out.rows:
        print_table(left_out)


def print_tombstones(run: Path) -> None:
    """Tell which entries of the run's tombstones no row of its exports has met: they may be mistyped."""
    from flows.publishing.exports import read_exports
    from flows.report.exports import taken_down
    from pipeline.export.layout import MANIFEST
    from pipeline.export.tombstones import matches

    taken = taken_down(run)
    exports = read_exports(run) if any((run / "export").glob(f"*/*/{MANIFEST}")) else ()
    matched = matches(taken, {mark for one in exports for row in one.manifest.refused for mark in row.tombstones})
    if matched is not None:
        print_line(matched)


def _print_unjudged(run: Path) -> None:
    """Tell of each source how many answers only a judge could decide, where none is named."""
    from flows.report.tables import unjudged_table

    for source, answers, unjudged, _ in unjudged_table(run).rows:
        print_line(
            f"{source}: {unjudged:,} of {answers:,} answers are decided by no rule (other words) and count as not "
            "right; name models.judge to have them judged"
        )


_WITHOUT_ANSWER = """
SELECT gate, kind, n, asked, example FROM (
  SELECT 'gate1, without tools' AS gate, sum(plain_asked) AS asked,
         sum(plain_malformed) AS malformed, left(arg_max(question_id, plain_malformed), 12) AS one_malformed,
         sum(plain_limit) AS cut, left(arg_max(question_id, plain_limit), 12) AS one_cut
  FROM gates
  UNION ALL
  SELECT 'gate2, with tools', sum(k), sum(tools_bad_format), left(arg_max(question_id, tools_bad_format), 12),
         sum(tools_limit), left(arg_max(question_id, tools_limit), 12)
  FROM gates SEMI JOIN (FROM outcomes WHERE stage = 'gate2') USING (question_id)
), LATERAL (VALUES ('malformed', malformed, one_malformed), ('cut', cut, one_cut)) AS kinds(kind, n, example)
WHERE n > asked / 2
"""
_MOSTLY = {
    "malformed": "a chat template or prompts that do not fit the model",
    "cut": "too little room: `context_length` or `sampling.max_tokens` of models.base, or `rollout.max_turns`",
}


def _print_without_answer(run: Path) -> None:
    """Tell of a gate whose rollouts mostly came to no answer: in a small run, or one that may go on with them."""
    from flows.report.tables import query_table

    for gate, kind, n, asked, example in query_table(run, _WITHOUT_ANSWER).rows:
        print_line(
            f"{gate}: {n:,} of {asked:,} rollouts are {kind}, which is mostly {_MOSTLY[str(kind)]} "
            f"({command('show', run, example)})\n"
        )


def _print_spent(spent: Spent) -> None:
    """Tell what the models' calls cost, and what was discarded of what they wrote."""
    if not spent.calls:
        return
    cost = f"; cost {spent.cost:,.2f}" if spent.cost else ""
    print_line(
        f"tokens: {spent.prompt_tokens:,} prompt ({spent.cached_tokens:,} cached), {spent.completion_tokens:,} "
        f"completion ({spent.reasoning_tokens:,} reasoning){cost}"
    )
    if spent.cut_characters:
        print_line(f"discarded: {spent.cut_characters:,} characters that models wrote after a complete action")


def _print_compared(run: Path) -> None:
    """Tell what was expected beside what came, and what each accepted row has cost."""
    from flows.cost.measure import Compared, compare
    from flows.report.tables import Table, cost_per_row_table, filled

    print_line("")
    print_table(filled(Table("expected", "Expected, and what came of it", Compared._fields, compare(run))))
    print_table(filled(cost_per_row_table(run)))


def _print_saved(run: Path) -> None:
    """Tell what early stopping of gate 1 has saved."""
    from flows.report.tables import query_table

    ((saved, full, stopped),) = query_table(
        run, "SELECT coalesce(sum(censored), 0), coalesce(sum(k), 0), count(*) FILTER (censored > 0) FROM gates"
    ).rows
    if saved:
        print_line(
            f"early stop: {stopped:,} questions settled early, {saved:,} of {full:,} plain rollouts never asked for\n"
        )


def _print_disjoint(run: Path) -> None:
    """Tell what it has cost that SFT and RL share no picture."""
    from flows.report.tables import query_table

    rows = query_table(
        run,
        "SELECT reason, count(*) FROM outcomes WHERE stage = 'select' AND reason IN ('image_in_rl', 'image_in_sft') "
        "GROUP BY reason",
    ).rows
    lost = {str(reason): count for reason, count in rows}
    if lost:
        print_line(
            f"disjoint pictures: {lost.get('image_in_sft', 0):,} RL questions and {lost.get('image_in_rl', 0):,} SFT "
            "trajectories given up to the other shard\n"
        )


def _print_quarantined(run: Path) -> None:
    from flows.report.tables import query_table

    rows = query_table(run, _QUARANTINED).rows
    for stage, reason, n, detail, example in rows:
        # A detail may quote a library's message of several lines.
        such_as = " ".join(str(detail).split())
        print_line(f"quarantined: {stage} {reason} {n:,}, such as {such_as} ({command('show', run, example)})")
    if rows:
        print_line("")
