"""Everything a recipe refers to, found and checked before any work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import ValidationError

from filters.contamination import Benchmark
from flows.recipe import Recipe, load_recipe
from pipeline.errors import UsageError
from pipeline.manifests import manifests_dir
from pipeline.prompts import Prompts, load_prompts
from pipeline.records import SourceRow
from pipeline.sources import Source, open_source, read_source

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


def make_job(
    recipe_path: Path,
    *,
    out: Path | None = None,
    store: Path | None = None,
    limit: int | None = None,
    changes: Sequence[str] = (),
    runner: RunnerName = "local",
) -> Job:
    """Read a recipe and return the job: by default in `runs/<name>`, with the store `.store` beside it.

    Raises:
        UsageError: the recipe or a change is wrong.
    """
    recipe = load_recipe(recipe_path, changes)
    out = out if out is not None else Path("runs") / recipe.name
    store = store if store is not None else out.parent / ".store"
    return Job(recipe, recipe_path, out, store, limit, runner)


@dataclass(frozen=True)
class Inputs:
    """What the recipe's names stand for."""

    prompts: Prompts
    sources: tuple[Source, ...]
    rows: tuple[SourceRow, ...]
    """Of all sources, or a sample of them, by id."""
    search: Source
    """Holds the pages and pictures that the local search tools look through."""
    benchmarks: tuple[Benchmark, ...]


def find_inputs(job: Job) -> Inputs:
    """Open sources, prompts and benchmarks of a recipe; an embedded corpus is made if it is not there yet.

    Raises:
        UsageError: something is missing or damaged; the message names the file and the fix.
    """
    recipe = job.recipe
    prompts = load_prompts(recipe.prompts.name, recipe.prompts.teacher_guidance)
    benchmarks = tuple(load_benchmark(name, job.recipe_path) for name in recipe.benchmarks)
    sources = tuple(
        open_source(
            use.source,
            job.store,
            base=job.recipe_path.parent,
            questions=use.demo.questions if use.demo else None,
            seed=use.demo.seed if use.demo else 0,
        )
        for use in recipe.sources
    )
    rows = limit_rows((row for source in sources for row in read_source(source)), job.limit)
    return Inputs(prompts, sources, rows, _search_source(recipe, sources), benchmarks)


def limit_rows(rows: Iterable[SourceRow], limit: int | None) -> tuple[SourceRow, ...]:
    """Return a stratified sample: the first `limit` rows by (rank in stratum + ½) ÷ stratum size.

    A stratum is one category of one source; ranks follow the row's id, which is a hash. The sample is
    nested (a larger limit only adds rows) and every stratum is represented in proportion.
    """
    ordered = sorted(rows, key=lambda row: row.id)
    if limit is None:
        return tuple(ordered)
    strata: dict[tuple[str, str], list[SourceRow]] = defaultdict(list)
    for row in ordered:
        strata[row.source, row.category].append(row)
    placed = [
        ((rank + 0.5) / len(members), row.id, row) for members in strata.values() for rank, row in enumerate(members)
    ]
    chosen = sorted(placed, key=lambda place: place[:2])[:limit]
    return tuple(sorted((row for _, _, row in chosen), key=lambda row: row.id))


def _search_source(recipe: Recipe, sources: Sequence[Source]) -> Source:
    for source in sources:
        if source.key == recipe.search.corpus:
            return source
    known = ", ".join(source.key for source in sources)
    raise UsageError(f"search.corpus: {recipe.search.corpus} is not one of this recipe's sources ({known})")


def load_benchmark(name: str, recipe_path: Path) -> Benchmark:
    """Read a benchmark manifest by its name in `manifests/benchmarks` or by a path from the recipe.

    Raises:
        UsageError: it is missing or malformed.
    """
    named = manifests_dir() / "benchmarks" / f"{name}.yaml"
    path = named if named.exists() else recipe_path.parent / name
    try:
        return Benchmark.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        known = ", ".join(sorted(p.stem for p in named.parent.glob("*.yaml")))
        raise UsageError(f"benchmarks: {name} is neither a path nor one of: {known}") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise UsageError(f"benchmark {path}: {error}") from error
