"""`coldforge plan`: check everything a recipe refers to, and what the run will ask of its models and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import JsonFlag, console, print_json
from flows.cli.run import Changes, Limit, OutDir, RecipeFile, StoreDir, unguarded_line

if TYPE_CHECKING:
    from flows.cli.checks import Check, Note
    from flows.cli.plan_report import Planned
    from flows.cost.estimate import Rows
    from flows.recipe.inputs import Job
    from flows.recipe.recipe import Recipe, SourceUse
    from flows.recipe.roles import HostedRole, Role, ServerRole
    from flows.recipe.searching import ImageUse, TextUse
    from pipeline.prompts.sets import Prompts
    from pipeline.sources import Source


Pilot = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Really curate the first N rows and extrapolate from what they took."),
]
Diff = Annotated[
    Path | None,
    typer.Option("--diff", metavar="RUN", help="Tell which stages of RUN would run again for RECIPE, and their cost."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Ask no server: neither models nor a sandbox elsewhere.")]

LOOKED_AT = 1_000
"""Rows of a source that are looked at whole, pictures included: a share of them is known within 3 points (95 %)."""


def plan(
    recipe: RecipeFile,
    *,
    out: OutDir = None,
    store: StoreDir = None,
    limit: Limit = None,
    pilot: Pilot = None,
    diff: Diff = None,
    offline: Offline = False,
    changes: Changes = None,
    as_json: JsonFlag = False,
) -> None:
    """Check every reference of RECIPE and estimate its calls, tokens, money and hours. Exit 2 if something is wrong."""
    from flows.cli.console import require_ledger
    from flows.cli.plan_report import Planned, print_planned
    from flows.cost.estimate import estimate
    from flows.recipe.inputs import make_job
    from pipeline.errors import UsageError

    if offline and pilot is not None:
        raise UsageError("--pilot asks the models, and --offline asks none; leave one of them out")
    job = make_job(recipe, out=out, store=store, limit=limit, changes=changes or ())
    if diff is not None:
        require_ledger(diff)
    found: dict[Source, int] = {}
    checks = list(_checks(job, found, offline=offline))
    wrong = [check for check in checks if check.finding == "wrong"]
    planned = Planned(str(recipe), checks, job.recipe.runtime.budget.budget, asked=job.recipe)
    if not wrong:
        rows = _rows(found, limit)
        planned = replace(planned, rows=rows, lines=estimate(job.recipe, _prompts(job), rows))
        planned = _with_pilot(planned, job, pilot) if pilot is not None else planned
        planned = _with_diff(planned, job, diff) if diff is not None else planned
    if as_json:
        print_json(planned.document())
        raise typer.Exit(UsageError.exit_code if wrong else 0)
    print_planned(planned)
    if wrong:
        raise UsageError(f"recipe {recipe}: {len(wrong)} of {len(checks)} checks failed (see `wrong` above)")


def _rows(found: Mapping[Source, int], limit: int | None) -> Rows:
    """Return the rows of a run; a limit takes of every kind its share."""
    from flows.cost.estimate import Rows

    total = sum(found.values())
    solved = sum(n for source, n in found.items() if source.lane is not None)
    if limit is None or limit >= total:
        return Rows(total - solved, solved)
    part = round(solved * limit / total)
    return Rows(limit - part, part)


def _with_pilot(planned: Planned, job: Job, rows: int) -> Planned:
    """Run the pilot and put what it measured in place of assumptions."""
    from flows.cli.progress import shown_progress
    from flows.cost.estimate import estimate
    from flows.plan.pilot import between, run_pilot

    with shown_progress(console(stderr=True)) as progress:
        pilot = run_pilot(job, min(rows, planned.rows.total), progress)
    known = (job.recipe, _prompts(job), planned.rows, pilot.measures)
    return replace(planned, lines=estimate(*known), pilot=pilot, between=between(*known))


def _with_diff(planned: Planned, job: Job, run: Path) -> Planned:
    from flows.plan.diff import diff

    return replace(planned, run=str(run), again=diff(job, run))


def _checks(job: Job, found: dict[Source, int], *, offline: bool) -> Iterator[Check]:
    from flows.cli.checks import Check, checked, tell_sandbox

    recipe = job.recipe
    yield checked("prompts", lambda: _tell_prompts(job))
    yield checked("sources", lambda: _tell_sources(job))
    for number, use in enumerate(recipe.sources):
        yield checked(f"sources.{number} {use.source}", partial(_tell_source, job, use, found))
    if recipe.search is not None and recipe.search.uses_corpus:
        yield checked("search.corpus", lambda: _tell_search(job, found))
    if recipe.search is not None:
        for tool, provider in (("text", recipe.search.text), ("image", recipe.search.image)):
            if provider is not None:
                yield checked(f"search.{tool}", partial(_tell_provider, provider, recipe.search.mode))
    yield checked("rights", lambda: _tell_rights(recipe, found))
    for name in recipe.benchmarks:
        yield checked(f"benchmarks {name}", partial(_tell_benchmark, job, name))
    yield Check("guard list", "note", unguarded_line(job).removeprefix("guard list: "))
    unasked = "not asked (--offline)"
    for name, role in recipe.models.roles().items():
        asked = role.backend == "reader" or not offline
        what = f"models.{name}"
        yield checked(what, partial(_tell_model, job, role)) if asked else Check(what, "note", unasked)
    if offline and recipe.runtime.sandbox is not None:
        yield Check("sandbox", "note", unasked)
    else:
        yield checked("sandbox", lambda: tell_sandbox(recipe.runtime))


def _prompts(job: Job) -> Prompts:
    from pipeline.prompts.sets import load_prompts

    recipe = job.recipe
    return load_prompts(recipe.prompt_set, recipe.wire, recipe.prompts.teacher_guidance)


def _tell_prompts(job: Job) -> str:
    return f"{job.recipe.prompt_set}: {len(_prompts(job).hashes())} texts"


def _tell_sources(job: Job) -> str:
    from flows.recipe.inputs import manifest_files

    return ", ".join(manifest_files(job))


def _tell_rights(recipe: Recipe, sources: Iterable[Source]) -> str | Note:
    """Tell how much was taken down, and of which sources no picture will ship, before anything is paid for them.

    Raises:
        UsageError: a list of tombstones is wrong.
    """
    from flows.cli.checks import Note
    from pipeline.export.tombstones import load_tombstones

    told = f"{len(load_tombstones(recipe.rights.tombstones))} tombstones"
    withheld = sorted(source.key for source in sources if source.redistributable is False)
    if not withheld or recipe.export.withheld_images == "keep":
        return told
    return Note(
        f"{told}; pictures of {', '.join(withheld)} may not be passed on, so no export will hold rows with them; to "
        "train on them yourself, set export.withheld_images: keep"
    )


def _tell_source(job: Job, use: SourceUse, found: dict[Source, int]) -> str | Note:
    """Open a source, count its rows into `found` and tell where they are and how many cannot be used.

    Of a large source a sample is looked at: its first rows by id, which is a hash.

    Raises:
        UsageError: the source cannot be opened, or none of the rows that were looked at can be used.
    """
    from flows.cli.checks import Note
    from flows.recipe.inputs import open_use
    from flows.recipe.rows import RowIndex
    from pipeline.errors import UsageError
    from pipeline.sources.questions import check_row

    source = open_use(job, use)
    index = RowIndex.of((source,), job.store)
    found[source] = len(index) - index.left_out
    looked_at = [*index.first(LOOKED_AT).read()]
    first, reasons, total = "", Counter[str](), found[source]
    for row in looked_at:
        if error := check_row(row, source.directory, source.others, use.fetch is not None):
            first = first or f'row "{row.source_row}": {error}'
            reasons[error.reason] += 1
    where = f"{total:,} rows in {source.directory}"
    if index.left_out:
        where += f", without {index.left_out:,} later questions of conversations (`turns: first` of its manifest)"
    if not reasons:
        return where
    sample = "" if len(looked_at) == total else f" looked at, of {total:,},"
    unusable = f"{reasons.total():,} of {len(looked_at):,} rows{sample} cannot be used"
    if reasons.total() == len(looked_at):
        raise UsageError(f"{unusable}; first: {first}")
    counts = ", ".join(f"{reason} {n:,}" for reason, n in reasons.most_common())
    return Note(f"{where}; {unusable} ({counts})\nsuch as {first}")


def _tell_search(job: Job, found: Mapping[Source, int]) -> str:
    from flows.plan.reach import reach
    from flows.recipe.inputs import find_corpus
    from pipeline.store.blobs import BlobStore
    from pipeline.tools.search.local import LocalSearch

    corpus = find_corpus(job, found)
    if corpus is None:
        return "none"
    where = f"{corpus.key}: {corpus.directory}"
    if job.recipe.search is None or job.recipe.search.text is not None:
        return where
    reached = reach(found, LocalSearch(corpus.directory, BlobStore(job.store / "blobs"), job.store / "search"))
    return f"{where}\n{reached}"


def _tell_provider(use: TextUse | ImageUse, mode: str) -> str:
    """Tell who is asked, and whether the key is there; nobody is asked, for that would cost.

    Raises:
        UsageError: the key is not set, and somebody may be asked.
    """
    import os

    from pipeline.errors import UsageError

    variable = use.key_variable
    where = f"{use.provider} at {use.base_url or 'its own address'}"
    if mode == "strict":
        return f"{where}: not asked (search.mode is strict)"
    if variable is not None and not os.environ.get(variable):
        raise UsageError(f"${variable} is not set; put the key of {use.provider} into it")
    return f"{where}, key {f'in ${variable}' if variable else 'none'}"


def _tell_benchmark(job: Job, name: str) -> str:
    from flows.recipe.benchmarks import load_benchmark

    benchmark = load_benchmark(name, job.recipe_path)
    return f"{benchmark.key}: {len(benchmark.entries):,} protected questions"


def _tell_model(job: Job, role: Role) -> str:
    if role.backend == "reader":
        from flows.cli.checks import tell_reader

        return tell_reader()
    import asyncio

    if (role.backend == "openai" or role.backend == "vllm_offline") and role.serve is not None:  # noqa: PLR1714 - mypy
        from pipeline.models.local.launch import interpreter

        return f"vLLM of {interpreter()} will load {role.serve.model}"
    if role.backend == "openai":
        asyncio.run(_ask_server(job, role))
        urls = role.base_url if isinstance(role.base_url, str) else ", ".join(role.base_url)
        return f"{urls} serves {role.served_name}"
    asyncio.run(_ask_hosted(job, role))
    return f"{role.backend} has {role.model}, thinking {role.thinking}"


async def _ask_hosted(job: Job, role: HostedRole) -> None:
    from flows.run.models import open_single
    from pipeline.store.blobs import BlobStore

    model = open_single(role, BlobStore(job.store / "blobs"))
    try:
        await model.check()
    finally:
        await model.aclose()


async def _ask_server(job: Job, role: ServerRole) -> None:
    from pipeline.models.providers.openai import Server
    from pipeline.store.blobs import BlobStore

    server = Server(
        base_url=role.base_url,
        served_name=role.served_name,
        revision=f"openai/{role.model}",
        blobs=BlobStore(job.store / "blobs"),
        api_key_env=role.api_key_env,
    )
    try:
        await server.check()
    finally:
        await server.aclose()
