"""Everything a recipe refers to, found and checked before any work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from filters.dedup.contamination import Benchmark
from flows.recipe.benchmarks import load_benchmark
from flows.recipe.edits import load_edits
from flows.recipe.exclusions import load_excluded
from flows.recipe.file import load_recipe
from flows.recipe.recipe import DemoSize, Recipe, SourceUse, StageName
from flows.recipe.rows import RowIndex
from pipeline.errors import UsageError
from pipeline.export.tombstones import Tombstone, load_tombstones
from pipeline.prompts.sets import Prompts, load_prompts
from pipeline.records import Edit, Terms
from pipeline.sources import Source, open_source
from pipeline.sources.guard import refuse_eval_only
from pipeline.sources.manifest import load_manifest
from pipeline.students.tokens import TokenCounter
from pipeline.tools.search.index import GALLERY, PAGES

RunnerName = Literal["local", "prefect"]


@dataclass(frozen=True)
class Job:
    """One invocation of `run`."""

    recipe: Recipe
    recipe_path: Path
    out: Path
    """The run directory."""
    store: Path
    limit: int | None = None
    """Rows of a stratified sample; None takes all."""
    runner: RunnerName = "local"
    until: StageName | None = None
    """The last stage that runs; None: all do."""


def make_job(
    recipe_path: Path,
    *,
    out: Path | None = None,
    store: Path | None = None,
    limit: int | None = None,
    changes: Sequence[str] = (),
    runner: RunnerName = "local",
    until: str | None = None,
) -> Job:
    """Read a recipe and return the job: by default in `runs/<name>`, with the store `.store` beside it.

    Raises:
        UsageError: the recipe or a change is wrong, or there is no stage `until`.
    """
    last = next((name for name in get_args(StageName) if name == until), None)
    if until is not None and last is None:
        raise UsageError(f"--until {until}: there is no such stage; stages are {', '.join(get_args(StageName))}")
    recipe = load_recipe(recipe_path, changes)
    out = out if out is not None else Path("runs") / recipe.name
    store = store if store is not None else out.parent / ".store"
    return Job(recipe, recipe_path, out, store, limit, runner, last)


@dataclass(frozen=True)
class Inputs:
    """What the recipe's names stand for."""

    prompts: Prompts
    sources: tuple[Source, ...]
    rows: RowIndex
    """Of all sources, or a sample of them."""
    search: Source | None
    """Holds the pages and pictures that the search tools look through; None: none, as where the web is searched."""
    web: tuple[str, ...]
    """Providers that are asked in its place, or beside it."""
    benchmarks: tuple[Benchmark, ...]
    tokens: TokenCounter
    """Counts what the student learns of a row."""
    tombstones: tuple[Tombstone, ...] = ()
    """What no export may hold."""
    excluded: tuple[str, ...] = ()
    """Ids that are not selected: what is left out by name, and transcripts that people corrected."""
    edits: tuple[Edit, ...] = ()
    """What people corrected."""

    @property
    def solved(self) -> int:
        """Return how many rows bring their solution along, so that no model is asked about them."""
        return sum(table.num_rows for source, table in self.rows.indexes if source.lane is not None)

    @property
    def terms(self) -> dict[str, Terms]:
        """Return from where each source is and under which terms, by key, and so of what is searched."""
        sources = {source.key: source.terms for source in (*self.sources, *((self.search,) if self.search else ()))}
        return {**sources, self.searched: _terms(self.search, self.web)} if self.web and self.searched else sources

    @property
    def searched(self) -> str | None:
        """Return the name of what the search tools look through; None: there is no search."""
        return " and ".join((*((self.search.key,) if self.search else ()), *self.web)) or None


def _terms(corpus: Source | None, web: Sequence[str]) -> Terms:
    """Return the terms of what providers find: nobody has a licence to it, so that it may not be passed on."""
    found = f"found by {', '.join(web)}: each hit under the terms of its own page"
    told = found if corpus is None else f"{corpus.terms}; {found}"
    return Terms(licence="of each page", source_url=told, redistributable=False)


def find_inputs(job: Job) -> Inputs:
    """Open sources, prompts and benchmarks of a recipe; an embedded corpus is made if it is not there yet.

    Raises:
        UsageError: something is missing or damaged; the message names the file and the fix.
    """
    recipe = job.recipe
    prompts = load_prompts(recipe.prompt_set, recipe.wire, recipe.prompts.teacher_guidance)
    benchmarks = tuple(load_benchmark(name, job.recipe_path) for name in recipe.benchmarks)
    manifest_files(job)
    sources = tuple(open_use(job, use) for use in recipe.sources)
    _require_texts(recipe, sources)
    search = find_corpus(job, sources)
    whole = RowIndex.of(sources, job.store)
    edits, rows = load_edits(recipe.edits, whole), whole.limited(job.limit)
    web = recipe.search.web if recipe.search is not None else ()
    tokens, tombstones = TokenCounter.open(recipe.student.tokenizer), load_tombstones(recipe.rights.tombstones)
    corrected = {edit.parent for edit in edits if edit.unit == "trajectory"}
    excluded = tuple(sorted({*load_excluded(recipe.select.exclude), *corrected}))
    return Inputs(prompts, sources, rows, search, web, benchmarks, tokens, tombstones, excluded, edits)


def _require_texts(recipe: Recipe, sources: Iterable[Source]) -> None:
    """Refuse a mix with long reasoning where no source holds any, before anything is paid for.

    Raises:
        UsageError: as said.
    """
    mix = recipe.select.mix
    if mix is not None and mix.long_cot and not any(source.lane == "long_cot" for source in sources):
        raise UsageError(
            "select.mix: it asks for long_cot, and no source has `lane: long_cot`; add one "
            "(manifests/sources/generic_long_cot.yaml says how it is written), or take long_cot out of the mix"
        )


def manifest_files(job: Job) -> dict[str, Path]:
    """Return the manifest of each source to curate, by key; nothing but the manifests and names of files is read.

    Raises:
        UsageError: a manifest cannot be read, two sources have one key, or one is an evaluation set.
    """
    files: dict[str, Path] = {}
    for number, use in enumerate(job.recipe.sources):
        manifest, file = load_manifest(use.source, job.recipe_path.parent)
        refuse_eval_only(manifest, file)
        if manifest.key in files:
            raise UsageError(
                f"sources.{number}: {file} has the key {manifest.key}, as has {files[manifest.key]}; "
                "name each source once, and give each a `key` of its own"
            )
        files[manifest.key] = file
    return files


def open_use(job: Job, use: SourceUse) -> Source:
    """Open one source of the recipe.

    Raises:
        UsageError: as `open_source`; it is an evaluation set; or a source as large as it is was given a size.
    """
    base = job.recipe_path.parent
    manifest, file = load_manifest(use.source, base)
    refuse_eval_only(manifest, file)
    if use.demo is not None and manifest.kind != "demo":
        raise UsageError(f"source {manifest.key} ({file}) has the size it has; remove `demo` from its use")
    return open_source(use.source, job.store, base=base, generate=partial(_generate, use.demo or DemoSize()))


def _generate(size: DemoSize, sources: Path) -> Path:
    # The generator needs the packages of the extra `demo`; nobody else should.
    from pipeline.demo.corpus.build import generate_demo

    return generate_demo(sources, **size.model_dump())


def find_corpus(job: Job, sources: Iterable[Source]) -> Source | None:
    """Return the corpus that the recipe's search looks through: one of `sources`, as it was opened, or another source.

    None where there is no search, or only the web is searched.

    Raises:
        UsageError: there is no such source, or it has no pages or no gallery.
    """
    use = job.recipe.search
    if use is None or use.corpus is None or not use.uses_corpus:
        return None
    corpus = _named_source(job, use.corpus, {source.key: source for source in sources})
    for name in (PAGES, GALLERY):
        if not (corpus.directory / name).is_file():
            raise UsageError(
                f"search.corpus: {corpus.directory / name} is missing; a corpus holds {PAGES} and {GALLERY} "
                "(an empty file for none), or remove `search` from the recipe"
            )
    return corpus


def _named_source(job: Job, name: str, opened: Mapping[str, Source]) -> Source:
    if name in opened:
        return opened[name]
    base = job.recipe_path.parent
    try:
        manifest, file = load_manifest(name, base)
    except UsageError as error:
        raise UsageError(f"search.corpus: {error}; sources of this recipe: {', '.join(opened) or 'none'}") from error
    if manifest.key not in opened:
        return open_source(name, job.store, base=base, generate=partial(_generate, DemoSize()))
    curated = manifest_files(job)[manifest.key]
    if not curated.samefile(file):
        raise UsageError(f"search.corpus: {file} has the key {manifest.key}, as has {curated}; give one another `key`")
    return opened[manifest.key]
