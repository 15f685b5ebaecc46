"""`coldforge plan`: check everything a recipe refers to, and what the run will ask of its models."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import typer

from flows.cli.console import JsonFlag, print_json, print_line, print_table
from flows.cli.run import Changes, Limit, OutDir, RecipeFile, StoreDir

if TYPE_CHECKING:
    from flows.cli.checks import Check
    from flows.inputs import Job
    from flows.recipe import ReaderRole, ServerRole, SourceUse
    from pipeline.prompts import Prompts
    from pipeline.sources import Source


def plan(
    recipe: RecipeFile,
    *,
    out: OutDir = None,
    store: StoreDir = None,
    limit: Limit = None,
    changes: Changes = None,
    as_json: JsonFlag = False,
) -> None:
    """Check every reference of RECIPE and estimate its model calls. Exit 2 if something is wrong."""
    from flows.cli.estimate import StageCalls, assumptions, estimate
    from flows.inputs import make_job
    from pipeline.errors import UsageError

    job = make_job(recipe, out=out, store=store, limit=limit, changes=changes or ())
    found: dict[Source, int] = {}
    checks = list(_checks(job, found))
    wrong = [check for check in checks if check.finding == "wrong"]
    rows = None if wrong else min(sum(found.values()), limit or sys.maxsize)
    stages = () if rows is None else estimate(job.recipe, _prompts(job), rows)
    if as_json:
        shown = {
            "recipe": str(recipe),
            "checks": [check._asdict() for check in checks],
            "rows": rows,
            "stages": [stage._asdict() for stage in stages],
            "assumptions": assumptions(),
        }
        print_json(shown)
        raise typer.Exit(UsageError.exit_code if wrong else 0)
    from flows.cli.checks import print_checks
    from pipeline.report.tables import Table

    print_checks(checks)
    if wrong:
        raise UsageError(f"recipe {recipe}: {len(wrong)} of {len(checks)} checks failed (see `wrong` above)")
    print_line("")
    print_table(Table("plan", f"Calls expected for {rows:,} source rows", StageCalls._fields, tuple(stages)))
    guesses = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in assumptions().items())
    print_line(f"assumed: {guesses}\n`coldforge run {recipe} --limit 100` measures instead")


def _checks(job: Job, found: dict[Source, int]) -> Iterator[Check]:
    from flows.cli.checks import checked, tell_sandbox

    recipe = job.recipe
    yield checked("prompts", lambda: _tell_prompts(job))
    yield checked("sources", lambda: _tell_sources(job))
    for number, use in enumerate(recipe.sources):
        yield checked(f"sources.{number} {use.source}", partial(_tell_source, job, use, found))
    if recipe.search is not None:
        yield checked("search.corpus", lambda: _tell_search(job, found))
    for name in recipe.benchmarks:
        yield checked(f"benchmarks {name}", partial(_tell_benchmark, job, name))
    yield checked("models.base", lambda: _tell_model(job, recipe.models.base))
    for number, teacher in enumerate(recipe.models.teachers):
        yield checked(f"models.teachers.{number}", partial(_tell_model, job, teacher))
    yield checked("sandbox", tell_sandbox)


def _prompts(job: Job) -> Prompts:
    from pipeline.prompts import load_prompts

    return load_prompts(job.recipe.prompts.name, job.recipe.prompts.teacher_guidance)


def _tell_prompts(job: Job) -> str:
    return f"{job.recipe.prompts.name}: {len(_prompts(job).hashes())} texts"


def _tell_sources(job: Job) -> str:
    from flows.inputs import manifest_files

    return ", ".join(manifest_files(job))


def _tell_source(job: Job, use: SourceUse, found: dict[Source, int]) -> str:
    """Open a source, count its rows into `found` and tell where they are and how many cannot be used.

    Raises:
        UsageError: the source cannot be opened, or none of its rows can be used.
    """
    from flows.inputs import open_use
    from pipeline.errors import UsageError
    from pipeline.sources import read_source
    from pipeline.sources.questions import check_row

    source = open_use(job, use)
    first, reasons, total = "", Counter[str](), 0
    for total, row in enumerate(read_source(source), 1):  # noqa: B007 - the count is used after the loop
        if error := check_row(row, source.directory):
            first = first or f'row "{row.source_row}": {error}'
            reasons[error.reason] += 1
    found[source] = total
    where = f"{total:,} rows in {source.directory}"
    if not reasons:
        return where
    unusable = f"{reasons.total():,} of {total:,} rows cannot be used"
    if reasons.total() == total:
        raise UsageError(f"{unusable}; first: {first}")
    return f"{where}; {unusable} ({', '.join(f'{reason} {n:,}' for reason, n in reasons.most_common())})"


def _tell_search(job: Job, found: Mapping[Source, int]) -> str:
    from flows.inputs import find_corpus

    corpus = find_corpus(job, found)
    return f"{corpus.key}: {corpus.directory}" if corpus else "none"


def _tell_benchmark(job: Job, name: str) -> str:
    from flows.inputs import load_benchmark

    benchmark = load_benchmark(name, job.recipe_path)
    return f"{benchmark.key}: {len(benchmark.entries):,} protected questions"


def _tell_model(job: Job, role: ReaderRole | ServerRole) -> str:
    if role.backend == "reader":
        from flows.cli.checks import tell_reader

        return tell_reader()
    import asyncio

    asyncio.run(_ask_server(job, role))
    return f"{role.base_url} serves {role.served_name}"


async def _ask_server(job: Job, role: ServerRole) -> None:
    from pipeline.models.server import Server
    from pipeline.store.blobs import BlobStore

    server = Server(
        base_url=role.base_url.rstrip("/"),
        served_name=role.served_name,
        revision=f"openai/{role.model}",
        blobs=BlobStore(job.store / "blobs"),
        api_key_env=role.api_key_env,
    )
    try:
        await server.check()
    finally:
        await server.aclose()
